/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which cluster the first requests of a service's connections go to, as far as they agree: written where they
 * are decided, read when the next client's SYN comes (km_ahead.h).
 */
#ifndef KM_HABIT_H
#define KM_HABIT_H

#include "km_flow.h"
#include "km_hash.h"

#define KM_HABITS     4096 /* a power of two; two services that share one only guess less */
#define KM_HABIT_SURE 8	   /* so many in a row */

struct km_habit {
	__u64 cluster;
	__u32 times; /* in a row, up to KM_HABIT_SURE */
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KM_HABITS);
	__type(key, __u32);
	__type(value, struct km_habit);
} km_habit SEC(".maps");

static __always_inline struct km_habit *km_habit_of(const struct km_flow_key *key)
{
	__u32 index = (km_hash_addr(key->server) ^ key->server_port) & (KM_HABITS - 1);

	return bpf_map_lookup_elem(&km_habit, &index);
}

/* A connection's first request goes to this cluster. */
static __always_inline void km_habit_learn(const struct km_flow_key *key, __u64 cluster)
{
	struct km_habit *habit = km_habit_of(key);

	if (!habit)
		return;
	if (habit->cluster != cluster) {
		habit->times = 0;
		habit->cluster = cluster;
	} else if (habit->times < KM_HABIT_SURE) {
		habit->times += 1;
	}
}

#endif
