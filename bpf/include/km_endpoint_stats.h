/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What is counted of each endpoint. */
#ifndef KM_ENDPOINT_STATS_H
#define KM_ENDPOINT_STATS_H

#include "km_types.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 524288);
	__type(key, __u64);
	__type(value, struct km_endpoint_stats);
} km_endpoint_stats SEC(".maps");

#endif
