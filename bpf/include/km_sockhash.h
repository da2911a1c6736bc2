/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which sockhash a client's socket is in. All begin in km_sock, where km_request sees what they send.
 *
 * km_sock_counted has no program for that, and one that lets all pass that comes: a socket that is in both
 * has both. Kernels with "bpf, sockmap: Fix FIONREAD for sockmap" and without "Account for receive queue in
 * FIONREAD without a verdict program" (6.6.128, 6.12.75, 6.18.14 and 6.19 on) tell FIONREAD of a socket in a
 * sockhash only what such a program has passed. It costs 0.7 us a packet, and splice() does not see what it
 * passes, so a socket gets it when an answer comes that a program may not read at once.
 *
 * A connection that is not HTTP any more leaves: nothing is decided about it, and its sends cost nothing.
 */
#ifndef KM_SOCKHASH_H
#define KM_SOCKHASH_H

#include "km_splice.h"

/* Answers of more bytes, or of unknown length, are counted. No program is known that reads with less. */
#define KM_COUNT_ABOVE 1024

/* FIONREAD has to be helped (src/kernel/fionread.ts). */
const volatile __u32 km_count_received = 0;

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 65536);
	__type(key, struct km_flow_key);
	__type(value, __u32);
} km_sock_counted SEC(".maps");

/*
 * Locks the client's socket, so never where a packet of its own may be sent under that lock: at the egress of
 * its namespace's devices.
 */
__noinline int km_sock_count(void)
{
	void *sk;

	KM_FIND_FLOW(0);
	f->counted = 1;
	sk = bpf_map_lookup_elem(&km_sock, &w->key);
	if (!sk)
		return 0;
	bpf_map_update_elem(&km_sock_counted, &w->key, sk, BPF_ANY);
	bpf_sk_release(sk);
	return 0;
}

/*
 * The socket stays while bytes are held back in it (km_hold), which would go with it. So it does when it is
 * counted: what the client has not read yet is in the same place.
 */
__noinline int km_sock_leave(void)
{
	KM_FIND_FLOW(0);
	__sync_fetch_and_add(&f->fence, 1);
	if (f->held)
		return 0;
	f->left = 1;
	bpf_map_delete_elem(&km_sock, &w->key);
	return 0;
}

/*
 * What a counted socket has not read does not stand in TCP's own queue, so close() ends it with FIN and not
 * with RST, and a server whose window is full would hold its end for a minute. close() takes the socket out
 * of the sockhash, shutdown() does not.
 */
static __always_inline bool km_sock_closed(const struct km_work *w, const struct km_flow *f)
{
	void *sk;

	if (!f->counted)
		return false;
	sk = bpf_map_lookup_elem(&km_sock, &w->key);
	if (!sk)
		return true;
	bpf_sk_release(sk);
	return false;
}

/* The client's FIN in the middle of an answer: it reads no more of it. */
static __always_inline bool km_sock_leaves_unread(const struct km_work *w, const struct km_flow *f)
{
	return w->p.flags & KM_TCP_FIN && f->now.open && !f->now.lost && km_sock_closed(w, f);
}

/* Bytes, or the question whether there is room for some, behind the client's FIN. */
static __always_inline bool km_sock_reads_no_more(const struct km_work *w, const struct km_flow *f,
						  const struct km_half *half)
{
	return f->flags & KM_FLOW_CLIENT_FIN && (w->p.payload || km_before(w->p.seq, half->acked)) &&
	       km_sock_closed(w, f);
}

/* Ends a connection whose client has left what it did not read. */
__noinline int km_sock_abandoned(struct __sk_buff *skb)
{
	__u32 seq, ack;

	KM_FIND_FLOW(KM_WAY_DROP);
	seq = w->p.ack;
	ack = w->p.seq;
	km_end_halves(skb, KM_END_RESET | KM_END_ALL);
	f->current = KM_NO_HALF;
	f->flags |= KM_FLOW_CLOSE;
	km_flow_done(f, &w->key);
	if (!w->from_client)
		return KM_WAY_DROP;
	return km_to_client(skb, w, seq, ack, KM_TCP_RST | KM_TCP_ACK, 0);
}

static __always_inline bool km_answer_is_long(const struct km_work *w, const struct km_flow *f)
{
	if (w->p.payload > KM_COUNT_ABOVE)
		return true;
	if (!f->now.open || f->answer.phase == KM_RESPONSE_HEAD)
		return false;
	return f->now.lost || f->answer.phase != KM_RESPONSE_LENGTH ||
	       f->answer_seq - f->now.rcv_start > KM_COUNT_ABOVE;
}

/* Before a packet of the current half goes to the client. */
static __always_inline void km_sock_follow(const struct km_work *w, const struct km_flow *f)
{
	if (f->flags & KM_FLOW_OPAQUE) {
		if (!f->left && !f->counted)
			km_sock_leave();
	} else if (km_count_received && w->p.payload && !f->counted && km_answer_is_long(w, f)) {
		km_sock_count();
	}
}

/* The same for a local reply, which comes by what the client sends. */
static __always_inline void km_sock_follow_echo(const struct km_work *w, const struct km_flow *f)
{
	if (km_count_received && w->outside && !f->counted && f->echo_end - f->echo_seq > KM_COUNT_ABOVE)
		km_sock_count();
}

#endif
