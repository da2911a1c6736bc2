/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Changes the head of an answer in the packet that has the whole of it, and the numbers of what is behind it
 * (docs/adr/021-answer-heads.md). km_answer_head.h makes the text.
 */
#ifndef KM_ANSWER_EDIT_H
#define KM_ANSWER_EDIT_H

#include "km_answer_head.h"
#include "km_splice.h"

#define KM_ANSWER_TRIES 3

enum km_answer_result {
	KM_ANSWER_NONE = 0, /* nothing to change in this packet */
	KM_ANSWER_EDIT = 1, /* the new head is made: km_answer_apply() puts it into the packet */
	KM_ANSWER_DROP = 2, /* too early or not whole: the endpoint sends it again */
	KM_ANSWER_RESET = 3,
};

/* It cannot be changed in this packet: perhaps when it comes again. */
static __always_inline int km_answer_again(struct km_flow *f)
{
	km_count(KM_COUNTER_ANSWER_UNCHANGED);
	f->edit_tries += 1;
	return f->edit_tries > KM_ANSWER_TRIES ? KM_ANSWER_RESET : KM_ANSWER_DROP;
}

/*
 * How much longer the head gets is known before it comes, so that what overtakes it keeps its place. `end`:
 * behind the head; 0: it did not come yet.
 */
static __always_inline int km_answer_note(struct km_work *w, struct km_flow *f, __u32 index, __u32 begin,
					  __u32 end, __u32 more)
{
	struct km_half *half = &f->half[index & (KM_HALVES - 1)];
	struct km_walk *walk = km_walk_of(&w->key);
	int result = KM_ANSWER_EDIT;

	if (!walk)
		return KM_ANSWER_DROP;
	bpf_spin_lock(&walk->lock);
	if (f->head_seq != begin || f->current != index || f->flags & KM_FLOW_SWITCH) {
		/* The next request has begun meanwhile: it was a copy. */
		result = KM_ANSWER_DROP;
		end = 0;
	} else if (!f->shifted) {
		half->ack_shift -= more;
		f->edit_seq = begin;
		f->edit_end = begin + 1;
		f->edit_more = more;
		f->shifted = 1;
	} else if (f->edited && !f->edit_more && more) {
		/* The client has all of it; what it gets again it passes over. */
		result = KM_ANSWER_NONE;
	}
	if (end && f->shifted && !f->edited) {
		f->edit_end = end;
		f->edited = 1;
	}
	walk->turns += 1;
	bpf_spin_unlock(&walk->lock);
	return result;
}

/* Looks at a packet of half `index`'s answer that is to be changed. enum km_answer_result. */
__noinline int km_answer_edit(struct __sk_buff *skb, __u32 index)
{
	struct km_answer_work *a = km_answer_worked();
	const struct km_answer_edits *edits;
	const struct km_answers *answers;
	__u32 i, more, pad, slot, payload, begin;
	int result;
	__u64 length;

	KM_FIND_FLOW(KM_ANSWER_DROP);
	if (!a)
		return KM_ANSWER_DROP;
	payload = w->p.payload;
	begin = f->head_seq;
	slot = (f->now.edits - 1) & 1;
	answers = bpf_map_lookup_elem(&km_answers, &w->key);
	if (!answers)
		return km_answer_again(f);
	edits = &answers->edits[slot];
	more = (edits->bytes + 1) & ~1U;
	if (km_after(w->p.seq, begin)) {
		if (f->edited && f->edit_more && km_before(w->p.seq, f->edit_end))
			return km_answer_again(f);
		if (f->shifted)
			return KM_ANSWER_NONE;
		/* An interim answer is to come first, and perhaps this is what is behind it. */
		if (f->now.flags & KM_HTTP_EXPECT)
			return KM_ANSWER_DROP;
		return km_answer_note(w, f, index, begin, 0, more) == KM_ANSWER_DROP ? KM_ANSWER_DROP
										     : KM_ANSWER_NONE;
	}
	if (begin - w->p.seq >= payload)
		return KM_ANSWER_NONE;
	length = payload > KM_ANSWER_HEAD ? KM_ANSWER_HEAD : payload;
	a->length = length;
	a->skip = begin - w->p.seq;
	a->final = f->shifted;
	a->names = edits->names;
	for (i = 0; i < KM_ANSWER_UNITS; i++) {
		if (i >= edits->names)
			break;
		a->gone_names[i] = edits->units[i];
	}
	length -= 1;
	asm volatile("" : "+r"(length));
	length &= KM_ANSWER_HEAD - 1;
	asm volatile("" : "+r"(length));
	if (bpf_skb_load_bytes(skb, w->p.tcp + w->p.header, a->from, length + 1))
		return KM_ANSWER_DROP;
	result = km_answer_make(0);
	if (result == KM_ANSWER_PLAIN) {
		if (f->shifted)
			return KM_ANSWER_RESET;
		f->now.edits = 0;
		return KM_ANSWER_NONE;
	}
	if (result != KM_ANSWER_END) {
		if (a->begin != payload)
			return km_answer_again(f);
		/* Interim answers alone. */
		f->head_seq = w->p.seq + payload;
		return KM_ANSWER_NONE;
	}
	pad = km_answer_lacks(a, edits, more);
	if (pad && a->last_colon)
		km_answer_make(pad);
	if (!km_answer_finish(a, edits, more))
		return km_answer_again(f);
	/* A packet of one segment is one at the client's device, too. */
	if ((!skb->gso_size && payload + more > f->mss) || w->p.tcp + w->p.header + payload + more > 65535)
		return km_answer_again(f);
	if (a->begin != a->skip && f->head_seq == begin)
		f->head_seq = w->p.seq + a->begin;
	km_answer_sum(a);
	return km_answer_note(w, f, index, w->p.seq + a->begin, w->p.seq + a->end, more);
}

/* Makes room for the head and says so in the IP header. */
static __always_inline int km_answer_grow(struct __sk_buff *skb, struct km_work *w, struct km_answer_work *a,
					  __u32 more)
{
	__u64 header = w->p.header;
	__u32 bytes;

	header -= 1;
	asm volatile("" : "+r"(header));
	header &= 63;
	asm volatile("" : "+r"(header));
	if (bpf_skb_load_bytes(skb, w->p.tcp, a->tcp, header + 1))
		return -1;
	/* Between the headers: the TCP header moves up, and what is behind the head stays where it is. */
	if (bpf_skb_adjust_room(skb, more, BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO))
		return -1;
	if (bpf_skb_store_bytes(skb, w->p.tcp, a->tcp, header + 1, 0))
		return -1;
	bytes = w->p.header + w->p.payload;
	return km_change_length(skb, &w->p, bytes, bytes + more);
}

/* Puts the head that was made into the packet. */
__noinline int km_answer_apply(struct __sk_buff *skb)
{
	struct km_answer_work *a = km_answer_worked();
	struct km_work *w = km_worked();
	__u32 more;
	__u64 bytes;

	if (!a || !w)
		return -1;
	more = a->out - a->end;
	if (more && km_answer_grow(skb, w, a, more))
		return -1;
	if (bpf_l4_csum_replace(skb, w->p.tcp + offsetof(struct tcphdr, check), 0, km_fold32(a->sum), 0))
		return -1;
	bytes = a->out;
	bytes -= 1;
	asm volatile("" : "+r"(bytes));
	bytes &= KM_ANSWER_MASK;
	asm volatile("" : "+r"(bytes));
	return bpf_skb_store_bytes(skb, w->p.tcp + w->p.header, a->to, bytes + 1, 0);
}

/* What the client counts a number of the half as: in a head that was changed, and before it, others than
 * behind it. */
static __always_inline __u32 km_to_pseudo(struct km_work *w, struct km_flow *f, struct km_half *half,
					  __u32 number)
{
	__u32 shift, end, more;
	struct km_walk *walk;

	if (!(f->flags & KM_FLOW_ANSWERS))
		return number - half->ack_shift;
	walk = km_walk_of(&w->key);
	if (!walk)
		return number - half->ack_shift;
	bpf_spin_lock(&walk->lock);
	shift = half->ack_shift;
	end = f->edit_end;
	more = f->edit_more;
	bpf_spin_unlock(&walk->lock);
	return more && km_before(number, end) ? number - shift - more : number - shift;
}

/* The other way round. What is inside the changed head counts as its beginning. */
static __always_inline __u32 km_from_pseudo(struct km_work *w, struct km_flow *f, struct km_half *half,
					    __u32 number)
{
	__u32 begin, end, more;
	struct km_walk *walk;

	if (!(f->flags & KM_FLOW_ANSWERS))
		return number + half->ack_shift;
	walk = km_walk_of(&w->key);
	if (!walk)
		return number + half->ack_shift;
	bpf_spin_lock(&walk->lock);
	number += half->ack_shift;
	begin = f->edit_seq;
	end = f->edit_end;
	more = f->edit_more;
	/* All of it has come: what was before it does not come again but as a copy. */
	if (more && f->edited >= f->shifted && !km_before(number, end))
		f->edit_more = 0;
	bpf_spin_unlock(&walk->lock);
	if (!more || !km_before(number, end))
		return number;
	number += more;
	return km_after(number, begin) ? begin : number;
}

/* The endpoint may not fill what a changed head needs: `acked` is the half's number that the client
 * acknowledges. */
static __always_inline __u16 km_answer_window(const struct km_flow *f, __u16 window, __u32 acked)
{
	__u16 room = (KM_ANSWER_ROOM >> f->client_scale) + 1;

	if (!f->now.edits || (f->edited && !km_before(acked, f->edit_end)))
		return window;
	return window > room ? window - room : 0;
}

#endif
