#!/bin/sh
# bin/kmesh-daemon and bin/kmeshctl: the program of the same name, by this checkout's Node, from any directory.
self=$(readlink -f "$0")
root=$(dirname "$(dirname "$self")")
node=$("$root/tools/node.sh") || exit 1
case $(basename "$self") in
kmesh-daemon)
	# Reading a large mesh makes much short-lived garbage: a larger young generation saves a second in four. The old
	# generation grows by at most a tenth between two collections, since the daemon shares the machine with workloads.
	exec "$node" --max-semi-space-size=16 --heap-growing-percent=10 "$root/src/daemon/kmesh-daemon.ts" "$@"
	;;
kmeshctl) exec "$node" "$root/src/ctl/kmeshctl.ts" "$@" ;;
esac
