/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The SYNs that a client sends to an HTTP service: answered here, or sent on where the endpoint can be
 * foreseen. */
#ifndef KM_SHAKE_H
#define KM_SHAKE_H

#include "km_ahead.h"

/* The client is answered at once, or when a half that is opened ahead has an answer. */
__noinline int km_shake(struct __sk_buff *skb)
{
	__u32 gate;
	int way;

	KM_FIND_FLOW(KM_WAY_DROP);
	if (km_read_syn(skb))
		return KM_WAY_DROP;
	if (!(f->flags & KM_FLOW_SHAKEN)) {
		gate = w->syn.mss & ~((1U << KM_WINDOW_SCALE) - 1);
		if (gate > KM_MAX_GATE)
			gate = KM_MAX_GATE;
		if (gate < KM_MIN_GATE)
			gate = KM_MIN_GATE;
		f->gate = gate;
		f->mss = w->syn.mss;
		f->client_scale = w->syn.scale == 0xff ? 0 : w->syn.scale;
		f->isn = bpf_get_prandom_u32();
		f->base = w->p.seq + 1;
		f->req_end = f->base;
		f->flags |= KM_FLOW_SHAKEN;
		if (w->outside)
			km_learn_client(f, skb->ifindex);
		else
			f->flags |= KM_FLOW_INSIDE;
		if (w->syn.scale == 0xff)
			f->flags |= KM_FLOW_NO_SCALE;
		if (!w->syn.sack)
			f->flags |= KM_FLOW_NO_SACK;
		way = km_open_ahead(skb);
		if (way != KM_WAY_PASS)
			return way;
	}
	/* It came again: the client does not wait any longer for an endpoint that it may never ask. Only then
	 * are the flags written: sk_msg does, too, as soon as the client is connected.
	 */
	if (f->flags & KM_FLOW_AHEAD)
		f->flags &= ~KM_FLOW_AHEAD;
	return km_answer_syn(skb, w, f);
}

/* Whether the SYN is a half's, made of an endpoint's packet: it comes here on its way to the network. */
static __always_inline bool km_is_own_syn(const struct km_work *w, const struct km_wire *wire)
{
	struct km_flow *f = bpf_map_lookup_elem(&km_flow, &wire->flow);
	struct km_half *half;

	if (!f)
		return false;
	half = &f->half[wire->half & (KM_HALVES - 1)];
	return half->state == KM_HALF_CONNECTING && half->snd_nxt == w->p.seq;
}

/*
 * A SYN that no flow was made for: its socket is none of the mesh's, or the table was full, which the client
 * is told at once.
 */
__noinline int km_stray_syn(struct __sk_buff *skb)
{
	struct km_work *w = km_worked();
	struct km_wire *wire;

	if (!w)
		return KM_WAY_PASS;
	/*
	 * A program has bound a port of those that halves use, and asks for an endpoint itself: two
	 * connections of one tuple cannot be told apart. Its next SYN comes in a second.
	 */
	wire = bpf_map_lookup_elem(&km_wire, &w->key);
	if (wire) {
		if (wire->state == KM_WIRE_LIVE) {
			if (km_is_own_syn(w, wire))
				return KM_WAY_PASS;
			km_count(KM_COUNTER_STALE_TUPLE);
			return KM_WAY_DROP;
		}
		bpf_map_delete_elem(&km_wire, &w->key);
	}
	if (bpf_map_delete_elem(&km_refused, &w->key))
		return KM_WAY_PASS;
	km_count(KM_COUNTER_FLOW_FULL);
	return km_to_client(skb, w, 0, w->p.seq + 1, KM_TCP_RST | KM_TCP_ACK, 0);
}

#endif
