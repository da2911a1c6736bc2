/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Which endpoint a request goes to, and over which half. */
#ifndef KM_CHOOSE_H
#define KM_CHOOSE_H

#include "km_exchange.h"
#include "km_habit.h"
#include "km_message.h"
#include "km_request_hash.h"
#include "km_wire.h"

/* The half to an endpoint: one that is open to it, a free one, or the one that was used longest ago. */
static __always_inline __u32 km_find_half(struct km_flow *f, __u64 endpoint)
{
	__u32 free = KM_NO_HALF, oldest = 0, age = 0, i;

	if (f->current < KM_HALVES) {
		struct km_half *half = &f->half[f->current & (KM_HALVES - 1)];

		if (half->state == KM_HALF_OPEN && half->endpoint == endpoint)
			return f->current;
	}
	for (i = 0; i < KM_HALVES; i++) {
		struct km_half *half = &f->half[i];

		if (half->state == KM_HALF_OPEN && half->endpoint == endpoint)
			return i;
		if (half->state == KM_HALF_FREE) {
			free = i;
		} else if (i != f->current && half->state == KM_HALF_OPEN &&
			   f->requests - half->used >= age) {
			oldest = i;
			age = f->requests - half->used;
		}
	}
	return free != KM_NO_HALF ? free : oldest | KM_HALVES;
}

/* The endpoint of this connection's last request to a cluster, for clusters that stay with it. */
static __always_inline __u64 km_kept_endpoint(struct km_flow *f, __u64 cluster)
{
	__u64 kept = 0;
	__u32 i;

	for (i = 0; i < KM_HALVES; i++) {
		if (f->half[i].state == KM_HALF_OPEN && f->half[i].cluster == cluster)
			kept = f->half[i].endpoint;
	}
	return kept;
}

/* The endpoint that the connection is open to before its first request, if that goes to its cluster. */
static __always_inline __u64 km_endpoint_ahead(const struct km_flow *f, __u64 cluster)
{
	const struct km_half *half = &f->half[KM_HALF_AHEAD];

	if (half->state != KM_HALF_OPEN || half->cluster != cluster)
		return 0;
	return km_endpoint_usable(half->endpoint, cluster) ? half->endpoint : 0;
}

/*
 * Chooses endpoint and half. KM_NO_HALF: there is none, and the decision says what to answer. A half that is
 * not open yet needs a kick.
 */
static __noinline int km_choose_half(__u32 slot, struct km_flow *f, const struct km_message *message,
				     struct km_decision *d)
{
	struct km_cluster *cluster;
	struct km_half *half;
	__u64 cluster_id, endpoint = 0;
	__u32 index, hash;

	if (!f || !message || !d)
		return KM_NO_HALF;
	cluster_id = d->cluster;
	cluster = bpf_map_lookup_elem(&km_cluster, &cluster_id);
	if (!cluster) {
		/* The service that was asked for has a name. */
		f->next.cluster = d->listening.cluster;
		km_decide_status(d, 503, KM_REASON_NO_CLUSTER);
		return KM_NO_HALF;
	}
	/*
	 * The request before is not done with (its answer came early, or this one is pipelined): to go
	 * elsewhere would have to wait for it.
	 */
	if (message->busy && f->current < KM_HALVES) {
		half = &f->half[f->current & (KM_HALVES - 1)];
		if (half->state == KM_HALF_OPEN && half->cluster == cluster_id &&
		    !((f->now.flags ^ f->next.flags) & KM_HTTP_HEAD)) {
			f->next.cluster = cluster_id;
			km_exchange_moved(f, half);
			return f->current;
		}
	}
	if (!f->requests) {
		/* Where heads of answers are changed a half is opened with room for that (km_send_syn). */
		km_habit_learn(&message->key, f->flags & KM_FLOW_ANSWERS ? 0 : cluster_id);
		endpoint = km_endpoint_ahead(f, cluster_id);
	}
	if (!endpoint && cluster->per_connection)
		endpoint = km_kept_endpoint(f, cluster_id);
	if (!endpoint) {
		hash = km_hash_of_request(slot, cluster_id, cluster, km_hash_addr(message->key.client));
		endpoint = km_pick_of(cluster, cluster_id, f->netns, hash, 0);
	}
	if (!endpoint) {
		km_decide_status(d, 503, KM_REASON_NO_ENDPOINT);
		return KM_NO_HALF;
	}
	index = km_find_half(f, endpoint);
	if (index & KM_HALVES) {
		index &= KM_HALVES - 1;
		f->victim = f->half[index];
	}
	index &= KM_HALVES - 1;
	half = &f->half[index];
	if (half->state != KM_HALF_OPEN || half->endpoint != endpoint) {
		if (km_half_choose(f, &message->key, index, endpoint, cluster_id)) {
			km_decide_status(d, 503, KM_REASON_OVERFLOW);
			return KM_NO_HALF;
		}
	}
	half->retries = d->retries;
	half->used = f->requests;
	f->next.cluster = cluster_id;
	km_exchange_moved(f, half);
	return index;
}

#endif
