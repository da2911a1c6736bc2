/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The packets that a client sends to an HTTP service. */
#ifndef KM_FROM_CLIENT_H
#define KM_FROM_CLIENT_H

#include "km_answer_edit.h"
#include "km_body.h"
#include "km_shake.h"

/* The client aborts: so does every half. */
__noinline int km_client_reset(struct __sk_buff *skb)
{
	KM_FIND_FLOW(KM_WAY_DROP);
	km_exchange_abandon(f, &w->key, 0, KM_REASON_CLIENT_GONE);
	/* A number of ours is the very one that an endpoint expects; the client's may lie behind a kick. */
	km_end_halves(skb, KM_END_RESET | KM_END_ALL);
	km_flow_delete(f, &w->key);
	return KM_WAY_DROP;
}

/* Bytes that no decision was made for: end it, both ways. */
__noinline int km_bypassed(struct __sk_buff *skb)
{
	__u32 seq, ack;

	KM_FIND_FLOW(KM_WAY_DROP);
	seq = w->p.ack;
	ack = w->p.seq;
	km_count(KM_COUNTER_BYPASSED);
	km_end_halves(skb, KM_END_RESET | KM_END_ALL);
	f->flags |= KM_FLOW_CLOSE;
	km_flow_done(f, &w->key);
	return km_to_client(skb, w, seq, ack, KM_TCP_RST | KM_TCP_ACK, 0);
}

/* All of a kick is here, and so all that the client may send: answer it, which lets the request go, once its
 * half is open and the one before owes nothing. */
__noinline int km_kicked(struct __sk_buff *skb)
{
	struct km_half *half;
	__u32 seen, index;
	__u64 now;

	KM_FIND_FLOW(KM_WAY_DROP);
	index = f->target & (KM_HALVES - 1);
	half = &f->half[index];
	seen = w->p.ack;
	f->echo_ack = seen;
	if (f->victim.state == KM_HALF_OPEN) {
		struct km_half *victim = &f->victim;

		if (km_to_half(skb, w, f, victim, victim->snd_nxt, victim->rcv_nxt,
			       KM_TCP_FIN | KM_TCP_ACK) != KM_WAY_DROP)
			km_clone_to_half(skb);
		km_wire_closing(&w->key, victim, KM_WIRE_CLOSING);
		victim->state = KM_HALF_FREE;
	}
	if (half->state == KM_HALF_CHOSEN)
		return km_connect_half(skb, w, f, half);
	if (half->state == KM_HALF_CONNECTING) {
		now = bpf_ktime_get_ns();
		if (now - half->syn_ns >= (__u64)half->timeout_ms * KM_NS_PER_MS)
			return km_connect_other(skb, index);
		km_count(KM_COUNTER_SYN_RETRIED);
		return km_send_syn(skb, w, f, half);
	}
	if (half->state != KM_HALF_OPEN) {
		/* It closed between the decision and now. */
		if (half->retries == 0)
			half->retries = 1;
		return km_connect_other(skb, index);
	}
	return km_release(skb, w, f, index, seen);
}

/* A packet that touches the kick: its own bytes, or what may not have been sent yet. */
static __always_inline int km_kick_part(struct __sk_buff *skb, struct km_work *w, struct km_flow *f)
{
	__u32 end = w->p.seq + w->p.payload;

	if (!km_before(w->p.seq, f->kick_end)) {
		km_count(KM_COUNTER_BEHIND_KICK);
		return KM_WAY_DROP;
	}
	if (km_after(end, f->kick_end))
		end = f->kick_end;
	if (km_after(end, f->kick_got))
		f->kick_got = end;
	if (km_before(f->kick_got, f->kick_end)) {
		__u32 room = f->kick_end - f->kick_got;

		return km_to_client(skb, w, w->p.ack, f->kick_got, KM_TCP_ACK,
				    km_shown_window(f, room + (1U << KM_WINDOW_SCALE) - 1));
	}
	km_count(KM_COUNTER_KICKS);
	return km_kicked(skb);
}

/* Bytes of a local reply: back they go. */
__noinline int km_echo(struct __sk_buff *skb)
{
	__u32 end, window;
	__u8 flags = KM_TCP_ACK | KM_TCP_PSH;

	KM_FIND_FLOW(KM_WAY_DROP);
	if (!(f->flags & KM_FLOW_ECHOING)) {
		if (!km_owes_nothing(f, w->p.ack)) {
			km_count(KM_COUNTER_HELD);
			return KM_WAY_DROP;
		}
		f->echo_ack = w->p.ack;
		f->flags |= KM_FLOW_ECHOING;
	}
	end = w->p.seq + w->p.payload;
	window = f->gate;
	if (km_after(end, f->echo_end))
		return KM_WAY_DROP;
	if (end != f->echo_end) {
		window = KM_REAL_WINDOW;
	} else if (f->flags & KM_FLOW_CLOSE) {
		flags |= KM_TCP_FIN;
		window = KM_REAL_WINDOW;
		f->flags |= KM_FLOW_FIN_SENT;
		f->fin_seq = f->echo_ack + (f->echo_end - f->echo_seq);
	}
	f->base = end;
	f->current = KM_NO_HALF;
	km_segment_to_client(&w->to, &w->key, f->echo_ack + (w->p.seq - f->echo_seq), end, flags,
			     km_shown_window(f, window));
	return km_translate(skb) ? km_failed() : KM_WAY_CLIENT;
}

/* No half has the client's bytes: between its connect() and its first request, or after a local reply. */
__noinline int km_unbound(struct __sk_buff *skb)
{
	__u32 end, ack, seq;
	__u8 flags = KM_TCP_ACK;

	KM_FIND_FLOW(KM_WAY_DROP);
	end = w->p.seq + w->p.payload;
	/* The client was reset, and the RST was lost, or stood behind bytes that were. */
	if ((f->flags & (KM_FLOW_DONE | KM_FLOW_FIN_SENT | KM_FLOW_CLIENT_FIN)) == KM_FLOW_DONE)
		return km_to_client(skb, w, w->p.ack, end, KM_TCP_RST | KM_TCP_ACK, 0);
	if (w->p.flags & KM_TCP_FIN) {
		ack = end + 1;
		seq = w->p.ack;
		if (!(f->flags & KM_FLOW_FIN_SENT))
			f->fin_seq = seq;
		f->flags |= KM_FLOW_FIN_SENT | KM_FLOW_CLIENT_FIN;
		f->base = ack;
		if (km_parks(f))
			km_end_halves(skb, 0);
		if (km_after(seq, f->fin_seq)) {
			km_flow_done(f, &w->key);
		} else {
			seq = f->fin_seq;
			flags |= KM_TCP_FIN;
		}
		return km_to_client(skb, w, seq, ack, flags, KM_REAL_WINDOW);
	}
	if (w->p.payload) {
		if (km_before(w->p.seq, f->base) && !km_after(end, f->base)) {
			if (f->flags & KM_FLOW_REFUSED)
				return km_refuse_request(skb);
			return km_to_client(skb, w, w->p.ack, f->base, KM_TCP_ACK,
					    km_shown_window(f, f->gate));
		}
		if (!(f->flags & KM_FLOW_CLOSE))
			return km_bypassed(skb);
		f->base = end;
		return km_to_client(skb, w, w->p.ack, end, KM_TCP_ACK, KM_REAL_WINDOW);
	}
	if (f->flags & KM_FLOW_CLIENT_FIN && km_after(w->p.ack, f->fin_seq)) {
		/* The last acknowledgement. */
		km_flow_done(f, &w->key);
		return KM_WAY_DROP;
	}
	if (km_before(w->p.seq, f->base))
		return km_to_client(skb, w, w->p.ack, f->base, KM_TCP_ACK, km_shown_window(f, f->gate));
	return KM_WAY_DROP;
}

#define KM_STOP_TRIES 5

/*
 * Bytes that were never decided lie behind `req_end`: they do not pass. When the client has the answers to
 * all that it asked before them it gets our FIN, and knows that they were not answered (RFC 9112 §9.3.2).
 * KM_WAY_PASS: the packet has none of them, and it is not time yet.
 */
__noinline int km_stop(struct __sk_buff *skb)
{
	__u32 seq, end;
	bool done;

	KM_FIND_FLOW(KM_WAY_DROP);
	seq = w->p.ack;
	end = w->p.seq + w->p.payload;
	if (f->current == KM_NO_HALF)
		done = f->base == f->req_end && f->flags & KM_FLOW_ECHOING &&
		       !km_before(seq, f->echo_ack + (f->echo_end - f->echo_seq));
	else
		done = (!km_owed(f) || f->stopped == KM_STOP_TRIES) && km_owes_nothing(f, seq);
	if (done && !(f->flags & (KM_FLOW_KICK | KM_FLOW_SWITCH))) {
		km_end_halves(skb, KM_END_ALL);
		f->current = KM_NO_HALF;
		f->base = f->req_end;
		f->fin_seq = seq;
		f->flags |= KM_FLOW_CLOSE | KM_FLOW_FIN_SENT;
		return km_to_client(skb, w, seq, f->base, KM_TCP_FIN | KM_TCP_ACK,
				    km_shown_window(f, KM_REAL_WINDOW));
	}
	if (!km_after(end, f->req_end) || !(w->p.payload || w->p.flags & KM_TCP_FIN))
		return KM_WAY_PASS;
	/* Nobody can tell whether an answer is complete whose bytes came in disorder: it has the time of some
	 * retransmissions.
	 */
	if (f->now.lost && f->stopped < KM_STOP_TRIES && km_owes_nothing(f, seq))
		f->stopped += 1;
	if (!km_before(w->p.seq, f->req_end) || f->current == KM_NO_HALF)
		return KM_WAY_DROP;
	/* Decided bytes come with them. */
	return km_cut(skb, f->req_end - w->p.seq, f->mss) ? km_bypassed(skb) : KM_WAY_PASS;
}

/* The first bytes of a request that goes to another open half without a kick. False: another CPU has them
 * too. */
static __always_inline bool km_switch(struct km_work *w, struct km_flow *f, struct km_half *half)
{
	if (!km_take_over(w, f, KM_FLOW_SWITCH, f->target & (KM_HALVES - 1), f->boundary, w->p.ack))
		return false;
	f->now.rcv_start = half->rcv_nxt;
	f->head_seq = half->rcv_nxt;
	return true;
}

/*
 * Whether a packet of no flow is the answer of an endpoint to a client in its own pod. It leaves the pod as
 * the client's packets do, since it goes to where the service is; turned round it is an answer like others.
 */
static __always_inline bool km_is_back(struct km_work *w)
{
	__u32 zero = 0;
	__u32 *backs = bpf_map_lookup_elem(&km_backs, &zero);
	struct km_wire *wire;

	if (!backs || !*backs)
		return false;
	km_addr_copy(w->wire.client, w->p.to);
	km_addr_copy(w->wire.server, w->p.from);
	w->wire.client_port = w->p.to_port;
	w->wire.server_port = w->p.from_port;
	wire = bpf_map_lookup_elem(&km_wire, &w->wire);
	/* Else it is the answer to another pod of this machine. */
	return wire && !km_addr_equal(wire->flow.client, w->wire.client);
}

/* Moves the half's numbers on: the client has sent up to `end` and acknowledges up to `ack`. */
static __always_inline void km_half_sent(struct km_work *w, struct km_half *half, __u32 end, __u32 ack)
{
	struct km_walk *walk = km_walk_of(&w->key);

	if (!walk)
		return;
	bpf_spin_lock(&walk->lock);
	if (km_after(end, half->snd_nxt))
		half->snd_nxt = end;
	if (km_after(ack, half->acked))
		half->acked = ack;
	walk->turns += 1;
	bpf_spin_unlock(&walk->lock);
}

static __always_inline int km_from_client(struct __sk_buff *skb, struct km_work *w)
{
	struct km_half *half;
	struct km_flow *f;
	__u32 end, flags, seq, ack;

	w->from_client = true;
	km_addr_copy(w->key.client, w->p.from);
	km_addr_copy(w->key.server, w->p.to);
	w->key.client_port = w->p.from_port;
	w->key.server_port = w->p.to_port;
	f = bpf_map_lookup_elem(&km_flow, &w->key);
	if (!f) {
		if ((w->p.flags & (KM_TCP_SYN | KM_TCP_ACK)) == KM_TCP_SYN)
			return km_stray_syn(skb);
		return km_is_back(w) ? KM_WAY_CLIENT : KM_WAY_PASS;
	}
	if (w->p.flags & KM_TCP_SYN)
		return km_shake(skb);
	if (w->p.flags & KM_TCP_RST)
		return km_client_reset(skb);
	f->client_window = bpf_htons(w->p.window);
	flags = f->flags;
	end = w->p.seq + w->p.payload;
	if (flags & KM_FLOW_KICK) {
		if (w->p.payload && km_after(end, f->kick_seq)) {
			if (!km_before(w->p.seq, f->kick_seq))
				return km_kick_part(skb, w, f);
			/* The end of the request before and the kick in one packet: TCP sends the kick again.
			 */
			km_count(KM_COUNTER_BEHIND_KICK);
			if (f->current == KM_NO_HALF)
				return KM_WAY_DROP;
			if (km_cut(skb, f->kick_seq - w->p.seq, f->mss))
				return km_bypassed(skb);
			end = w->p.seq + w->p.payload;
		}
		if (f->kick_got == f->kick_end && f->current != KM_NO_HALF && !w->p.payload &&
		    f->half[f->target & (KM_HALVES - 1)].state == KM_HALF_OPEN &&
		    km_owes_nothing(f, w->p.ack))
			return km_kicked(skb);
	} else if (flags & KM_FLOW_SWITCH && !km_before(w->p.seq, f->boundary) && w->p.payload) {
		half = &f->half[f->target & (KM_HALVES - 1)];
		if (half->state != KM_HALF_OPEN) /* it closed meanwhile */
			return km_bypassed(skb);
		if (!km_switch(w, f, half))
			return KM_WAY_DROP;
	} else if (flags & KM_FLOW_ECHO && w->p.payload && !km_before(w->p.seq, f->echo_seq) &&
		   km_before(w->p.seq, f->echo_end)) {
		return km_echo(skb);
	}
	if (f->stopped && !(flags & (KM_FLOW_CLOSE | KM_FLOW_CHUNKED))) {
		int way = km_stop(skb);

		if (way != KM_WAY_PASS)
			return way;
		end = w->p.seq + w->p.payload;
	}
	if (f->current == KM_NO_HALF)
		return km_unbound(skb);
	if (w->p.payload) {
		if (!km_after(end,
			      f->base)) /* a kick or an older request again: its acknowledgement was lost */
			return km_to_client(skb, w, w->p.ack, f->base, KM_TCP_ACK,
					    km_shown_window(f, f->half[f->current & (KM_HALVES - 1)].window));
		if (flags & KM_FLOW_CHUNKED) {
			int read = km_read_body(skb, w, f);

			if (read == KM_BODY_BAD)
				return km_bypassed(skb);
			if (read == KM_BODY_EARLY)
				return KM_WAY_AGAIN;
			if (read == KM_BODY_CROSSED && km_cut(skb, f->req_end - w->p.seq, f->mss))
				return km_bypassed(skb);
		} else if (!(flags & KM_FLOW_OPAQUE) && km_after(end, f->req_end)) {
			return km_bypassed(skb);
		}
	}
	half = &f->half[f->current & (KM_HALVES - 1)];
	seq = w->p.seq - half->seq_shift;
	ack = km_from_pseudo(w, f, half, w->p.ack);
	/* One that comes late speaks of another half. Of this one it would acknowledge what was never sent,
	 * and an endpoint that has not seen the end of its handshake yet answers that with RST (RFC 9293
	 * §3.10.7.4).
	 */
	if (km_before(ack, half->acked)) {
		if (!w->p.payload && !(w->p.flags & KM_TCP_FIN))
			return KM_WAY_DROP;
		ack = half->acked;
	}
	/* An acknowledgement may stand behind bytes that were lost before they came here, and go elsewhere.
	 */
	if (!w->p.payload && !(w->p.flags & KM_TCP_FIN) && km_after(seq, half->snd_nxt))
		seq = half->snd_nxt;
	if (w->p.header > sizeof(struct tcphdr) && km_shift_sack(skb, half->ack_shift))
		return km_failed();
	km_segment_to_half(&w->to, &w->key, half, seq, ack, w->p.flags,
			   km_answer_window(f, w->p.window, ack));
	if (km_translate(skb))
		return km_failed();
	end = seq + w->p.payload;
	if (w->p.flags & KM_TCP_FIN) {
		end += 1;
		f->flags |= KM_FLOW_CLIENT_FIN;
		half->flags |= KM_HALF_FIN_SENT;
	}
	km_half_sent(w, half, end, ack);
	if ((half->flags & (KM_HALF_FIN_SEEN | KM_HALF_FIN_SENT)) == (KM_HALF_FIN_SEEN | KM_HALF_FIN_SENT) &&
	    half->acked == half->rcv_nxt && half->una == half->snd_nxt)
		km_flow_done(f, &w->key);
	if (w->p.flags & KM_TCP_FIN && km_parks(f)) {
		km_clone_to_half(skb);
		km_addr_copy(w->p.from, w->to.from);
		km_addr_copy(w->p.to, half->addr);
		w->p.from_port = half->wire_port;
		w->p.to_port = half->port;
		km_end_halves(skb, 0);
		return KM_WAY_DROP;
	}
	if (half->device && (flags & KM_FLOW_INSIDE || km_may_cut(f)))
		w->device = half->device;
	return km_half_way(half);
}

#endif
