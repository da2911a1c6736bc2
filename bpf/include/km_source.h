/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a workload that sends requests is to a route table: which of the table's predicates over the source
 * (labels, namespace) hold for it. Rows of a table are there before the table is, and stay until nothing
 * reads it any more. A workload without a row has no bit.
 */
#ifndef KM_SOURCE_H
#define KM_SOURCE_H

#include "km_route.h"
#include "km_types.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct km_source_key);
	__type(value, struct km_source);
} km_source SEC(".maps");

/* Fills in the bits of a request's source, for the table of that generation. */
static __always_inline void km_source_bits(__u64 generation, __u64 workload, __u64 bits[KM_ROUTE_SOURCES])
{
	struct km_source_key key = {.generation = generation, .workload = workload};
	struct km_source *row = bpf_map_lookup_elem(&km_source, &key);
	__u64 first = 0, second = 0, third = 0, fourth = 0;

	if (row) {
		bpf_spin_lock(&row->lock);
		first = row->bits[0];
		second = row->bits[1];
		third = row->bits[2];
		fourth = row->bits[3];
		bpf_spin_unlock(&row->lock);
	}
	bits[0] = first;
	bits[1] = second;
	bits[2] = third;
	bits[3] = fourth;
}

#endif
