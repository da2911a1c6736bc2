/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Decides a request by a compiled route table (km_route.h). What calls it fills the request and the head's bytes into a
 * scratch slot, calls km_route_decide() and reads the result there.
 *
 * The work is cut into global functions, which the verifier checks once each however often they are called, and
 * which keep their state in the scratch slot: so it passes from 5.10 on, where there is no bpf_loop and
 * where global functions take no pointers. Each of them looks the blob up anew. A table that is replaced meanwhile shows
 * by its generation, and the decision starts over: a request sees the old table or the new one.
 *
 * A blob is the one value of an array map inside km_route_N, whose values all have one size; a table goes
 * to the smallest that holds it. KMALLOC_MAX_SIZE limits a value to 4 MiB below 5.15.
 */
#ifndef KM_ROUTE_ENGINE_H
#define KM_ROUTE_ENGINE_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include "km_route.h"

/* Decisions that may go on at once on one CPU: sk_msg programs can be preempted by each other. */
#define KM_ROUTE_SLOTS 4
/* Bytes that one call of km_route_walk() steps over. */
#define KM_ROUTE_BLOCK	8
#define KM_ROUTE_BLOCKS 64
/* Calls for the longest text: whole runs of blocks, one more for each of the values that are joined, and ends. */
#define KM_ROUTE_MAX_WALKS   (KM_ROUTE_MAX_HEAD / (KM_ROUTE_BLOCK * KM_ROUTE_BLOCKS) + 2 * KM_ROUTE_MAX_HEADERS + 2)
#define KM_ROUTE_MAX_RETRIES 4
/* Where the draw's digits and the comma between values stand, behind the head. */
#define KM_ROUTE_DIGITS (KM_ROUTE_MAX_HEAD)
#define KM_ROUTE_COMMA	(KM_ROUTE_MAX_HEAD + 8)

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
	/* km_route_intersect() */
	__u32 word;
	__u32 unused;
	__u32 any[KM_ROUTE_MAX_LOOKUPS];
	__u32 chosen[KM_ROUTE_MAX_LOOKUPS];
	/* Headers of a name: first and last, and the next of each header. */
	__u8 first[KM_ROUTE_MAX_NAMES];
	__u8 last[KM_ROUTE_MAX_NAMES];
	__u8 next[KM_ROUTE_MAX_HEADERS];
	/* The head; a block may be read from its last byte on. */
	__u8 bytes[KM_ROUTE_MAX_HEAD + 64];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KM_ROUTE_SLOTS);
	__type(key, __u32);
	__type(value, struct km_route_scratch);
} km_route_scratch SEC(".maps");

/* clang-format off */
#define KM_ROUTE_TABLES(bits, entries)                                                                       \
	struct km_route_blob_##bits {                                                                        \
		__u64 units[1 << (bits - 3)];                                                                \
	};                                                                                                   \
	struct {                                                                                             \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                                    \
		__uint(max_entries, entries);                                                                \
		__type(key, __u32);                                                                          \
		__array(values, struct {                                                                     \
			__uint(type, BPF_MAP_TYPE_ARRAY);                                                    \
			__uint(max_entries, 1);                                                              \
			__type(key, __u32);                                                                  \
			__type(value, struct km_route_blob_##bits);                                          \
		});                                                                                          \
	} km_route_##bits SEC(".maps")
/* clang-format on */

KM_ROUTE_TABLES(14, 4096);
KM_ROUTE_TABLES(16, 1024);
KM_ROUTE_TABLES(18, 1024);
KM_ROUTE_TABLES(20, 256);
KM_ROUTE_TABLES(22, 64);

/* A table's number: the size of its blob in bits, and its place in km_route_N. */
#define KM_ROUTE_HANDLE(bits, index) ((bits) << 24 | (index))

/* A blob that the verifier knows the size of: units up to `mask` can be read. */
struct km_route_blob {
	const __u64 *units;
	__u64 mask;
};

#define KM_ROUTE_FIND(bits_)                                                                                 \
	case bits_:                                                                                          \
		inner = bpf_map_lookup_elem(&km_route_##bits_, &index);                                      \
		if (!inner)                                                                                  \
			return false;                                                                        \
		blob->units = bpf_map_lookup_elem(inner, &zero);                                             \
		blob->mask = (1 << (bits_ - 3)) - 1;                                                         \
		break

static __always_inline bool km_route_find(__u32 handle, struct km_route_blob *blob)
{
	__u32 index = handle & 0xffffff;
	__u32 zero = 0;
	void *inner;

	switch (handle >> 24) {
		KM_ROUTE_FIND(14);
		KM_ROUTE_FIND(16);
		KM_ROUTE_FIND(18);
		KM_ROUTE_FIND(20);
		KM_ROUTE_FIND(22);
	default:
		return false;
	}
	return blob->units;
}

static __always_inline __u64 km_route_unit(const struct km_route_blob *blob, __u64 unit)
{
	return blob->units[unit & blob->mask];
}

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
