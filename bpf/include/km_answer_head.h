/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The head of an answer, made anew as a route says (docs/adr/021-answer-heads.md). It never gets shorter, and
 * longer by an even number of bytes only: blanks before a value fill it up (behind one, some clients would
 * take them for a part of it). So what is behind it keeps its place in words, and its sum.
 */
#ifndef KM_ANSWER_HEAD_H
#define KM_ANSWER_HEAD_H

#include "km_flow.h"
#include "km_http.h"

/* A head, with what is before it in its packet, ends within so many bytes. */
#define KM_ANSWER_HEAD 4096
#define KM_ANSWER_PART 64 /* bytes of a call */
#define KM_ANSWER_MASK 8191

#define KM_ANSWER_FNV	0xcbf29ce484222325ULL /* FNV-1a, 64 bits */
#define KM_ANSWER_PRIME 0x100000001b3ULL

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

#endif
