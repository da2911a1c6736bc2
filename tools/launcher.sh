#!/bin/sh
# bin/kmesh-daemon and bin/kmeshctl: the program of the same name, by this checkout's Node, from any directory.
self=$(readlink -f "$0")
root=$(dirname "$(dirname "$self")")
node=$("$root/tools/node.sh") || exit 1
case $(basename "$self") in
kmesh-daemon)
	# Small semi-spaces keep the resident set near what is alive; the daemon is idle most of the time.
	exec "$node" --max-semi-space-size=8 "$root/src/daemon/kmesh-daemon.ts" "$@"
	;;
kmeshctl) exec "$node" "$root/src/ctl/kmeshctl.ts" "$@" ;;
esac
