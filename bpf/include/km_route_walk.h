/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* One automaton of a route table over one text of the request. */
#ifndef KM_ROUTE_WALK_H
#define KM_ROUTE_WALK_H

#include "km_route_scratch.h"

/* Bytes that one call of km_route_walk() steps over. */
#define KM_ROUTE_BLOCK	8
#define KM_ROUTE_BLOCKS 16

/* How km_route_walk() and km_route_run() ended. */
enum km_route_walked {
	KM_ROUTE_WALK_MORE = 0, /* call again */
	KM_ROUTE_WALK_END = 1,	/* at the end of the text */
	KM_ROUTE_WALK_STOP = 2, /* what follows makes no difference; state 0 is the dead one */
	KM_ROUTE_WALK_LOST = 3, /* the table changed or is damaged */
};

#define KM_ROUTE_STEP(byte)                                                                                  \
	do {                                                                                                 \
		entry = blob.units[(state + KM_ROUTE_SLOT_CLASSES + classes[byte]) & blob.mask];             \
		if ((__u32)entry != state) {                                                                 \
			entry = blob.units[state & blob.mask];                                               \
			if ((__u32)entry != state)                                                           \
				goto dead;                                                                   \
			if ((__s64)entry < 0)                                                                \
				goto stop;                                                                   \
		}                                                                                            \
		state = entry >> 32;                                                                         \
	} while (0)

/* Steps over the next bytes of the text that the scratch slot names. */
__noinline int km_route_walk(__u32 slot, __u32 handle)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 state, position, remaining, entry, at;
	struct km_route_blob blob;
	const __u8 *classes, *text;
	int end = KM_ROUTE_WALK_STOP;
	int i;

	if (!scratch || !km_route_same(scratch, handle, &blob))
		return KM_ROUTE_WALK_LOST;
	at = scratch->classes;
	if (at > blob.mask - 32)
		return KM_ROUTE_WALK_LOST;
	classes = (const __u8 *)(blob.units + at);
	state = scratch->state;
	position = scratch->position;
	remaining = scratch->remaining;
	for (i = 0; i < KM_ROUTE_BLOCKS && remaining >= KM_ROUTE_BLOCK; i++) {
		km_route_opaque(position);
		if (position > KM_ROUTE_COMMA)
			return KM_ROUTE_WALK_LOST;
		text = scratch->bytes + position;
		KM_ROUTE_STEP(text[0]);
		KM_ROUTE_STEP(text[1]);
		KM_ROUTE_STEP(text[2]);
		KM_ROUTE_STEP(text[3]);
		KM_ROUTE_STEP(text[4]);
		KM_ROUTE_STEP(text[5]);
		KM_ROUTE_STEP(text[6]);
		KM_ROUTE_STEP(text[7]);
		position += KM_ROUTE_BLOCK;
		remaining -= KM_ROUTE_BLOCK;
	}
	if (remaining >= KM_ROUTE_BLOCK) {
		end = KM_ROUTE_WALK_MORE;
		goto stop;
	}
	for (i = 0; i < KM_ROUTE_BLOCK - 1 && remaining > 0; i++) {
		km_route_opaque(position);
		if (position > KM_ROUTE_COMMA)
			return KM_ROUTE_WALK_LOST;
		KM_ROUTE_STEP(scratch->bytes[position]);
		position++;
		remaining--;
	}
	end = KM_ROUTE_WALK_END;
stop:
	scratch->state = state;
	scratch->position = position;
	scratch->remaining = remaining;
	return end;
dead:
	scratch->state = 0;
	return KM_ROUTE_WALK_STOP;
}

/* Steps over the whole text. */
__noinline int km_route_run(__u32 slot, __u32 handle)
{
	int i;

	for (i = 0; i <= KM_ROUTE_MAX_HEAD / (KM_ROUTE_BLOCK * KM_ROUTE_BLOCKS); i++) {
		int end = km_route_walk(slot, handle);

		if (end != KM_ROUTE_WALK_MORE)
			return end;
	}
	return KM_ROUTE_WALK_LOST;
}

static __always_inline void km_route_text(struct km_route_scratch *scratch, struct km_route_range range)
{
	scratch->position = range.offset;
	scratch->remaining = range.length;
}

/* What the automaton says of the text so far; 0: nothing. */
static __always_inline __u32 km_route_output(const struct km_route_scratch *scratch,
					     const struct km_route_blob *blob)
{
	__u64 state = scratch->state;
	__u64 entry;

	if (!state)
		return 0;
	entry = km_route_unit(blob, state + KM_ROUTE_SLOT_OUTPUT);
	return (__u32)entry == state ? entry >> 32 : 0;
}

#endif
