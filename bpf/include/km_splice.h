/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the two directions of a splice have in common: segments to the client and to halves, local replies,
 * the switch from one half to another, and the end of a flow.
 *
 * A hook handles a packet and says where what has become of it goes. On the host side of a pod's veth the
 * client is behind the device and the network in front of it; on a device of the client's own namespace it is
 * the other way round (`outside` false).
 */
#ifndef KM_SPLICE_H
#define KM_SPLICE_H

#include "km_counters.h"
#include "km_exchange.h"
#include "km_flow_end.h"
#include "km_inside.h"
#include "km_rewrite.h"
#include "km_reply_text.h"
#include "km_short_cut.h"
#include "km_wire.h"

enum km_way {
	KM_WAY_PASS = 0, /* not ours, or done with: as it came */
	KM_WAY_DROP = 1,
	KM_WAY_NETWORK = 2,
	KM_WAY_CLIENT = 3,
	KM_WAY_AGAIN = 4, /* too early: behind others that are on another CPU */
};

#define KM_REAL_WINDOW 65535 /* shown where no endpoint limits what is taken: replies, drains */

static __always_inline __u16 km_shown_window(const struct km_flow *f, __u32 bytes)
{
	if (!(f->flags & KM_FLOW_NO_SCALE))
		bytes >>= KM_WINDOW_SCALE;
	return bytes > 65535 ? 65535 : bytes;
}

static __always_inline void km_segment_to_client(struct km_segment *to, const struct km_flow_key *key,
						 __u32 seq, __u32 ack, __u8 flags, __u16 window)
{
	km_addr_copy(to->from, key->server);
	km_addr_copy(to->to, key->client);
	to->from_port = key->server_port;
	to->to_port = key->client_port;
	to->seq = seq;
	to->ack = ack;
	to->flags = flags;
	to->window = window;
	to->syn = 0;
}

static __always_inline void km_segment_to_half(struct km_segment *to, const struct km_flow_key *key,
					       const struct km_half *half, __u32 seq, __u32 ack, __u8 flags,
					       __u16 window)
{
	km_addr_copy(to->from, km_wire_client(key, half));
	km_addr_copy(to->to, half->addr);
	to->back = !!(half->flags & KM_HALF_BACK);
	to->from_port = half->wire_port;
	to->to_port = half->port;
	to->seq = seq;
	to->ack = ack;
	to->flags = flags;
	to->window = window;
	to->syn = 0;
}

static __always_inline int km_failed(void)
{
	km_count(KM_COUNTER_PACKET_FAILED);
	return KM_WAY_DROP;
}

/* Where segments to a half go. */
static __always_inline int km_half_way(const struct km_half *half)
{
	return half->flags & KM_HALF_BACK ? KM_WAY_CLIENT : KM_WAY_NETWORK;
}

/*
 * Sends what the packet is now, a segment to a half, as a copy, and keeps the packet. A copy that leaves by
 * the device's egress meets the program there before this call is over: it passes, and the work area stays.
 */
__noinline int km_clone_to_half(struct __sk_buff *skb)
{
	struct km_work *w = km_worked();
	bool back, swap;

	if (!w)
		return 0;
	/* To the network, or back into the pod that the packet may have come from. */
	back = w->to.back;
	if (!w->outside && !back && km_clone_by_route(skb))
		return 0;
	swap = back == (bool)w->from_client;
	if (swap)
		km_swap_mac(skb);
	w->cloning = true;
	bpf_clone_redirect(skb, skb->ifindex, back != (bool)w->outside ? BPF_F_INGRESS : 0);
	w->cloning = false;
	if (swap)
		km_swap_mac(skb);
	return 0;
}

/* Begins a function that is called for a packet of a known flow. */
#define KM_FIND_FLOW(otherwise)                                                                              \
	struct km_work *w = km_worked();                                                                     \
	struct km_flow *f;                                                                                   \
                                                                                                             \
	if (!w)                                                                                              \
		return otherwise;                                                                            \
	f = bpf_map_lookup_elem(&km_flow, &w->key);                                                          \
	if (!f)                                                                                              \
	return otherwise

/* Makes the packet a segment to a half. */
static __always_inline int km_to_half(struct __sk_buff *skb, struct km_work *w, const struct km_flow *f,
				      const struct km_half *half, __u32 seq, __u32 ack, __u8 flags)
{

	km_segment_to_half(&w->to, &w->key, half, seq, ack, flags, bpf_ntohs(f->client_window));
	if (f->flags & KM_FLOW_INSIDE)
		w->device = half->device;
	return km_make(skb) ? km_failed() : km_half_way(half);
}

static __always_inline int km_to_client(struct __sk_buff *skb, struct km_work *w, __u32 seq, __u32 ack,
					__u8 flags, __u16 window)
{

	km_segment_to_client(&w->to, &w->key, seq, ack, flags, window);
	return km_make(skb) ? km_failed() : KM_WAY_CLIENT;
}

/* The SYN of a chosen half. */
static __always_inline int km_send_syn(struct __sk_buff *skb, struct km_work *w, struct km_flow *f,
				       struct km_half *half)
{

	km_segment_to_half(&w->to, &w->key, half, half->snd_nxt, 0, KM_TCP_SYN, 65535);
	w->to.syn = 1;
	w->to.mss = f->mss;
	/* A full segment has room for what is added to the head of an answer. */
	if (f->flags & KM_FLOW_ANSWERS)
		w->to.mss -= KM_ANSWER_ROOM < f->mss / 2 ? KM_ANSWER_ROOM : f->mss / 2;
	w->to.scale = f->flags & KM_FLOW_NO_SCALE ? 0xff : f->client_scale;
	w->to.sack = !(f->flags & KM_FLOW_NO_SACK);
	if (f->flags & KM_FLOW_INSIDE && !(half->flags & KM_HALF_BACK)) {
		half->device = km_leaves_by(skb);
		w->device = half->device;
	}
	return km_make(skb) ? km_failed() : km_half_way(half);
}

/*
 * From client number `base` on, bytes belong to half `index`; `seen` is the pseudo number of its first byte
 * to the client. `flag` (KM_FLOW_KICK, KM_FLOW_SWITCH) asked for it; false when another CPU has done it: a
 * client's packets are on two at once when its program moves, or when an answer makes its TCP acknowledge
 * while it sends. The flag goes last, so that who does not see it sees the half.
 */
static __always_inline bool km_take_over(struct km_work *w, struct km_flow *f, __u32 flag, __u32 index,
					 __u32 base, __u32 seen)
{
	struct km_walk *walk = km_walk_of(&w->key);
	struct km_half *half = &f->half[index & (KM_HALVES - 1)];
	__u32 asked, before;

	if (!walk)
		return false;
	bpf_spin_lock(&walk->lock);
	asked = f->flags & flag;
	before = f->current;
	if (asked) {
		half->seq_shift = base - half->snd_nxt;
		half->ack_shift = half->rcv_nxt - seen;
		f->edit_more = 0;
		f->base = base;
		f->current = index;
		asm volatile("" ::: "memory");
		f->flags &= ~(KM_FLOW_KICK | KM_FLOW_SWITCH);
		walk->turns += 1;
	}
	bpf_spin_unlock(&walk->lock);
	if (asked && before != index && before != KM_NO_HALF)
		km_count(KM_COUNTER_SWITCHES);
	return asked;
}

/* Begins to connect a chosen half. */
static __always_inline int km_connect_half(struct __sk_buff *skb, struct km_work *w, struct km_flow *f,
					   struct km_half *half)
{
	half->state = KM_HALF_CONNECTING;
	half->syn_ns = bpf_ktime_get_ns();
	return km_send_syn(skb, w, f, half);
}

/* Nothing is left to carry: the flow goes as soon as the client's socket has. */
static __noinline int km_flow_done(struct km_flow *f, const struct km_flow_key *key)
{
	if (!f || !key)
		return 0;
	km_exchange_abandon(f, key, 0, KM_REASON_CLIENT_GONE);
	f->flags |= KM_FLOW_DONE;
	if (f->flags & KM_FLOW_CLOSED)
		km_flow_delete(f, key);
	return 0;
}

/* `how` of km_end_halves(). */
#define KM_END_RESET 1
#define KM_END_ALL   2

/*
 * Ends every half but the current one: with FIN where it is open and the client closed in order, else with
 * RST. The packet becomes each of these segments in turn and is spent.
 */
__noinline int km_end_halves(struct __sk_buff *skb, __u32 how)
{
	bool reset = how & KM_END_RESET, all = how & KM_END_ALL;
	__u32 i;

	KM_FIND_FLOW(0);
	for (i = 0; i < KM_HALVES; i++) {
		struct km_half *half = &f->half[i];
		__u32 seq = half->snd_nxt;
		__u8 flags = KM_TCP_FIN | KM_TCP_ACK;

		if (half->state == KM_HALF_FREE || (!all && i == f->current))
			continue;
		if (half->state != KM_HALF_CHOSEN) {
			if (half->state == KM_HALF_CONNECTING) {
				seq += 1;
				flags = KM_TCP_RST;
			} else if (reset) {
				flags = KM_TCP_RST | KM_TCP_ACK;
			}
			if (km_to_half(skb, w, f, half, seq, half->rcv_nxt, flags) != KM_WAY_DROP)
				km_clone_to_half(skb);
		}
		if (flags & KM_TCP_FIN && half->state == KM_HALF_OPEN)
			km_wire_closing(&w->key, half, KM_WIRE_CLOSING);
		else
			km_wire_release(&w->key, half);
		half->state = KM_HALF_FREE;
	}
	return 0;
}

static __always_inline bool km_parks(const struct km_flow *f)
{
	bool any = false;
	__u32 i;

	for (i = 0; i < KM_HALVES; i++)
		any |= f->half[i].state != KM_HALF_FREE && i != f->current;
	return any;
}

_Static_assert(KM_CONNECT_FAILED_BYTES <= KM_MIN_GATE, "fits every segment");
_Static_assert(KM_CONNECT_FAILED_HEAD_BYTES % 4 == 0,
	       "summed by words; the whole text is filled up with zeros");

/* What the client of a request that no endpoint could be reached for gets: HEAD gets no body. */
static __always_inline __u32 km_refusal_bytes(const struct km_flow *f)
{
	return f->next.flags & KM_HTTP_HEAD ? KM_CONNECT_FAILED_HEAD_BYTES : KM_CONNECT_FAILED_BYTES;
}

/* Puts the refusal behind the TCP header of a packet that ends there. Lengths are constants for the verifier.
 */
static __always_inline int km_append_refusal(struct __sk_buff *skb, __u32 at, bool head)
{
	__u32 bytes = head ? KM_CONNECT_FAILED_HEAD_BYTES : KM_CONNECT_FAILED_BYTES;
	__s64 sum;

	if (bpf_skb_change_tail(skb, at + bytes, 0))
		return -1;
	if (head) {
		if (bpf_skb_store_bytes(skb, at, km_connect_failed.text, KM_CONNECT_FAILED_HEAD_BYTES, 0))
			return -1;
		sum = bpf_csum_diff(NULL, 0, (__be32 *)km_connect_failed.text, KM_CONNECT_FAILED_HEAD_BYTES,
				    0);
	} else {
		if (bpf_skb_store_bytes(skb, at, km_connect_failed.text, KM_CONNECT_FAILED_BYTES, 0))
			return -1;
		sum = bpf_csum_diff(NULL, 0, (__be32 *)km_connect_failed.text,
				    (KM_CONNECT_FAILED_BYTES + 3) / 4 * 4, 0);
	}
	return bpf_l4_csum_replace(skb, at - sizeof(struct tcphdr) + offsetof(struct tcphdr, check), 0,
				   (__u32)sum, 0);
}

/* Sends the 503 and our FIN; again for each retransmission of the kick. */
__noinline int km_refuse_request(struct __sk_buff *skb)
{
	const __u16 header = sizeof(struct tcphdr);
	__u32 bytes, tcp;

	KM_FIND_FLOW(KM_WAY_DROP);
	bytes = km_refusal_bytes(f);
	f->flags |= KM_FLOW_CLOSE | KM_FLOW_FIN_SENT | KM_FLOW_REFUSED;
	f->flags &= ~KM_FLOW_KICK;
	f->answered = f->asked;
	f->base = f->kick_end;
	f->current = KM_NO_HALF;
	f->fin_seq = f->echo_ack + bytes;
	km_segment_to_client(&w->to, &w->key, f->echo_ack, f->base, KM_TCP_ACK | KM_TCP_PSH | KM_TCP_FIN,
			     KM_REAL_WINDOW);
	if (km_make(skb))
		return km_failed();
	tcp = w->p.tcp;
	if (km_append_refusal(skb, tcp + header, bytes == KM_CONNECT_FAILED_HEAD_BYTES))
		return km_failed();
	return km_change_length(skb, &w->p, header, header + bytes) ? km_failed() : KM_WAY_CLIENT;
}

/*
 * Lets the request behind the kick go, once the half before owes nothing, by acknowledging the kick. `seen`:
 * up to where the client has received.
 */
static __always_inline int km_release(struct __sk_buff *skb, struct km_work *w, struct km_flow *f,
				      __u32 index, __u32 seen)
{
	struct km_half *half = &f->half[index & (KM_HALVES - 1)];

	if (!km_owes_nothing(f, seen)) {
		km_count(KM_COUNTER_HELD);
		return KM_WAY_DROP;
	}
	if (!km_take_over(w, f, KM_FLOW_KICK, index, f->kick_end, seen))
		return KM_WAY_DROP;
	km_exchange_begin(f, &w->key, f->kick_after, half->rcv_nxt);
	return km_to_client(skb, w, seen, f->kick_end, KM_TCP_ACK, km_shown_window(f, half->window));
}

/*
 * The half that a kick waits for could not be opened: another endpoint of its cluster gets a SYN, or the
 * client a 503.
 */
__noinline int km_connect_other(struct __sk_buff *skb, __u32 index)
{
	struct km_endpoint_stats *stats;
	__u64 cluster, failed, other;
	struct km_half *half;
	__u8 retries;

	KM_FIND_FLOW(KM_WAY_DROP);
	half = &f->half[index & (KM_HALVES - 1)];
	cluster = half->cluster;
	failed = half->endpoint;
	retries = half->retries;
	km_wire_release(&w->key, half);
	half->state = KM_HALF_FREE;
	stats = bpf_map_lookup_elem(&km_endpoint_stats, &failed);
	if (stats)
		__sync_fetch_and_add(&stats->failed, 1);
	if (retries) {
		other = km_pick_endpoint(cluster, f->netns, 0, failed);
		if (other && other != failed && !km_half_choose(f, &w->key, index, other, cluster)) {
			half->retries = retries - 1;
			km_exchange_moved(f, half);
			km_count(KM_COUNTER_SYN_RETRIED);
			return km_connect_half(skb, w, f, half);
		}
	}
	km_exchange_abandon(f, &w->key, 0, KM_REASON_CLIENT_GONE);
	km_exchange_refused(f, &w->key, 503, KM_REASON_CONNECT_FAILED);
	return km_refuse_request(skb);
}

#endif
