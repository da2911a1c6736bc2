/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The packets that endpoints send to a spliced connection's port. */
#ifndef KM_TO_CLIENT_H
#define KM_TO_CLIENT_H

#include "km_ahead.h"
#include "km_answer_edit.h"
#include "km_http_response.h"
#include "km_sockhash.h"
#include "km_splice.h"

/* The flow is gone, or the half is closed from our side: the wire entry knows enough to end it in order. */
__noinline int km_closing(struct __sk_buff *skb)
{
	struct km_work *w = km_worked();
	struct km_segment *to;
	struct km_wire *wire;
	struct km_packet *p;
	bool back;
	__u8 state;
	__u32 end;

	if (!w)
		return KM_WAY_DROP;
	p = &w->p;
	wire = bpf_map_lookup_elem(&km_wire, &w->wire);
	if (!wire)
		return KM_WAY_DROP;
	state = wire->state;
	back = !km_addr_equal(wire->flow.client, w->wire.client);
	end = p->seq + p->payload;
	if (p->flags & KM_TCP_RST) {
		bpf_map_delete_elem(&km_wire, &w->wire);
		return KM_WAY_DROP;
	}
	to = &w->to;
	km_addr_copy(to->from, w->wire.client);
	km_addr_copy(to->to, w->wire.server);
	to->from_port = w->wire.client_port;
	to->to_port = w->wire.server_port;
	to->syn = 0;
	to->window = 65535;
	to->seq = p->ack;
	to->ack = end;
	to->flags = KM_TCP_ACK;
	if (p->flags & KM_TCP_FIN) {
		to->ack = end + 1;
		if (state == KM_WIRE_CLOSED)
			to->flags |= KM_TCP_FIN;
		else
			bpf_map_delete_elem(&km_wire, &w->wire);
	} else if (state == KM_WIRE_CLOSING && !p->payload) {
		return KM_WAY_DROP;
	} else {
		/* The acknowledgement of our FIN, the last that comes; or data that nobody reads any more. */
		bpf_map_delete_elem(&km_wire, &w->wire);
		if (state == KM_WIRE_CLOSED && !p->payload)
			return KM_WAY_DROP;
		to->flags = KM_TCP_RST;
	}
	if (km_make(skb))
		return km_failed();
	return back ? KM_WAY_CLIENT : KM_WAY_NETWORK;
}

/* The answer to our SYN. */
__noinline int km_connecting(struct __sk_buff *skb, __u32 index)
{
	struct km_half *half;

	KM_FIND_FLOW(KM_WAY_DROP);
	index &= KM_HALVES - 1;
	half = &f->half[index];
	if (w->p.flags & KM_TCP_RST) {
		/* RFC 9293 §3.10.7.3: only one that acknowledges our SYN. */
		if (!(w->p.flags & KM_TCP_ACK) || w->p.ack != half->snd_nxt + 1)
			return KM_WAY_DROP;
		if (index == f->target && f->flags & KM_FLOW_KICK)
			return km_connect_other(skb, index);
		km_wire_release(&w->key, half);
		half->state = KM_HALF_FREE;
		return km_opened_ahead(skb, w, f, index);
	}
	if (w->p.flags & KM_TCP_ACK && w->p.ack != half->snd_nxt + 1) {
		/* It knows the tuple from a connection before (TIME_WAIT, or half open): reset that, and use
		 * a number that is new to it. The client's retransmission of the kick is the next try. */
		__u32 seq = w->p.ack;
		int way;

		km_count(KM_COUNTER_STALE_TUPLE);
		way = km_to_half(skb, w, f, half, seq, 0, KM_TCP_RST);
		if (way == KM_WAY_DROP)
			return way;
		half->snd_nxt = seq + 0x10000;
		km_clone_to_half(skb);
		return km_send_syn(skb, w, f, half);
	}
	if ((w->p.flags & (KM_TCP_SYN | KM_TCP_ACK)) != (KM_TCP_SYN | KM_TCP_ACK))
		return KM_WAY_DROP;
	if (km_read_syn(skb))
		return KM_WAY_DROP;
	half->scale = w->syn.scale == 0xff ? 0 : w->syn.scale;
	half->snd_nxt += 1;
	half->una = half->snd_nxt;
	half->rcv_nxt = w->p.seq + 1;
	half->acked = half->rcv_nxt; /* the request acknowledges the SYN-ACK */
	half->window = w->p.window;
	half->state = KM_HALF_OPEN;
	if (!(f->flags & KM_FLOW_INSIDE))
		half->device = km_may_cut(f) && !(half->flags & KM_HALF_BACK)
				       ? km_device_behind(skb->ingress_ifindex)
				       : 0;
	if (index != f->target || !(f->flags & KM_FLOW_KICK))
		return km_opened_ahead(skb, w, f, index);
	return km_release(skb, w, f, index, f->echo_ack);
}

/*
 * A half that waits for its next request: BPF is its TCP meanwhile. The end of the last answer is
 * acknowledged by the next request, as with a delayed ACK, or when the endpoint's TCP asks (a tail loss
 * probe, RFC 8985).
 */
__noinline int km_parked(struct __sk_buff *skb, __u32 index)
{
	struct km_half *half;
	__u32 end;

	KM_FIND_FLOW(KM_WAY_DROP);
	half = &f->half[index & (KM_HALVES - 1)];
	end = w->p.seq + w->p.payload;
	if (km_after(w->p.ack, half->una))
		half->una = w->p.ack;
	if (w->p.flags & KM_TCP_RST) {
		km_wire_release(&w->key, half);
		half->state = KM_HALF_FREE;
		return KM_WAY_DROP;
	}
	if (km_after(end, half->rcv_nxt)) {
		/* Bytes that no request asked for: nobody may take them for an answer. */
		km_wire_release(&w->key, half);
		half->state = KM_HALF_FREE;
		return km_to_half(skb, w, f, half, half->snd_nxt, end, KM_TCP_RST | KM_TCP_ACK);
	}
	if (w->p.flags & KM_TCP_FIN) {
		km_wire_closing(&w->key, half, KM_WIRE_CLOSED);
		half->state = KM_HALF_FREE;
		return km_to_half(skb, w, f, half, half->snd_nxt, end + 1, KM_TCP_FIN | KM_TCP_ACK);
	}
	half->window = (__u32)w->p.window << (half->scale & 15);
	if (w->p.payload || w->p.flags & KM_TCP_SYN || km_before(w->p.seq, half->rcv_nxt)) {
		half->acked = half->rcv_nxt;
		return km_to_half(skb, w, f, half, half->snd_nxt, half->rcv_nxt, KM_TCP_ACK);
	}
	return KM_WAY_DROP;
}

/* The endpoint aborts: so does the connection. */
__noinline int km_endpoint_reset(struct __sk_buff *skb)
{
	struct km_half *half;
	__u32 seq, ack;

	KM_FIND_FLOW(KM_WAY_DROP);
	half = &f->half[f->current & (KM_HALVES - 1)];
	seq = w->p.seq - half->ack_shift;
	ack = w->p.ack + half->seq_shift;
	if (!(w->p.flags & KM_TCP_ACK))
		ack = half->una + half->seq_shift;
	km_exchange_abandon(f, &w->key, half->rcv_nxt - f->now.rcv_start, KM_REASON_ENDPOINT_GONE);
	km_wire_release(&w->key, half);
	half->state = KM_HALF_FREE;
	if (km_parks(f))
		km_end_halves(skb, KM_END_RESET | KM_END_ALL);
	f->current = KM_NO_HALF;
	f->flags |= KM_FLOW_CLOSE;
	km_flow_done(f, &w->key);
	return km_to_client(skb, w, seq, ack, KM_TCP_RST | KM_TCP_ACK, 0);
}

/*
 * Follows the answer far enough to know its status and its end. Bytes that overtook others are not read: with
 * a known length the end is known all the same, else the client's next request tells that there was one.
 * Returns whether the packet has bytes of the next answer behind the end of this one.
 */
static __always_inline bool km_read_answer(struct __sk_buff *skb, struct km_work *w, struct km_flow *f,
					   struct km_half *half)
{
	__u32 end, last = w->p.seq + w->p.payload, skip = f->answer_seq - w->p.seq;
	bool done = false, more = false;

	if (w->p.payload && f->answer.phase != KM_RESPONSE_LENGTH) {
		if (skip < w->p.payload) {
			done = km_response_advance(skb, w->p.tcp + w->p.header + skip, w->p.payload - skip,
						   &f->answer, &end);
			f->answer_seq = done ? w->p.seq + skip + end : last;
			if (f->answer.phase == KM_RESPONSE_LENGTH)
				f->answer_seq = last + (__u32)f->answer.body.remaining;
			else if (f->answer.phase == KM_RESPONSE_OPAQUE)
				f->flags |= KM_FLOW_OPAQUE;
			else if (f->answer.phase == KM_RESPONSE_UNKNOWN)
				f->now.lost = 1;
		} else if (km_after(last, f->answer_seq) && f->answer.phase < KM_RESPONSE_UNTIL_CLOSE) {
			f->now.lost = 1;
		}
	}
	if (f->answer.phase == KM_RESPONSE_LENGTH)
		done = !km_before(half->rcv_nxt, f->answer_seq);
	if (done) {
		end = f->answer_seq;
		km_exchange_end(f, &w->key, end - f->now.rcv_start, f->answer.status, KM_REASON_NONE);
		/* One may be written just now that is to be answered next. */
		km_answer_begin(f, end);
		f->now.rcv_start = end;
		more = km_owed(f) && end - w->p.seq < w->p.payload;
		/* Others may set it just now. */
		if (!more && km_owed(f) && km_after(half->rcv_nxt, end))
			f->now.lost = 1;
	} else if (w->p.flags & KM_TCP_FIN) {
		km_exchange_abandon(f, &w->key, half->rcv_nxt - 1 - f->now.rcv_start,
				    f->answer.phase >= KM_RESPONSE_UNTIL_CLOSE ? KM_REASON_NONE
									       : KM_REASON_ENDPOINT_GONE);
	}
	return more;
}

/* Answers to pipelined requests that are read of one packet. */
#define KM_ANSWERS_A_PACKET 16

__noinline int km_read_next(struct __sk_buff *skb, __u32 index)
{
	KM_FIND_FLOW(0);
	return km_read_answer(skb, w, f, &f->half[index & (KM_HALVES - 1)]);
}

__noinline int km_read_others(struct __sk_buff *skb, __u32 index)
{
	__u32 i;

	for (i = 0; i < KM_ANSWERS_A_PACKET; i++) {
		if (!km_read_next(skb, index))
			return 0;
	}
	KM_FIND_FLOW(0);
	f->now.lost = 1;
	return 0;
}

/* Whether there is something to read for who follows the answer next. */
static __always_inline bool km_to_follow(const struct km_flow *f, const struct km_half *half, __u8 flags)
{
	if (f->answer.phase == KM_RESPONSE_LENGTH)
		return flags & KM_TCP_FIN || !km_before(half->rcv_nxt, f->answer_seq);
	return !f->now.lost;
}

/*
 * Moves the half's numbers on, up to `end`. Returns whether this CPU is to follow the answer in the packet:
 * one at a time does, until it clears f->following, and what others bring meanwhile is not read.
 */
static __always_inline bool km_half_received(struct km_work *w, struct km_flow *f, struct km_half *half,
					     __u32 end)
{
	bool bytes = w->p.payload || w->p.flags & KM_TCP_FIN;
	struct km_walk *walk = km_walk_of(&w->key);
	bool follows = false, more;

	if (!walk)
		return false;
	bpf_spin_lock(&walk->lock);
	more = km_after(end, half->rcv_nxt);
	if (more)
		half->rcv_nxt = end;
	if (km_after(w->p.ack, half->una))
		half->una = w->p.ack;
	if (bytes && km_owed(f) && !(f->flags & KM_FLOW_SWITCH)) {
		if (!f->following) {
			follows = km_to_follow(f, half, w->p.flags);
			f->following = follows;
		} else if (more) {
			f->now.lost = 1;
		}
	}
	walk->turns += 1;
	bpf_spin_unlock(&walk->lock);
	return follows;
}

/* A packet of the half that a wire entry names. */
static __always_inline int km_from_half(struct __sk_buff *skb, struct km_work *w, struct km_flow *f,
					struct km_half *half, __u32 index)
{
	__u32 end, seq, ack, window;
	bool changes = false;

	if (half->state != KM_HALF_OPEN)
		return km_connecting(skb, index);
	if (index != f->current)
		return km_parked(skb, index);
	if (w->p.flags & KM_TCP_RST)
		return km_endpoint_reset(skb);
	/* While a request is on its way to another half, this one sends what was before. */
	if (f->now.edits && !(f->flags & KM_FLOW_SWITCH) &&
	    (w->p.payload || km_after(w->p.seq, f->head_seq))) {
		int edit = km_answer_edit(skb, index);

		if (edit == KM_ANSWER_DROP)
			return KM_WAY_DROP;
		if (edit == KM_ANSWER_RESET)
			return km_endpoint_reset(skb);
		changes = edit == KM_ANSWER_EDIT;
	}
	end = w->p.seq + w->p.payload;
	if (w->p.flags & KM_TCP_SYN) /* our acknowledgement is still on its way */
		return km_to_half(skb, w, f, half, half->snd_nxt, half->rcv_nxt, KM_TCP_ACK);
	if (w->p.flags & KM_TCP_FIN) {
		end += 1;
		half->flags |= KM_HALF_FIN_SEEN;
	}
	half->window = (__u32)w->p.window << (half->scale & 15);
	if (km_half_received(w, f, half, end)) {
		if (km_read_answer(skb, w, f, half))
			km_read_others(skb, index);
		asm volatile("" ::: "memory");
		f->following = 0;
	}
	km_sock_follow(f);
	if (changes && km_answer_apply(skb))
		return km_failed();
	seq = km_to_pseudo(w, f, half, w->p.seq);
	ack = w->p.ack + half->seq_shift;
	/* Between requests the window is the gate; a kick that is on its way may not be followed by anything.
	 */
	window = half->window;
	if (f->flags & KM_FLOW_KICK) {
		/* Rounded up: the end of the request before must not wait for a window that shows as none. */
		__u32 room = km_before(ack, f->kick_seq) ? f->kick_seq - ack + (1U << KM_WINDOW_SCALE) - 1
							 : f->kick_end - ack;

		if (room < window)
			window = room;
	} else if (!(f->flags & (KM_FLOW_OPAQUE | KM_FLOW_CHUNKED)) && !km_before(ack, f->req_end)) {
		if (window > f->gate)
			window = f->gate;
	}
	if (w->p.header > sizeof(struct tcphdr) && km_shift_sack(skb, half->seq_shift))
		return km_failed();
	km_segment_to_client(&w->to, &w->key, seq, ack, w->p.flags, km_shown_window(f, window));
	if (km_translate(skb))
		return km_failed();
	if ((half->flags & (KM_HALF_FIN_SEEN | KM_HALF_FIN_SENT)) == (KM_HALF_FIN_SEEN | KM_HALF_FIN_SENT) &&
	    half->acked == half->rcv_nxt && half->una == half->snd_nxt)
		km_flow_done(f, &w->key);
	return KM_WAY_CLIENT;
}

/* The half's record, and with it the wire entry's flow and its index; NULL: closed, or none. */
static __always_inline struct km_half *km_half_of(struct km_work *w, struct km_wire *wire,
						  struct km_flow **flow, __u32 *index)
{
	struct km_half *half;
	struct km_flow *f;

	w->key = wire->flow;
	f = bpf_map_lookup_elem(&km_flow, &w->key);
	if (!f)
		return NULL;
	*index = wire->half & (KM_HALVES - 1);
	half = &f->half[*index];
	if (half->wire_port != w->wire.client_port || half->state == KM_HALF_FREE)
		return NULL;
	*flow = f;
	return half;
}

static __always_inline void km_wire_key_of(struct km_work *w)
{
	km_addr_copy(w->wire.client, w->p.to);
	km_addr_copy(w->wire.server, w->p.from);
	w->wire.client_port = w->p.to_port;
	w->wire.server_port = w->p.from_port;
}

/* A packet to a port of a half. */
static __always_inline int km_from_wire(struct __sk_buff *skb, struct km_work *w, struct km_wire *wire)
{
	struct km_half *half;
	struct km_flow *f;
	__u32 index;

	w->from_client = false;
	if (wire->state != KM_WIRE_LIVE)
		return km_closing(skb);
	half = km_half_of(w, wire, &f, &index);
	if (!half)
		return km_closing(skb);
	return km_from_half(skb, w, f, half, index);
}

static __always_inline int km_from_endpoint(struct __sk_buff *skb, struct km_work *w)
{
	struct km_wire *wire;

	km_wire_key_of(w);
	wire = bpf_map_lookup_elem(&km_wire, &w->wire);
	return wire ? km_from_wire(skb, w, wire) : KM_WAY_PASS;
}

/*
 * The same at the endpoint's own device, for a half that has learned it, and for one whose client is inside:
 * the endpoint's device is one of its own namespace (`outside` is made false). KM_WAY_PASS for all others:
 * they are met at the client's. So is a RST, which may have to tell other halves.
 */
static __always_inline int km_from_near_endpoint(struct __sk_buff *skb, struct km_work *w)
{
	struct km_wire *wire;
	struct km_half *half;
	struct km_flow *f;
	__u32 index;

	km_wire_key_of(w);
	wire = bpf_map_lookup_elem(&km_wire, &w->wire);
	if (!wire)
		return KM_WAY_PASS;
	if (wire->inside) {
		w->outside = false;
		return km_from_wire(skb, w, wire);
	}
	if (w->p.flags & KM_TCP_RST || wire->state != KM_WIRE_LIVE)
		return KM_WAY_PASS;
	half = km_half_of(w, wire, &f, &index);
	if (!half || half->state != KM_HALF_OPEN || half->device != skb->ifindex || !km_may_cut(f))
		return KM_WAY_PASS;
	w->from_client = false;
	w->device = f->device;
	return km_from_half(skb, w, f, half, index);
}

#endif
