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
#include "km_endpoint_stats.h"
#include "km_hash.h"

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

/*
 * So many slots are tried for an endpoint that is usable and not to be avoided: a slot may name one that is
 * just being removed. The first few of them at random, where the policy is; the next ones in their order,
 * which finds every endpoint of up to that many.
 */
#define KM_PICK_TRIES  64
#define KM_PICK_RANDOM 4
#define KM_NS_PER_S    1000000000ULL
#define KM_SLOT_ALWAYS 0xffffffffU

static __always_inline bool km_read_listener(const struct km_listener_key *key,
					     struct km_found_listener *found)
{
	struct km_listener *listener = bpf_map_lookup_elem(&km_listener, key);

	if (!listener)
		return false;
	bpf_spin_lock(&listener->lock);
	found->cluster = listener->cluster;
	found->mode = listener->mode;
	found->routes = listener->routes;
	bpf_spin_unlock(&listener->lock);
	return found->cluster != 0;
}

/* The listener that serves a destination; false when none does. An exact address wins over a listener on
 * every address. */
static __always_inline bool km_find_listener(const struct km_listener_key *key,
					     struct km_found_listener *found)
{
	struct km_listener_key any = {};

	found->cluster = 0;
	/* 0.0.0.0 and :: as a destination mean this host; as a key they are the listener on every address. */
	if (km_addr_is_unspecified(key->addr))
		return false;
	if (km_read_listener(key, found))
		return true;
	if (km_addr_is_loopback(key->addr))
		return false;
	if (km_addr_is4(key->addr))
		any.addr[2] = KM_MAPPED_WORD;
	any.port = key->port;
	any.protocol = key->protocol;
	return km_read_listener(&any, found);
}

static __always_inline bool km_endpoint_usable(__u64 id, __u64 cluster_id)
{
	struct km_endpoint *endpoint = bpf_map_lookup_elem(&km_endpoint, &id);

	return endpoint && endpoint->usable && endpoint->cluster == cluster_id;
}

static __always_inline __u32 km_endpoint_active(__u64 id)
{
	struct km_endpoint_stats *stats = bpf_map_lookup_elem(&km_endpoint_stats, &id);

	return stats ? stats->active : 0;
}

/* An endpoint that a slot names and that can take a connection, 0 when none can; `avoid` is none. */
__noinline __u64 km_slot_endpoint(__u32 index, __u64 cluster_id, __u64 avoid)
{
	struct km_slot *slot = bpf_map_lookup_elem(&km_slot, &index);
	__u64 id, other;

	if (!slot)
		return 0;
	id = slot->endpoint;
	other = slot->alias;
	if (slot->threshold != KM_SLOT_ALWAYS && bpf_get_prandom_u32() > slot->threshold) {
		id = other;
		other = slot->endpoint;
	}
	if (id != avoid) {
		if (km_endpoint_usable(id, cluster_id))
			return id;
		km_count(KM_COUNTER_ENDPOINT_RETRIED);
	}
	return other != id && other != avoid && km_endpoint_usable(other, cluster_id) ? other : 0;
}

static __always_inline __u32 km_random_below(__u32 limit)
{
	return ((__u64)bpf_get_prandom_u32() * limit) >> 32;
}

/* Of two slots the endpoint with fewer open requests, of equals the first (Mitzenmacher 2001). `run` is the
 * first slot and how many, 32 bits each. */
__noinline __u64 km_less_busy(__u64 run, __u64 cluster_id, __u64 avoid)
{
	__u32 one = km_random_below(run);
	__u64 id = km_slot_endpoint((run >> 32) + one, cluster_id, avoid);
	__u64 second;

	if ((__u32)run < 2)
		return id;
	/* Another slot, not the same one again: of two endpoints both are always looked at. */
	one += 1 + km_random_below((__u32)run - 1);
	second = km_slot_endpoint((run >> 32) + one % (__u32)run, cluster_id, avoid);
	if (!id || !second)
		return id ? id : second;
	return km_endpoint_active(second) < km_endpoint_active(id) ? second : id;
}

/*
 * An endpoint by trying slots of a run from `index` on; with `draw` the first few are drawn. 5.10 would
 * follow a counter that goes round by a branch through all pairs of its values and the step's: so it is a
 * remainder.
 */
__noinline __u64 km_try_slots(__u64 run, __u32 index, __u32 draw, __u64 cluster_id, __u64 avoid)
{
	__u32 step;

	for (step = 0; step < KM_PICK_TRIES; step++) {
		__u64 id;

		/* Taken apart in each turn: two numbers would be kept on the stack. */
		asm volatile("" : "+r"(run));
		id = km_slot_endpoint((run >> 32) + (index + step) % (__u32)run, cluster_id, avoid);
		if (id)
			return id;
		if (draw && step < KM_PICK_RANDOM - 1)
			index = bpf_get_prandom_u32() >> 8;
	}
	return 0;
}

/* The endpoint that a client stays on, 0 when there is none. In functions of their own: so their keys are on
 * no other's stack, of which 5.10 gives 512 bytes to all frames together. */
__noinline __u64 km_kept_by_affinity(__u64 cluster_id, __u64 netns, __u32 seconds, __u64 avoid)
{
	struct km_affinity_key key = {.cluster = cluster_id, .netns = netns};
	struct km_affinity *affinity = bpf_map_lookup_elem(&km_affinity, &key);
	__u64 now = bpf_ktime_get_ns();
	__u64 id;

	if (!affinity || now - affinity->used_ns >= (__u64)seconds * KM_NS_PER_S)
		return 0;
	id = affinity->endpoint;
	if (id == avoid || !km_endpoint_usable(id, cluster_id))
		return 0;
	affinity->used_ns = now;
	return id;
}

#define KM_AFFINITY_LOCKS 256

/* By cluster and namespace: entries of an LRU map cannot have locks of their own. */
struct km_affinity_lock {
	struct bpf_spin_lock lock;
	__u32 taken;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KM_AFFINITY_LOCKS);
	__type(key, __u32);
	__type(value, struct km_affinity_lock);
} km_affinity_lock SEC(".maps");

/* Writes an entry that is as it was seen; false when it is not any more. */
static __always_inline bool km_take_affinity(struct km_affinity *held, const struct km_affinity *seen,
					     const struct km_affinity *wanted, __u32 number)
{
	struct km_affinity_lock *lock = bpf_map_lookup_elem(&km_affinity_lock, &number);
	bool same;

	if (!lock)
		return true;
	bpf_spin_lock(&lock->lock);
	lock->taken += 1;
	same = held->endpoint == seen->endpoint && held->used_ns == seen->used_ns;
	if (same) {
		held->endpoint = wanted->endpoint;
		held->used_ns = wanted->used_ns;
	}
	bpf_spin_unlock(&lock->lock);
	return same;
}

/*
 * Keeps a client on an endpoint, and returns the one that it is on: of two first requests at once, on two
 * CPUs, one is remembered and serves both.
 */
__noinline __u64 km_keep_by_affinity(__u64 cluster_id, __u64 netns, __u64 endpoint, __u32 seconds,
				     __u64 avoid)
{
	struct km_affinity_key key = {.cluster = cluster_id, .netns = netns};
	struct km_affinity wanted = {.endpoint = endpoint, .used_ns = bpf_ktime_get_ns()};
	struct km_affinity seen, *held;

	if (!bpf_map_update_elem(&km_affinity, &key, &wanted, BPF_NOEXIST))
		return endpoint;
	held = bpf_map_lookup_elem(&km_affinity, &key);
	if (!held)
		return endpoint;
	seen.endpoint = held->endpoint;
	seen.used_ns = held->used_ns;
	if (wanted.used_ns - seen.used_ns < (__u64)seconds * KM_NS_PER_S || seen.used_ns > wanted.used_ns) {
		if (seen.endpoint != avoid && km_endpoint_usable(seen.endpoint, cluster_id))
			return seen.endpoint;
	}
	if (km_take_affinity(held, &seen, &wanted, (cluster_id ^ netns) & (KM_AFFINITY_LOCKS - 1)))
		return endpoint;
	return held->endpoint;
}

/*
 * The id of an endpoint of a cluster, 0 when none is usable, which is counted. netns is the client's
 * namespace cookie: what ClientIP session affinity goes by, since the client's address is not yet chosen in
 * connect(). `hash` is for Maglev, 0 for none. `avoid` is an endpoint that just failed: it is taken again
 * only where there is no other.
 *
 * A global function, and its parts too: the verifier checks each once, wherever it is called. They take and
 * give numbers only, as 5.10 wants it; the caller looks the endpoint up.
 */
static __always_inline __u64 km_pick_of(struct km_cluster *cluster, __u64 cluster_id, __u64 netns, __u32 hash,
					__u64 avoid)
{
	__u32 first, slots, policy, affinity_s, hashed, index;
	struct km_cluster_stats *stats = NULL;
	__u64 id = 0;

	/* Read ahead of the lock, under which no map can be looked up; policy is read again under it. */
	if (cluster->policy == KM_POLICY_ROUND_ROBIN)
		stats = bpf_map_lookup_elem(&km_cluster_stats, &cluster_id);
	bpf_spin_lock(&cluster->lock);
	first = cluster->first;
	slots = cluster->slots;
	policy = cluster->policy;
	affinity_s = cluster->affinity_s;
	hashed = cluster->hash;
	index = 0;
	if (stats && policy == KM_POLICY_ROUND_ROBIN && slots != 0) {
		index = stats->next % slots;
		stats->next += 1;
	}
	bpf_spin_unlock(&cluster->lock);
	if (slots == 0)
		goto refused;

	if (affinity_s) {
		id = km_kept_by_affinity(cluster_id, netns, affinity_s, avoid);
		if (id)
			return id;
	}
	/* In connect() the client's address is that of its namespace, as far as anybody knows. */
	if (policy == KM_POLICY_MAGLEV && !hash && hashed == KM_HASH_SOURCE && netns)
		hash = km_hash_number(netns);
	if (policy == KM_POLICY_LEAST_REQUEST)
		id = km_less_busy((__u64)first << 32 | slots, cluster_id, avoid);
	if (!id) {
		bool drawn = policy != KM_POLICY_ROUND_ROBIN && !(policy == KM_POLICY_MAGLEV && hash);

		if (drawn)
			index = km_random_below(slots);
		else if (policy == KM_POLICY_MAGLEV)
			index = hash % slots;
		id = km_try_slots((__u64)first << 32 | slots, index, drawn, cluster_id, avoid);
	}
	if (!id && avoid && km_endpoint_usable(avoid, cluster_id))
		id = avoid;
	if (!id)
		goto refused;
	return affinity_s ? km_keep_by_affinity(cluster_id, netns, id, affinity_s, avoid) : id;
refused:
	stats = bpf_map_lookup_elem(&km_cluster_stats, &cluster_id);
	if (stats)
		__sync_fetch_and_add(&stats->refused, 1);
	km_count(KM_COUNTER_REFUSED_NO_ENDPOINT);
	return 0;
}

__noinline __u64 km_pick_endpoint(__u64 cluster_id, __u64 netns, __u32 hash, __u64 avoid)
{
	struct km_cluster *cluster = bpf_map_lookup_elem(&km_cluster, &cluster_id);

	return cluster ? km_pick_of(cluster, cluster_id, netns, hash, avoid) : 0;
}

#endif
