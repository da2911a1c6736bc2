/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A half that is opened ahead: where the first requests of a service's connections all go to one cluster, the
 * client's SYN goes on to one of its endpoints, and that endpoint's SYN-ACK comes back as the service's. The
 * first request then finds a half that is open and needs no kick. If it goes elsewhere, the half waits for
 * another request, or for the end of the connection, as any other that is parked (docs/adr/022-ahead.md).
 */
#ifndef KM_AHEAD_H
#define KM_AHEAD_H

#include "km_habit.h"
#include "km_splice.h"

/* SYN-ACK in the service's name. The window is one segment: a kick fills it. No timestamps, no Fast Open
 * cookie, no MPTCP. */
static __always_inline int km_answer_syn(struct __sk_buff *skb, struct km_work *w, const struct km_flow *f)
{
	km_segment_to_client(&w->to, &w->key, f->isn, f->base, KM_TCP_SYN | KM_TCP_ACK, f->gate);
	w->to.syn = 1;
	w->to.mss = f->gate;
	w->to.scale = f->flags & KM_FLOW_NO_SCALE ? 0xff : KM_WINDOW_SCALE;
	w->to.sack = !(f->flags & KM_FLOW_NO_SACK);
	return km_make(skb) ? km_failed() : KM_WAY_CLIENT;
}

/* The cluster that the first request will most likely go to; 0: nobody knows. */
static __always_inline __u64 km_likely_cluster(const struct km_flow_key *key)
{
	struct km_habit *habit = km_habit_of(key);
	struct km_cluster *cluster;
	__u64 id;

	if (!habit || habit->times < KM_HABIT_SURE)
		return 0;
	id = habit->cluster;
	cluster = bpf_map_lookup_elem(&km_cluster, &id);
	/* What Maglev hashes is not there yet. That there is no endpoint is counted when somebody asks. */
	return cluster && cluster->slots && cluster->policy != KM_POLICY_MAGLEV ? id : 0;
}

/* Makes the client's SYN the half's; KM_WAY_PASS: there is none to open yet. */
__noinline int km_open_ahead(struct __sk_buff *skb)
{
	__u64 cluster, endpoint;

	KM_FIND_FLOW(KM_WAY_PASS);
	cluster = km_likely_cluster(&w->key);
	if (!cluster)
		return KM_WAY_PASS;
	endpoint = km_pick_endpoint(cluster, f->netns, 0, 0);
	if (!endpoint || km_half_choose(f, &w->key, KM_HALF_AHEAD, endpoint, cluster))
		return KM_WAY_PASS;
	f->flags |= KM_FLOW_AHEAD;
	return km_connect_half(skb, w, f, &f->half[KM_HALF_AHEAD]);
}

/* It is open, or was refused, which the first request need not know: now the client gets its SYN-ACK. */
static __always_inline int km_opened_ahead(struct __sk_buff *skb, struct km_work *w, struct km_flow *f,
					   __u32 index)
{
	if (index != KM_HALF_AHEAD || !(f->flags & KM_FLOW_AHEAD))
		return KM_WAY_DROP;
	f->flags &= ~KM_FLOW_AHEAD;
	return km_answer_syn(skb, w, f);
}

#endif
