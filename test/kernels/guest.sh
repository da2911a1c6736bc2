#!/bin/bash
# Runs in the guest: loads every object, runs the layer 4 scenarios, fails when the kernel complained.
# Emulated time is slow and uneven: KMESH_SLOW=1 tells the scenarios to allow for it.
set -uo pipefail
cd "$CHECKOUT" || exit 1
export KMESH_SLOW=1
PATH=$(dirname "$(tools/node.sh)"):$PATH
failed=0

echo "kernel $(uname -r), up $(cut -d' ' -f1 /proc/uptime) s"
test/kernels/load-objects.sh || failed=1

# shellcheck disable=SC2086 # a list of files
node --test --test-concurrency=1 --test-reporter=spec ${KMESH_SCENARIOS:-test/scenarios/*.test.ts} || failed=1

if dmesg | grep -E 'BUG:|WARNING:|Oops|Call Trace|stall'; then
	echo "the kernel complained:"
	dmesg | tail -100
	failed=1
fi
echo "up $(cut -d' ' -f1 /proc/uptime) s"
exit "$failed"
