#!/bin/bash
# load-objects.sh: every eBPF object must pass this kernel's verifier, by bpftool alone. Of a refusal the last lines are
# shown: the reason stands there.
set -euo pipefail
checkout=$(readlink -f "$(dirname "$(readlink -f "$0")")/../..")
pins=/sys/fs/bpf/load-objects
refused=0
for object in "$checkout"/build/bpf/*.bpf.o; do
	name=$(basename "$object" .bpf.o)
	[ "$name" != layout ] || continue # holds types only
	mkdir -p "$pins"
	if log=$(timeout 120 bpftool prog loadall "$object" "$pins" 2>&1); then
		echo "loaded $name: $(find "$pins" -type f -printf '%f\n' | sort | paste -sd ' ')"
	else
		echo "REFUSED $name"
		tail -40 <<<"$log"
		refused=1
	fi
	rm -rf "$pins"
done
exit "$refused"
