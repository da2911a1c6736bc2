/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The chunked body of a request, followed in the packets that carry it. */
#ifndef KM_BODY_H
#define KM_BODY_H

#include "km_http_chunks.h"
#include "km_splice.h"

enum km_body {
	KM_BODY_READ = 0,
	KM_BODY_EARLY = 1,   /* the packet overtook others, which have to be read first */
	KM_BODY_CROSSED = 2, /* the body ends in it, and something else begins */
	KM_BODY_BAD = 3,     /* it is no body */
};

/* Follows a chunked body to its end, behind which nothing may come that was not decided. */
static __always_inline int km_follow_body(struct __sk_buff *skb, struct km_work *w, struct km_flow *f)
{
	__u32 skip = 0, end = 0;

	if (km_after(w->p.seq, f->chunks_seq)) {
		__u32 ahead = w->p.seq - f->chunks_seq;

		/* Between the two there is a chunk's data, or something that has to be read. */
		if (f->chunks.step != KM_CHUNKS_DATA || ahead > f->chunks.remaining)
			return KM_BODY_EARLY;
		f->chunks.remaining -= ahead;
		if (!f->chunks.remaining)
			f->chunks.step = KM_CHUNKS_DATA_CR;
		f->chunks_seq = w->p.seq;
	} else {
		skip = f->chunks_seq - w->p.seq;
	}
	/* The head, or bytes that were read before. */
	if (skip >= w->p.payload)
		return KM_BODY_READ;
	f->chunks_seq = w->p.seq + w->p.payload;
	if (!km_chunks_advance(skb, w->p.tcp + w->p.header + skip, w->p.payload - skip, &f->chunks, &end))
		return f->chunks.step == KM_CHUNKS_BAD ? KM_BODY_BAD : KM_BODY_READ;
	f->req_end = w->p.seq + skip + end;
	f->flags &= ~KM_FLOW_CHUNKED;
	if (f->req_end == f->chunks_seq)
		return KM_BODY_READ;
	/* A request was written behind the body, where nobody could know that it is one. */
	f->stopped = 1;
	return KM_BODY_CROSSED;
}

/*
 * A program that moves to another CPU while it sends has packets on both: only one may follow the body. The
 * other's come too early, as those that overtook it do.
 */
static __always_inline int km_read_body(struct __sk_buff *skb, struct km_work *w, struct km_flow *f)
{
	struct km_walk *walk = km_walk_of(&w->key);
	__u32 taken;
	int result;

	if (!walk)
		return KM_BODY_EARLY;
	bpf_spin_lock(&walk->lock);
	taken = f->reading;
	/* Not written by who comes second: the first may end in between, and nobody would ever read on. */
	if (!taken)
		f->reading = 1;
	walk->turns += 1;
	bpf_spin_unlock(&walk->lock);
	if (taken)
		return KM_BODY_EARLY;
	result = km_follow_body(skb, w, f);
	f->reading = 0;
	return result;
}

#endif
