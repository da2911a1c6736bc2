#!/bin/bash
# run.sh [SERIES…]: all scenarios on Debian's stock kernels, one after the other, each booted in QEMU.
# One line a kernel; the log of a kernel that fails follows its line. Exit status 1 when one failed.
# Environment: KMESH_KERNEL_CACHE (default ~/.cache/kmesh-kernels: downloads, logs),
# TESTS (files to run instead of all scenarios), LIMIT in seconds a kernel, CPUS, MEMORY, ACCEL (see boot.sh).
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
export KMESH_KERNEL_CACHE=${KMESH_KERNEL_CACHE:-$HOME/.cache/kmesh-kernels}
series=("$@")
[ $# -gt 0 ] || series=(5.10 6.1 6.12 6.18)

missing=()
for package in qemu-system-x86 busybox-static cpio kmod xz-utils debian-archive-keyring; do
	status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
	[ "$status" = "install ok installed" ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
	[ "$(id -u)" = 0 ] || { echo "missing Debian packages: ${missing[*]}" >&2 && exit 1; }
	echo "  APT      ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

failed=0
for one in "${series[@]}"; do
	out=$KMESH_KERNEL_CACHE/out/$one
	if ! kernel=$("$here/fetch.sh" "$one"); then
		printf '%-6s FAIL   no kernel\n' "$one"
		failed=1
		continue
	fi
	started=$SECONDS status=0
	# shellcheck disable=SC2086 # a list of files
	"$here/boot.sh" "$kernel" "$out" "$here/guest.sh" ${TESTS:-} || status=$?
	took=$((SECONDS - started))
	summary=$(grep -oE '^ℹ (pass|fail|skipped) [0-9]+' "$out/log" 2>/dev/null | cut -d' ' -f2- | paste -sd, || true)
	if [ "$status" = 0 ]; then
		printf '%-6s pass %4d s   %s%s\n' "$one" "$took" "$(basename "$kernel")" "${summary:+   tests: $summary}"
		continue
	fi
	failed=1
	case $status in
	124) reason="not done in ${LIMIT:-5400} s" ;;
	125) reason="the guest did not start, see $out/console" ;;
	*) reason="exit status $status" ;;
	esac
	printf '%-6s FAIL %4d s   %s   %s\n' "$one" "$took" "$(basename "$kernel")" "$reason"
	echo "----- $out/log"
	cat "$out/log" 2>/dev/null || tail -50 "$out/console"
	echo "-----"
done
exit "$failed"
