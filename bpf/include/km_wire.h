/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Ports of halves on the wire, and the choice of the endpoint that a half goes to. */
#ifndef KM_WIRE_H
#define KM_WIRE_H

#include "km_balance.h"
#include "km_flow_end.h"

#define KM_WIRE_TRIES 8

/* Mixed into initial sequence numbers; drawn when the programs are loaded. */
const volatile __u32 km_secret = 0;

/* Ports handed out so far, per CPU: in rotation, so that a tuple comes round as late as it can. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} km_wire_next SEC(".maps");

/* Set by the first half that goes back into its client's pod: only from then on may a pod's packets of no
 * flow be an endpoint's. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} km_backs SEC(".maps");

/*
 * A clock per tuple (RFC 6528): ticks of 64 ns, so that an endpoint that remembers the tuple in TIME_WAIT
 * sees a number above the last one of it, unless that connection sent more than 15 MB a second.
 */
static __always_inline __u32 km_initial_seq(const struct km_flow_key *wire)
{
	__u32 h = km_secret ^ wire->client[3] ^ (wire->server[3] * 0x9e3779b1U);

	h ^= ((__u32)wire->client_port << 16 | wire->server_port) * 0x85ebca6bU;
	h ^= h >> 15;
	h *= 0xc2b2ae35U;
	return (__u32)(bpf_ktime_get_ns() >> 6) + h;
}

/*
 * Claims a port for a half towards its endpoint. Each CPU goes through the ports of its own, the remainder of
 * its number; a port whose last connection never ended is taken over after a minute.
 */
static __noinline int km_wire_claim(struct km_flow *f, const struct km_flow_key *key, struct km_half *half,
				    __u32 index)
{
	struct km_wire fresh = {.half = index};
	struct km_flow_key wire;
	__u32 zero = 0, count;
	__u32 *next = bpf_map_lookup_elem(&km_wire_next, &zero);
	int i;

	if (!f || !key || !half || !next)
		return -1;
	count = f->wire_count;
	if (!count)
		return -1;
	fresh.flow = *key;
	fresh.inside = !!(f->flags & KM_FLOW_INSIDE);
	half->wire_port = 0;
	km_wire_key(&wire, key, half);
	for (i = 0; i < KM_WIRE_TRIES; i++) {
		__u32 turn = *next;

		*next = turn + 1;
		turn = turn * 2 + (bpf_get_smp_processor_id() & 1);
		wire.client_port = bpf_htons(f->wire_first + turn % count);
		if (!bpf_map_update_elem(&km_wire, &wire, &fresh, BPF_NOEXIST)) {
			half->wire_port = wire.client_port;
			half->snd_nxt = km_initial_seq(&wire);
			return 0;
		}
		struct km_wire *other = bpf_map_lookup_elem(&km_wire, &wire);

		if (other && other->state != KM_WIRE_LIVE &&
		    bpf_ktime_get_ns() - other->closing_ns > KM_FLOW_GRACE_NS)
			bpf_map_delete_elem(&km_wire, &wire);
	}
	km_count(KM_COUNTER_WIRE_FULL);
	return -1;
}

/* The half is closed from our side; what the endpoint still says is answered by its wire entry alone. */
static __always_inline void km_wire_closing(const struct km_flow_key *key, const struct km_half *half,
					    __u8 state)
{
	struct km_flow_key wire;
	struct km_wire *entry;

	km_wire_key(&wire, key, half);
	entry = bpf_map_lookup_elem(&km_wire, &wire);
	if (!entry)
		return;
	entry->closing_ns = bpf_ktime_get_ns();
	entry->state = state;
}

/* Gives a half an endpoint and a port of its own. */
static __noinline int km_half_choose(struct km_flow *f, const struct km_flow_key *key, __u32 index, __u64 id,
				     __u64 cluster_id)
{
	struct km_endpoint *endpoint = bpf_map_lookup_elem(&km_endpoint, &id);
	struct km_cluster *cluster = bpf_map_lookup_elem(&km_cluster, &cluster_id);
	struct km_half *half;
	__u32 zero = 0, *backs;

	if (!f || !key || !endpoint || !cluster)
		return -1;
	half = &f->half[index & (KM_HALVES - 1)];
	half->state = KM_HALF_FREE;
	km_addr_copy(half->addr, endpoint->addr);
	half->port = endpoint->port;
	half->endpoint = id;
	half->cluster = cluster_id;
	half->destination = endpoint->workload;
	half->flags = 0;
	half->device = 0;
	if (km_addr_equal(half->addr, key->client) || (f->source && endpoint->workload == f->source)) {
		backs = bpf_map_lookup_elem(&km_backs, &zero);
		if (!backs)
			return -1;
		*backs = 1;
		half->flags = KM_HALF_BACK;
	}
	half->timeout_ms = cluster->connect_timeout_ms;
	if (!half->timeout_ms)
		half->timeout_ms = KM_CONNECT_TIMEOUT_MS;
	if (km_addr_is4(half->addr) != km_addr_is4(key->server))
		return -1;
	if (km_wire_claim(f, key, half, index))
		return -1;
	half->state = KM_HALF_CHOSEN;
	return 0;
}

#endif
