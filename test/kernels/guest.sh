#!/bin/bash
# guest.sh [TEST…]: runs in the guest: loads every object, runs all scenarios (or other test files of the
# checkout), fails when the kernel complained.
# Emulated time is slow and uneven: KMESH_SLOW=1 tells the scenarios to allow for it.
set -uo pipefail
cd "$CHECKOUT" || exit 1
# The compile cache keeps sources with their types stripped: every process after the first starts faster.
export KMESH_SLOW=1 NODE_COMPILE_CACHE=/var/tmp/node-compile-cache
PATH=$(dirname "$(tools/node.sh)"):$PATH
failed=0

echo "kernel $(uname -r), up $(cut -d' ' -f1 /proc/uptime) s"
test/kernels/load-objects.sh || failed=1

tests=("$@")
[ $# -gt 0 ] || tests=(test/scenarios/*.test.ts)
for test in "${tests[@]}"; do
	[ -e "$test" ] || { echo "no such test: $test" && failed=1; }
done
node --test --test-concurrency=1 --test-reporter=spec "${tests[@]}" || failed=1

# Soft lock-ups and stalls are the emulator waiting for its host's CPUs.
if dmesg | grep -E 'BUG: |WARNING: |Oops: |Call Trace:' | grep -vE 'soft lockup|stall'; then
	echo "the kernel complained:"
	dmesg | grep -E -A 30 'BUG: |WARNING: |Oops: ' | head -100
	failed=1
fi
echo "up $(cut -d' ' -f1 /proc/uptime) s"
exit "$failed"
