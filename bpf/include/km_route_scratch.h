/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A request while it is decided: what the functions of the route engine, which take no pointers, share. */
#ifndef KM_ROUTE_SCRATCH_H
#define KM_ROUTE_SCRATCH_H

#include "km_http.h"
#include "km_route_tables.h"
#include <bpf/bpf_helpers.h>

/* Decisions that may go on at once on one CPU: sk_msg programs can be preempted by each other. */
#define KM_ROUTE_SLOTS 8
/* Where the draw's digits and the comma between values stand, behind the head. */
#define KM_ROUTE_DIGITS (KM_ROUTE_MAX_HEAD)
#define KM_ROUTE_COMMA	(KM_ROUTE_MAX_HEAD + 8)

/* Keeps the compiler from moving a bound that the verifier has to see on this very register. */
#define km_route_opaque(value) asm volatile("" : "+r"(value))

/* An index of no header. */
#define KM_ROUTE_NONE 0xff

struct km_route_scratch {
	struct km_route_request request;
	struct km_route_result result;
	__u32 generation[2];
	/* km_route_walk(): what to step over. */
	__u32 state;
	__u32 classes;
	__u32 position;
	__u32 remaining;
	/* The virtual host that was found. */
	__u32 lookups;
	__u32 lookup_count;
	__u32 summary_words;
	__u32 changed;
	/* km_route_next(): words of 64 routes that are still to be looked at, of which summary. */
	__u64 words;
	__u32 summary;
	__u32 unused;
	/* Whose request it is: km_source says what it is to the table. 0: `request.source` says it already.
	 */
	__u64 workload;
	/* The sets of each lookup. */
	__u32 any[KM_ROUTE_MAX_LOOKUPS];
	__u32 chosen[KM_ROUTE_MAX_LOOKUPS];
	/* Headers of a name: first and last, and the next of each header. */
	__u8 first[KM_ROUTE_MAX_NAMES];
	__u8 last[KM_ROUTE_MAX_NAMES];
	__u8 next[KM_ROUTE_MAX_HEADERS];
	struct km_http_head head;
	struct km_http_parser parser;
	/* The head; a block may be read from its last byte on. */
	__u8 bytes[KM_ROUTE_MAX_HEAD + 64];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KM_ROUTE_SLOTS);
	__type(key, __u32);
	__type(value, struct km_route_scratch);
} km_route_scratch SEC(".maps");

static __always_inline struct km_route_scratch *km_route_slot(__u32 slot)
{
	return bpf_map_lookup_elem(&km_route_scratch, &slot);
}

/* The blob, if it is still the one that the decision began with. */
static __always_inline bool km_route_same(const struct km_route_scratch *scratch, __u32 handle,
					  struct km_route_blob *blob)
{
	if (!km_route_find(handle, blob))
		return false;
	return blob->units[1] == *(const __u64 *)scratch->generation;
}

#endif
