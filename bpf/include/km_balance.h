/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* From an address to an endpoint: listener, cluster, slot, endpoint. */
/*
 * Table sizes are the defaults for 10 000 services of 10 endpoints with several ports and both address
 * families; each has a daemon flag. Tables that user space fills are not preallocated: they cost what they
 * hold.
 */
#ifndef KM_BALANCE_H
#define KM_BALANCE_H

#include "km_addr.h"
#include "km_counters.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 131072);
	__type(key, struct km_listener_key);
	__type(value, struct km_listener);
} km_listener SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 131072);
	__type(key, __u64);
	__type(value, struct km_cluster);
} km_cluster SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 131072);
	__type(key, __u64);
	__type(value, struct km_cluster_stats);
} km_cluster_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1048576);
	__type(key, __u32);
	__type(value, struct km_slot);
} km_slot SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 524288);
	__type(key, __u64);
	__type(value, struct km_endpoint);
} km_endpoint SEC(".maps");

/* LRU on purpose: an evicted client is balanced anew. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct km_affinity_key);
	__type(value, struct km_affinity);
} km_affinity SEC(".maps");

/* A slot may name an endpoint that is just being removed; so many other slots are tried. */
#define KM_PICK_TRIES 4
#define KM_NS_PER_S   1000000000ULL

/* What a listener says at one moment. */
struct km_listening {
	__u64 cluster; /* 0: nothing listens */
	__u32 routes;
	__u32 mode;
};

static __always_inline void km_listener_read(struct km_listener *listener, struct km_listening *says)
{
	bpf_spin_lock(&listener->lock);
	says->cluster = listener->cluster;
	says->routes = listener->routes;
	says->mode = listener->mode;
	bpf_spin_unlock(&listener->lock);
}

/* The listener that serves a destination. An exact address wins over a listener on every address. */
static __always_inline void km_find_listener(struct km_listener_key *key, struct km_listening *says)
{
	struct km_listener *listener = bpf_map_lookup_elem(&km_listener, key);
	struct km_listener_key any = {};

	says->cluster = 0;
	says->routes = 0;
	says->mode = KM_LISTENER_TCP;
	/* 0.0.0.0 and :: as a destination mean this host; as a key they are the listener on every address. */
	if (km_addr_is_unspecified(key->addr))
		return;
	if (listener) {
		km_listener_read(listener, says);
		if (says->cluster)
			return;
	}
	if (km_addr_is_loopback(key->addr))
		return;
	if (km_addr_is4(key->addr))
		any.addr[2] = KM_MAPPED_WORD;
	any.port = key->port;
	any.protocol = key->protocol;
	listener = bpf_map_lookup_elem(&km_listener, &any);
	if (listener)
		km_listener_read(listener, says);
}

/*
 * One endpoint of a cluster, NULL when none is usable. netns is the client's namespace cookie: what ClientIP
 * session affinity goes by, since the client's address is not yet chosen in connect().
 */
static __always_inline struct km_endpoint *km_pick_endpoint(__u64 cluster_id, __u64 netns, __u64 *endpoint_id)
{
	struct km_affinity_key affinity_key = {.cluster = cluster_id, .netns = netns};
	struct km_cluster_stats *stats = NULL;
	struct km_cluster *cluster = bpf_map_lookup_elem(&km_cluster, &cluster_id);
	__u32 first, slots, policy, affinity_s, index, step;
	struct km_endpoint *endpoint;
	__u64 now = 0;
	__u64 id;

	if (!cluster)
		return NULL;
	/* Read ahead of the lock, under which no map can be looked up; policy is read again under it. */
	if (cluster->policy == KM_POLICY_ROUND_ROBIN)
		stats = bpf_map_lookup_elem(&km_cluster_stats, &cluster_id);
	bpf_spin_lock(&cluster->lock);
	first = cluster->first;
	slots = cluster->slots;
	policy = cluster->policy;
	affinity_s = cluster->affinity_s;
	index = 0;
	if (stats && policy == KM_POLICY_ROUND_ROBIN && slots != 0) {
		index = stats->next % slots;
		stats->next += 1;
	}
	bpf_spin_unlock(&cluster->lock);
	if (slots == 0)
		goto refused;

	if (affinity_s) {
		struct km_affinity *affinity = bpf_map_lookup_elem(&km_affinity, &affinity_key);

		now = bpf_ktime_get_ns();
		if (affinity && now - affinity->used_ns < (__u64)affinity_s * KM_NS_PER_S) {
			id = affinity->endpoint;
			endpoint = bpf_map_lookup_elem(&km_endpoint, &id);
			if (endpoint && endpoint->usable && endpoint->cluster == cluster_id) {
				affinity->used_ns = now;
				goto picked;
			}
		}
	}

#pragma unroll
	for (step = 0; step < KM_PICK_TRIES; step++) {
		struct km_slot *slot;

		if (policy == KM_POLICY_ROUND_ROBIN)
			index = step == 0 ? index : (index + 1 < slots ? index + 1 : 0);
		else
			index = ((__u64)bpf_get_prandom_u32() * slots) >> 32;
		policy = policy == KM_POLICY_ROUND_ROBIN ? KM_POLICY_ROUND_ROBIN : KM_POLICY_RANDOM;
		id = first + index;
		__u32 at = (__u32)id;

		slot = bpf_map_lookup_elem(&km_slot, &at);
		if (!slot)
			continue;
		id = slot->endpoint;
		if (slot->threshold != 0xffffffff && bpf_get_prandom_u32() > slot->threshold)
			id = slot->alias;
		endpoint = bpf_map_lookup_elem(&km_endpoint, &id);
		if (endpoint && endpoint->usable && endpoint->cluster == cluster_id)
			goto found;
		km_count(KM_COUNTER_ENDPOINT_RETRIED);
	}
	goto refused;
found:
	if (affinity_s) {
		struct km_affinity affinity = {.endpoint = id, .used_ns = now};

		bpf_map_update_elem(&km_affinity, &affinity_key, &affinity, BPF_ANY);
	}
picked:
	*endpoint_id = id;
	return endpoint;
refused:
	stats = bpf_map_lookup_elem(&km_cluster_stats, &cluster_id);
	if (stats)
		__sync_fetch_and_add(&stats->refused, 1);
	km_count(KM_COUNTER_REFUSED_NO_ENDPOINT);
	return NULL;
}

#endif
