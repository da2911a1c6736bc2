/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What went wrong, by reason: counted per CPU, read by the daemon. */
#ifndef KM_COUNTERS_H
#define KM_COUNTERS_H

#include "km_types.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KM_COUNTER_MAX);
	__type(key, __u32);
	__type(value, __u64);
} km_counters SEC(".maps");
static __always_inline void km_count(__u32 counter)
{
	__u64 *n = bpf_map_lookup_elem(&km_counters, &counter);

	if (n)
		*n += 1;
}

#endif
