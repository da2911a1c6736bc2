#!/bin/bash
# Holds a node's namespaces: run in its network namespace with own mounts and host name, it gives the default paths of a
# node's programs a place of their own, says so by a file, and waits. Arguments: the node's name, its directory.
set -euo pipefail
name=$1
directory=$2

hostname "$name"
# All of /run: whoever removes a directory of the machine's there would take a mount away here.
mkdir -p "$directory"/root/run/{lock,netns}
for path in run var/lib/containerd var/lib/kubelet var/lib/cni etc/cni/net.d opt/cni/bin var/log/pods var/log/containers; do
	mkdir -p "/$path" "$directory/root/$path"
	mount --bind "$directory/root/$path" "/$path"
done
# The machine's resolver is not reachable from here; nobody shall wait for it.
echo nameserver 127.0.0.1 >"$directory/resolv.conf"
mount --bind "$directory/resolv.conf" /etc/resolv.conf
# A sysfs of this network namespace, with the machine's cgroups and an own place for pins.
mkdir -p "$directory/sys"
mount -t sysfs sysfs "$directory/sys"
mount --rbind /sys/fs/cgroup "$directory/sys/fs/cgroup"
mount -t bpf bpf "$directory/sys/fs/bpf"
mount --rbind "$directory/sys" /sys
# Kubelet hands mounts on to containers.
mount --make-rshared /
touch "$directory/ready"
exec sleep infinity
