#!/bin/bash
# initramfs.sh KERNEL OUT: writes the first root of a guest: busybox, guest-init, the modules that bring the real root.
set -euo pipefail
kernel=$1 out=$2
here=$(dirname "$(readlink -f "$0")")
version=$(ls "$kernel/lib/modules")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mkdir -p "$root"/{bin,dev,proc,sys,modules,host,scratch,root}
cp /bin/busybox "$root/bin/"
for name in $(/bin/busybox --list); do
	[ "$name" = busybox ] || ln -s busybox "$root/bin/$name"
done
install -m 755 "$here/guest-init" "$root/init"

# insmod loads them in the order of their numbers; modprobe lists what a module needs before it.
number=100
for module in virtio_pci 9pnet_virtio 9p overlay; do
	modprobe -d "$kernel" -S "$version" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' | while read -r file; do
	name=$(basename "$file")
	case $file in
	*.xz) xz -dc "$file" >"$root/modules/$number-${name%.xz}" ;;
	*) cp "$file" "$root/modules/$number-$name" ;;
	esac
	number=$((number + 1))
done

(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$out"
