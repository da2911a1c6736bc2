/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Makes text in a scratch slot's `out`, piece by piece from the left: of the head, of a table's blob, of
 * words of our own. out_bytes is where the next piece goes. Pieces are copied in whole steps; what a step
 * writes too much is overwritten by the next piece, or left behind out_bytes.
 */
#ifndef KM_OUT_H
#define KM_OUT_H

#include "km_reply_text.h"
#include "km_route_scratch.h"

/* Bytes of the head that one step, and one call of km_out_head_part(), copies. */
#define KM_OUT_STEP 64
#define KM_OUT_PART 1024
/* The same of a blob's texts, which are short, and may end where the blob ends. */
#define KM_OUT_TEXT_STEP 8
#define KM_OUT_TEXT_PART 256

/* What a per-CPU value (32 KiB at most) has room for; a step may begin at its last byte. */
#define KM_ROUTE_MAX_OUT 32640

/* The changes of a request, gathered from struct km_edits; km_edit.h. 0 is none. */
struct km_edit_plan {
	__u64 gone[KM_ROUTE_MAX_HEADERS / 64]; /* headers that are left out */
	__u32 host;			       /* offset in the blob, in bytes, of the new authority */
	__u32 host_bytes;
	__u32 path;   /* struct km_edit of the path */
	__u32 scheme; /* struct km_edit of the scheme */
	__u32 port;   /* struct km_edit of the port */
	__u32 strip_query;
	__u32 host_header; /* where the new Host line goes: index of a header, KM_ROUTE_NONE: behind all */
	__u32 count;	   /* of struct km_edit */
};

struct km_out {
	__u32 bytes; /* of text: where the next piece goes */
	__u32 pad;
	struct km_edit_plan plan;
	__u8 text[KM_ROUTE_MAX_OUT + 64];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KM_ROUTE_SLOTS);
	__type(key, __u32);
	__type(value, struct km_out);
} km_out SEC(".maps");

static __always_inline struct km_out *km_out_slot(__u32 slot)
{
	return bpf_map_lookup_elem(&km_out, &slot);
}

/* Why a text was not made. */
enum km_out_error {
	KM_OUT_NO_ROOM = -1, /* longer than KM_ROUTE_MAX_OUT */
	KM_OUT_CHANGED = -2, /* the table was replaced meanwhile, or is damaged */
};

static __always_inline void km_out_step(__u8 *to, const __u8 *from)
{
	__u64 *target = (__u64 *)to;
	const __u64 *source = (const __u64 *)from;

	target[0] = source[0];
	target[1] = source[1];
	target[2] = source[2];
	target[3] = source[3];
	target[4] = source[4];
	target[5] = source[5];
	target[6] = source[6];
	target[7] = source[7];
}

/* Appends up to KM_OUT_PART bytes of the head. */
__noinline int km_out_head_part(__u32 slot, __u32 offset, __u32 bytes)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_out *out = km_out_slot(slot);
	__u64 from = offset, end, to;
	int i;

	if (!scratch || !out)
		return KM_OUT_NO_ROOM;
	to = out->bytes;
	end = to + bytes;
	if (end > KM_ROUTE_MAX_OUT)
		return KM_OUT_NO_ROOM;
	for (i = 0; i < KM_OUT_PART / KM_OUT_STEP && to < end; i++) {
		km_route_opaque(from);
		if (from > KM_ROUTE_MAX_HEAD)
			return KM_OUT_NO_ROOM;
		km_route_opaque(to);
		if (to > KM_ROUTE_MAX_OUT)
			return KM_OUT_NO_ROOM;
		km_out_step(out->text + to, scratch->bytes + from);
		from += KM_OUT_STEP;
		to += KM_OUT_STEP;
	}
	out->bytes = end;
	return 0;
}

__noinline int km_out_long_head(__u32 slot, __u32 offset, __u32 bytes)
{
	int i;

	for (i = 0; i < KM_ROUTE_MAX_HEAD / KM_OUT_PART && bytes > KM_OUT_PART; i++) {
		int error = km_out_head_part(slot, offset, KM_OUT_PART);

		if (error)
			return error;
		offset += KM_OUT_PART;
		bytes -= KM_OUT_PART;
	}
	if (bytes > KM_OUT_PART)
		return KM_OUT_NO_ROOM;
	return km_out_head_part(slot, offset, bytes);
}

/* Appends bytes of the head. */
static __always_inline int km_out_head(__u32 slot, __u32 offset, __u32 bytes)
{
	return bytes <= KM_OUT_PART ? km_out_head_part(slot, offset, bytes)
				    : km_out_long_head(slot, offset, bytes);
}

/* Appends up to KM_OUT_TEXT_PART bytes of the blob. */
static __always_inline int km_out_copy_text(struct km_out *out, const struct km_route_blob *blob, __u64 from,
					    __u64 bytes)
{
	__u64 to = out->bytes, end = to + bytes, last = blob->mask << 3;
	int i;

	if (end > KM_ROUTE_MAX_OUT)
		return KM_OUT_NO_ROOM;
	if (from + bytes > last + 8)
		return KM_OUT_CHANGED;
	for (i = 0; i < KM_OUT_TEXT_PART / KM_OUT_TEXT_STEP && to < end; i++) {
		km_route_opaque(from);
		if (from > last)
			break;
		km_route_opaque(to);
		if (to > KM_ROUTE_MAX_OUT)
			return KM_OUT_NO_ROOM;
		*(__u64 *)(out->text + to) = *(const __u64 *)((const __u8 *)blob->units + from);
		from += KM_OUT_TEXT_STEP;
		to += KM_OUT_TEXT_STEP;
	}
	/* A text may end inside the blob's last unit. */
	if (to < end) {
		km_route_opaque(to);
		if (to > KM_ROUTE_MAX_OUT)
			return KM_OUT_NO_ROOM;
		*(__u64 *)(out->text + to) = km_route_unit(blob, blob->mask) >> ((from - last) << 3 & 63);
	}
	out->bytes = end;
	return 0;
}

__noinline int km_out_text_part(__u32 slot, __u32 handle, __u32 offset, __u32 bytes)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_out *out = km_out_slot(slot);
	struct km_route_blob blob;

	if (!scratch || !out)
		return KM_OUT_NO_ROOM;
	if (!km_route_same(scratch, handle, &blob))
		return KM_OUT_CHANGED;
	return km_out_copy_text(out, &blob, offset, bytes);
}

__noinline int km_out_long_text(__u32 slot, __u32 handle, __u32 offset, __u32 bytes)
{
	int i;

	for (i = 0; i < KM_ROUTE_MAX_OUT / KM_OUT_TEXT_PART && bytes > KM_OUT_TEXT_PART; i++) {
		int error = km_out_text_part(slot, handle, offset, KM_OUT_TEXT_PART);

		if (error)
			return error;
		offset += KM_OUT_TEXT_PART;
		bytes -= KM_OUT_TEXT_PART;
	}
	if (bytes > KM_OUT_TEXT_PART)
		return KM_OUT_NO_ROOM;
	return km_out_text_part(slot, handle, offset, bytes);
}

/* Appends bytes of the blob from an offset in bytes on. */
static __always_inline int km_out_text(__u32 slot, __u32 handle, __u32 offset, __u32 bytes)
{
	return bytes <= KM_OUT_TEXT_PART ? km_out_text_part(slot, handle, offset, bytes)
					 : km_out_long_text(slot, handle, offset, bytes);
}

#define KM_OUT_CRLF 0x0a0dULL

/* Appends the low `bytes` (up to 8) of a word, the first in its lowest byte. */
static __always_inline int km_out_word(struct km_out *out, __u64 word, __u32 bytes)
{
	__u64 to = out->bytes;

	km_route_opaque(to);
	if (to > KM_ROUTE_MAX_OUT - 8)
		return KM_OUT_NO_ROOM;
	*(__u64 *)(out->text + to) = word;
	out->bytes = to + bytes;
	return 0;
}

/* Appends words whose number the compiler knows. */
static __always_inline int km_out_words(struct km_out *out, const __u64 *words, __u32 bytes)
{
	__u64 to = out->bytes;
	__u32 i;

	km_route_opaque(to);
	if (to > KM_ROUTE_MAX_OUT - KM_TEXT_WORDS(bytes) * 8)
		return KM_OUT_NO_ROOM;
#pragma unroll
	for (i = 0; i < KM_TEXT_WORDS(bytes); i++)
		((__u64 *)(out->text + to))[i] = words[i];
	out->bytes = to + bytes;
	return 0;
}

#define km_out_literal(out, literal)                                                                         \
	({                                                                                                   \
		KM_TEXT(km_literal, literal);                                                                \
		km_out_words(out, km_literal.words, sizeof(literal) - 1);                                    \
	})

#endif
