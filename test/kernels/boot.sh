#!/bin/bash
# boot.sh KERNEL OUT SCRIPT [ARGUMENT…]: boots the kernel in the folder KERNEL (as fetch.sh prints it) and runs SCRIPT,
# a path of the host, in a throw-away copy of the host's root. Leaves OUT/log, OUT/console, OUT/status; exits with
# SCRIPT's status, 124 when it took longer than LIMIT seconds, 125 when the guest did not come as far.
# The kernel's command line carries SCRIPT and the arguments: no blanks or quotes in them.
#
# Plain emulation by default (ACCEL=kvm where it works): /dev/kvm of a nested machine may open and then fail. One thread
# for all CPUs: with one each, QEMU before 8.1 may run code as it was before another CPU patched it, and Node crashes.
set -euo pipefail
kernel=$1 out=$2 script=$(readlink -f "$3")
shift 3
here=$(dirname "$(readlink -f "$0")")
mkdir -p "$out"
out=$(readlink -f "$out")
rm -f "$out"/{log,console,status}

initramfs=$(mktemp)
qemu=
trap 'rm -f "$initramfs"; [ -z "$qemu" ] || kill "$qemu" 2>/dev/null' EXIT
"$here/initramfs.sh" "$kernel" "$initramfs"
vmlinuz=$(find "$kernel/boot" "$kernel"/lib/modules/*/ -maxdepth 1 -name 'vmlinuz*' 2>/dev/null | head -1)

environment="KERNEL=$kernel CHECKOUT=${here%/test/kernels} RUN=\"$script $*\""

timeout "${LIMIT:-5400}" qemu-system-x86_64 \
	-accel "${ACCEL:-tcg,thread=single}" -cpu max -machine q35 -smp "${CPUS:-2}" -m "${MEMORY:-2048}" \
	-nodefaults -nographic -no-reboot -serial "file:$out/console" \
	-virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
	-virtfs "local,path=$out,mount_tag=out,security_model=none" \
	-kernel "$vmlinuz" -initrd "$initramfs" \
	-append "console=ttyS0 panic=-1 quiet mitigations=off $environment" \
	</dev/null >"$out/qemu" 2>&1 &
qemu=$!
ended=0
wait "$qemu" || ended=$?
qemu=
[ "$ended" != 124 ] || exit 124
exit "$(cat "$out/status" 2>/dev/null || echo 125)"
