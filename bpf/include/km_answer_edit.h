/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Changes the head of an answer as the request's route says, in the packet that has the whole of it
 * (docs/adr/021-answer-heads.md). The head never gets shorter, and longer by an even number of bytes only:
 * blanks before a value fill it up (behind one, some clients would take them for a part of it). So what is
 * behind it keeps its place in words, and its sum.
 */
#ifndef KM_ANSWER_EDIT_H
#define KM_ANSWER_EDIT_H

#include "km_splice.h"

/* A head, with what is before it in its packet, ends within so many bytes. */
#define KM_ANSWER_HEAD 4096
#define KM_ANSWER_PART 64 /* bytes of a call */
#define KM_ANSWER_MASK 8191

#define KM_ANSWER_FNV	0xcbf29ce484222325ULL /* FNV-1a, 64 bits */
#define KM_ANSWER_PRIME 0x100000001b3ULL
#define KM_ANSWER_TRIES 3

enum km_answer_result {
	KM_ANSWER_NONE = 0, /* nothing to change in this packet */
	KM_ANSWER_EDIT = 1, /* the new head is made: km_answer_apply() puts it into the packet */
	KM_ANSWER_DROP = 2, /* too early or not whole: the endpoint sends it again */
	KM_ANSWER_RESET = 3,
};

enum km_answer_scanned {
	KM_ANSWER_MORE = 0,
	KM_ANSWER_END = 1,
	KM_ANSWER_SHORT = 2, /* the packet ends first */
	KM_ANSWER_PLAIN = 3, /* not a head that can be changed */
};

struct km_answer_work {
	__u64 hash; /* of the line's name so far */
	__u64 sum;
	__u32 length; /* bytes that are at hand */
	__u32 skip;   /* before the head */
	__u32 begin;  /* of the head */
	__u32 end;    /* behind it */
	__u32 out;    /* bytes that were made */
	__u32 line;   /* where the line began there */
	__u32 column;
	__u32 named;	  /* the line's name was read */
	__u32 gone;	  /* the line is left out */
	__u32 colon;	  /* of the line, in the old head */
	__u32 last_colon; /* of the last line that stays; 0: there is none */
	__u32 pad;	  /* blanks */
	__u32 final;	  /* the first head is the one that is changed, whatever its status */
	__u32 names;
	__u64 gone_names[KM_ANSWER_UNITS];
	__u8 tcp[64];
	__u8 from[KM_ANSWER_HEAD + 64];
	__u8 to[KM_ANSWER_MASK + 1 + 64];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct km_answer_work);
} km_answer_work SEC(".maps");

static __always_inline struct km_answer_work *km_answer_worked(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&km_answer_work, &zero);
}

/* Whether headers of the name that was read go. */
__noinline int km_answer_gone(__u64 hash)
{
	struct km_answer_work *a = km_answer_worked();
	__u32 i;

	if (!a)
		return 0;
	for (i = 0; i < KM_ANSWER_UNITS; i++) {
		if (i >= a->names)
			return 0;
		if (a->gone_names[i] == hash)
			return 1;
	}
	return 0;
}

/* The empty line is at `at`. An interim answer (1xx, but 101) is left as it is; another head follows. */
__noinline int km_answer_head_end(__u32 at)
{
	struct km_answer_work *a = km_answer_worked();
	const __u8 *status;
	__u64 begin;

	if (!a)
		return KM_ANSWER_PLAIN;
	begin = a->begin & (KM_ANSWER_HEAD - 1);
	asm volatile("" : "+r"(begin));
	begin &= KM_ANSWER_HEAD - 1;
	status = a->from + begin;
	if (status[0] != 'H' || status[1] != 'T' || status[4] != '/' || status[8] != ' ')
		return KM_ANSWER_PLAIN;
	if (!a->final && status[9] == '1' && !(status[10] == '0' && status[11] == '1')) {
		a->begin = at + 1;
		a->line = a->out;
		a->column = 0;
		a->named = 1;
		a->gone = 0;
		a->colon = 0;
		return KM_ANSWER_MORE;
	}
	a->end = at + 1;
	a->out = a->line;
	return KM_ANSWER_END;
}

/* Blanks over up to KM_ANSWER_HEAD bytes behind what was made. */
__noinline int km_answer_blank(__u32 bytes)
{
	struct km_answer_work *a = km_answer_worked();
	__u32 i;

	if (!a)
		return 0;
	for (i = 0; i < KM_ANSWER_HEAD / 8 + 1; i++) {
		__u64 to = a->out + i * 8;

		if (i * 8 >= bytes)
			break;
		to &= KM_ANSWER_MASK;
		*(__u64 *)(a->to + to) = 0x2020202020202020ULL;
	}
	a->out += bytes;
	return 0;
}

/* Copies KM_ANSWER_PART bytes of the head without the lines that go. */
__noinline int km_answer_scan(__u32 from)
{
	struct km_answer_work *a = km_answer_worked();
	__u64 out, at = from;
	__u32 i;

	if (!a)
		return KM_ANSWER_PLAIN;
	for (i = 0; i < KM_ANSWER_PART; i++, at++) {
		__u8 byte;

		if (at >= a->length)
			return KM_ANSWER_SHORT;
		byte = a->from[at & (KM_ANSWER_HEAD - 1)];
		out = a->out & KM_ANSWER_MASK;
		a->to[out] = byte;
		a->out = out + 1;
		if (at < a->skip)
			continue;
		if (byte == '\n') {
			if (a->column <= 1) {
				int result = km_answer_head_end(at);

				if (result != KM_ANSWER_MORE)
					return result;
				continue;
			}
			if (a->gone)
				a->out = a->line;
			else if (a->colon && !a->pad)
				a->last_colon = a->colon;
			a->line = a->out;
			a->colon = 0;
			a->hash = KM_ANSWER_FNV;
			a->column = 0;
			a->named = 0;
			a->gone = 0;
			continue;
		}
		a->column += 1;
		if (a->named)
			continue;
		if (byte == ':') {
			a->named = 1;
			a->gone = km_answer_gone(a->hash);
			a->colon = at;
			if (a->pad && at == a->last_colon)
				km_answer_blank(a->pad);
			continue;
		}
		if (byte >= 'A' && byte <= 'Z')
			byte |= 0x20;
		a->hash = (a->hash ^ byte) * KM_ANSWER_PRIME;
	}
	return KM_ANSWER_MORE;
}

static __always_inline void km_answer_put(struct km_answer_work *a, __u64 word, __u32 bytes)
{
	__u64 to = a->out & KM_ANSWER_MASK;

	*(__u64 *)(a->to + to) = word;
	a->out += bytes;
}

/* Adds the sum of up to 512 bytes of the old head (`which` 0, taken off) or of the new one from `begin` on.
 */
__noinline int km_answer_sum_part(__u32 which, __u32 begin, __u32 end)
{
	struct km_answer_work *a = km_answer_worked();
	__u64 sum = 0, at = begin;
	__u32 i;

	if (!a)
		return 0;
	for (i = 0; i < 64 && at < end; i++, at += 8) {
		__u64 word;

		if (which)
			word = *(const __u64 *)(a->to + (at & KM_ANSWER_MASK));
		else
			word = ~*(const __u64 *)(a->from + (at & (KM_ANSWER_HEAD - 1)));
		sum += (word & 0xffffffff) + (word >> 32);
	}
	a->sum += sum;
	return 0;
}

/* Both are filled up with zeros to a word. */
static __always_inline void km_answer_sum(struct km_answer_work *a)
{
	__u64 tail;
	__u32 i;

	a->sum = 0;
	tail = a->end & (2 * KM_ANSWER_HEAD - 1);
	asm volatile("" : "+r"(tail));
	if (tail <= KM_ANSWER_HEAD)
		*(__u64 *)(a->from + tail) = 0;
	tail = a->out & KM_ANSWER_MASK;
	*(__u64 *)(a->to + tail) = 0;
	for (i = 0; i < KM_ANSWER_HEAD / 512; i++) {
		if (i * 512 >= a->end)
			break;
		km_answer_sum_part(0, i * 512, a->end);
	}
	for (i = 0; i < (KM_ANSWER_MASK + 1) / 512; i++) {
		if (i * 512 >= a->out)
			break;
		km_answer_sum_part(1, i * 512, a->out);
	}
}

/* Blanks that the head needs with the route's lines, to be `more` bytes longer. */
static __always_inline __u32 km_answer_lacks(const struct km_answer_work *a,
					     const struct km_answer_edits *edits, __u32 more)
{
	return a->end + more - (a->out + edits->bytes + 2);
}

/* Appends the route's lines and the empty line. False: there is no room. */
static __always_inline bool km_answer_finish(struct km_answer_work *a, const struct km_answer_edits *edits,
					     __u32 more)
{
	__u32 i, names = edits->names, out = a->out, pad = km_answer_lacks(a, edits, more);

	if (out + edits->bytes > KM_ANSWER_MASK - 64 || a->end > KM_ANSWER_HEAD || pad > KM_ANSWER_HEAD)
		return false;
	for (i = 0; i < KM_ANSWER_UNITS; i++) {
		__u64 unit = names + i;
		__u64 to = out + i * 8;

		if (i * 8 >= edits->bytes)
			break;
		asm volatile("" : "+r"(unit));
		unit &= KM_ANSWER_UNITS - 1;
		to &= KM_ANSWER_MASK;
		*(__u64 *)(a->to + to) = edits->units[unit];
	}
	a->out = out + edits->bytes;
	if (pad) {
		/* No line of the old head has a value. */
		a->out -= 2;
		km_answer_blank(pad);
		km_answer_put(a, 0x0a0d, 2);
	}
	km_answer_put(a, 0x0a0d, 2);
	return true;
}

/* Reads the head and makes the new one, without the lines that are added. enum km_answer_scanned. */
__noinline int km_answer_make(__u32 pad)
{
	struct km_answer_work *a = km_answer_worked();
	int result = KM_ANSWER_MORE;
	__u32 i;

	if (!a)
		return KM_ANSWER_PLAIN;
	a->pad = pad;
	a->begin = a->skip;
	a->out = 0;
	a->line = 0;
	a->column = 0;
	a->named = 1; /* the status line has no name */
	a->gone = 0;
	a->colon = 0;
	if (!pad)
		a->last_colon = 0;
	for (i = 0; i < KM_ANSWER_HEAD / KM_ANSWER_PART; i++) {
		result = km_answer_scan(i * KM_ANSWER_PART);
		if (result != KM_ANSWER_MORE)
			break;
	}
	return result;
}

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
static __always_inline int km_answer_note(struct km_work *w, struct km_flow *f, struct km_half *half,
					  __u32 begin, __u32 end, __u32 more)
{
	__u32 lock = w->key.client_port & (KM_WALKS - 1);
	struct km_walk *walk = bpf_map_lookup_elem(&km_walk, &lock);
	int result = KM_ANSWER_EDIT;

	if (!walk)
		return KM_ANSWER_DROP;
	bpf_spin_lock(&walk->lock);
	if (f->head_seq != begin) {
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

/* Looks at a packet of an answer that is to be changed. enum km_answer_result. */
__noinline int km_answer_edit(struct __sk_buff *skb)
{
	struct km_answer_work *a = km_answer_worked();
	const struct km_answer_edits *edits;
	const struct km_answers *answers;
	__u32 i, more, pad, slot, payload, begin;
	struct km_half *half;
	int result;
	__u64 length;

	KM_FIND_FLOW(KM_ANSWER_DROP);
	if (!a)
		return KM_ANSWER_DROP;
	half = &f->half[f->current & (KM_HALVES - 1)];
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
		return km_answer_note(w, f, half, begin, 0, more) == KM_ANSWER_DROP ? KM_ANSWER_DROP
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
	return km_answer_note(w, f, half, w->p.seq + a->begin, w->p.seq + a->end, more);
}

/* Makes room for the head and says so in the IP header. */
static __always_inline int km_answer_grow(struct __sk_buff *skb, struct km_work *w, struct km_answer_work *a,
					  __u32 more)
{
	__u64 header = w->p.header;
	__be16 before, after;
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
	before = bpf_htons(bytes);
	after = bpf_htons(bytes + more);
	if (bpf_l4_csum_replace(skb, w->p.tcp + offsetof(struct tcphdr, check), 0,
				(__u32)after + (__u16)~before, BPF_F_PSEUDO_HDR))
		return -1;
	if (w->p.ip6)
		return bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, payload_len), &after, 2,
					   0);
	before = bpf_htons(sizeof(struct iphdr) + bytes);
	after = bpf_htons(sizeof(struct iphdr) + bytes + more);
	/* km_translate() goes on from there, and writes it. */
	w->p.check = ~km_fold16((__u64)(__u16)~w->p.check + (__u16)~before + after);
	return bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct iphdr, tot_len), &after, 2, 0);
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
	__u32 lock = w->key.client_port & (KM_WALKS - 1), shift, end, more;
	struct km_walk *walk;

	if (!(f->flags & KM_FLOW_ANSWERS))
		return number - half->ack_shift;
	walk = bpf_map_lookup_elem(&km_walk, &lock);
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
	__u32 lock = w->key.client_port & (KM_WALKS - 1), begin, end, more;
	struct km_walk *walk;

	if (!(f->flags & KM_FLOW_ANSWERS))
		return number + half->ack_shift;
	walk = bpf_map_lookup_elem(&km_walk, &lock);
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
