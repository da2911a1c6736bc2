/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What only one CPU may do with a connection at a time. Its packets are on two at once when a program moves
 * while it sends, when an acknowledgement makes its TCP send on, or when one packet is overtaken by the next;
 * and the virtual CPU of the slower one may stand still in the middle of it.
 */
#ifndef KM_WALK_H
#define KM_WALK_H

#include "km_flow.h"

#define KM_WALKS 1024

/* A lock for all connections of a client's port. */
struct km_walk {
	struct bpf_spin_lock lock;
	__u32 turns; /* how often it was taken */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KM_WALKS);
	__type(key, __u32);
	__type(value, struct km_walk);
} km_walk SEC(".maps");

static __always_inline struct km_walk *km_walk_of(const struct km_flow_key *key)
{
	__u32 lock = key->client_port & (KM_WALKS - 1);

	return bpf_map_lookup_elem(&km_walk, &lock);
}

#endif
