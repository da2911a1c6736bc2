/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Decides a request by a compiled route table (km_route.h). What calls it fills the request and the head's
 * bytes into a scratch slot, calls km_route_decide() and reads the result there.
 *
 * The work is cut into global functions, which the verifier checks once each however often they are called,
 * and which keep their state in the scratch slot: so it passes from 5.10 on, where there is no bpf_loop and
 * where global functions take no pointers. Each of them looks the blob up anew. A table that is replaced
 * meanwhile shows by its generation, and the decision starts over: a request sees the old table or the new
 * one.
 */
#ifndef KM_ROUTE_ENGINE_H
#define KM_ROUTE_ENGINE_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include "km_http.h"
#include "km_route.h"
#include "km_route_tables.h"
#include "km_source.h"

/* Decisions that may go on at once on one CPU: sk_msg programs can be preempted by each other. */
#define KM_ROUTE_SLOTS 8
/* Bytes that one call of km_route_walk() steps over. */
#define KM_ROUTE_BLOCK	     8
#define KM_ROUTE_BLOCKS	     16
#define KM_ROUTE_MAX_RETRIES 4
/* Where the draw's digits and the comma between values stand, behind the head. */
#define KM_ROUTE_DIGITS (KM_ROUTE_MAX_HEAD)
#define KM_ROUTE_COMMA	(KM_ROUTE_MAX_HEAD + 8)

/* Keeps the compiler from moving a bound that the verifier has to see on this very register. */
#define km_route_opaque(value) asm volatile("" : "+r"(value))

/* An index of no header. */
#define KM_ROUTE_NONE 0xff

struct km_route_scratch {
	struct km_route_request request;
	struct km_route_result result;
	__u32 generation[2];
	/* km_route_walk(): what to step over. */
	__u32 state;
	__u32 classes;
	__u32 position;
	__u32 remaining;
	/* The virtual host that was found. */
	__u32 lookups;
	__u32 lookup_count;
	__u32 summary_words;
	__u32 changed;
	/* km_route_next(): words of 64 routes that are still to be looked at, of which summary. */
	__u64 words;
	__u32 summary;
	__u32 unused;
	/* Whose request it is: km_source says what it is to the table. 0: `request.source` says it already.
	 */
	__u64 workload;
	/* The sets of each lookup. */
	__u32 any[KM_ROUTE_MAX_LOOKUPS];
	__u32 chosen[KM_ROUTE_MAX_LOOKUPS];
	/* Headers of a name: first and last, and the next of each header. */
	__u8 first[KM_ROUTE_MAX_NAMES];
	__u8 last[KM_ROUTE_MAX_NAMES];
	__u8 next[KM_ROUTE_MAX_HEADERS];
	struct km_http_head head;
	struct km_http_parser parser;
	/* The head; a block may be read from its last byte on. */
	__u8 bytes[KM_ROUTE_MAX_HEAD + 64];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KM_ROUTE_SLOTS);
	__type(key, __u32);
	__type(value, struct km_route_scratch);
} km_route_scratch SEC(".maps");

static __always_inline struct km_route_scratch *km_route_slot(__u32 slot)
{
	return bpf_map_lookup_elem(&km_route_scratch, &slot);
}

/* The blob, if it is still the one that the decision began with. */
static __always_inline bool km_route_same(const struct km_route_scratch *scratch, __u32 handle,
					  struct km_route_blob *blob)
{
	if (!km_route_find(handle, blob))
		return false;
	return blob->units[1] == *(const __u64 *)scratch->generation;
}

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

/* Chains a header to those of its name, if the virtual host looks at it. */
__noinline int km_route_name(__u32 slot, __u32 handle, __u32 names, __u32 header)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_route_blob blob;
	__u64 index;

	if (!scratch || !km_route_same(scratch, handle, &blob))
		return KM_ROUTE_WALK_LOST;
	header &= KM_ROUTE_MAX_HEADERS - 1;
	index = km_route_unit(&blob, names);
	scratch->state = index;
	scratch->classes = index >> 32;
	km_route_text(scratch, scratch->request.headers[header].name);
	if (km_route_run(slot, handle) == KM_ROUTE_WALK_LOST)
		return KM_ROUTE_WALK_LOST;
	index = km_route_output(scratch, &blob);
	if (!index)
		return KM_ROUTE_WALK_END;
	index = (index - 1) & (KM_ROUTE_MAX_NAMES - 1);
	scratch->next[header] = KM_ROUTE_NONE;
	if (scratch->first[index] == KM_ROUTE_NONE)
		scratch->first[index] = header;
	else
		scratch->next[scratch->last[index] & (KM_ROUTE_MAX_HEADERS - 1)] = header;
	scratch->last[index] = header;
	return KM_ROUTE_WALK_END;
}

/* Chains the headers of the names that the virtual host looks at; the filter leaves out most others. */
__noinline int km_route_names(__u32 slot, __u32 handle, __u32 names)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_route_blob blob;
	__u32 i;

	if (!scratch || !km_route_same(scratch, handle, &blob))
		return KM_ROUTE_WALK_LOST;
	for (i = 0; i < KM_ROUTE_MAX_NAMES / 8; i++)
		((__u64 *)scratch->first)[i] = ~0ULL;
	for (i = 0; i < KM_ROUTE_MAX_HEADERS; i++) {
		struct km_route_range name = scratch->request.headers[i].name;
		__u64 length = name.length < 64 ? name.length : 0;
		__u64 offset = name.offset & (KM_ROUTE_MAX_HEAD - 1);
		__u64 pair;

		if (i >= scratch->request.header_count)
			break;
		pair = km_route_unit(&blob, (__u64)names + 1 + (length >> 1));
		pair >>= (length & 1) << 5;
		if (!(pair >> (scratch->bytes[offset] & 31) & 1))
			continue;
		if (km_route_name(slot, handle, names, i) == KM_ROUTE_WALK_LOST)
			return KM_ROUTE_WALK_LOST;
	}
	return KM_ROUTE_WALK_END;
}

/* Steps over the values of one header, joined with commas. */
__noinline int km_route_values(__u32 slot, __u32 handle, __u32 first)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u32 header = first;
	int i;

	if (!scratch)
		return KM_ROUTE_WALK_LOST;
	for (i = 0; i < KM_ROUTE_MAX_HEADERS; i++) {
		int end;

		header &= KM_ROUTE_MAX_HEADERS - 1;
		km_route_text(scratch, scratch->request.headers[header].value);
		end = km_route_run(slot, handle);
		if (end != KM_ROUTE_WALK_END)
			return end;
		header = scratch->next[header];
		if (header == KM_ROUTE_NONE)
			return KM_ROUTE_WALK_END;
		scratch->position = KM_ROUTE_COMMA;
		scratch->remaining = 1;
		end = km_route_run(slot, handle);
		if (end != KM_ROUTE_WALK_END)
			return end;
	}
	return KM_ROUTE_WALK_LOST;
}

#define KM_ROUTE_MILLION 1000000
#define KM_ROUTE_NO_DRAW 0xffffffff

/* The request's draw as six digits, for the automaton of a fraction; drawn here where the caller has not. */
static __always_inline void km_route_draw(struct km_route_scratch *scratch)
{
	__u32 random, i;

	if (scratch->request.random == KM_ROUTE_NO_DRAW)
		scratch->request.random = bpf_get_prandom_u32() % KM_ROUTE_MILLION;
	random = scratch->request.random;
	for (i = 6; i > 0; i--) {
		scratch->bytes[KM_ROUTE_DIGITS + i - 1] = '0' + random % 10;
		random /= 10;
	}
}

/* Finds the sets of a lookup. */
__noinline int km_route_look(__u32 slot, __u32 handle, __u32 number)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 base, first, second, third;
	struct km_route_blob blob;
	struct km_route_range range;
	__u32 index, output;
	int end;

	if (!scratch || !km_route_same(scratch, handle, &blob))
		return KM_ROUTE_WALK_LOST;
	number &= KM_ROUTE_MAX_LOOKUPS - 1;
	base = (__u64)scratch->lookups + number * 3;
	first = km_route_unit(&blob, base);
	second = km_route_unit(&blob, base + 1);
	third = km_route_unit(&blob, base + 2);
	index = first >> 8 & 0xff;
	scratch->any[number] = second >> 32;
	scratch->chosen[number] = third;
	scratch->state = first >> 32;
	scratch->classes = second;
	switch (first & 0xff) {
	case KM_ROUTE_FIELD_PATH:
		range = scratch->request.path;
		break;
	case KM_ROUTE_FIELD_METHOD:
		range = scratch->request.method;
		break;
	case KM_ROUTE_FIELD_QUERY:
		range = scratch->request.query;
		break;
	case KM_ROUTE_FIELD_RANDOM:
		km_route_draw(scratch);
		range.offset = KM_ROUTE_DIGITS;
		range.length = 6;
		break;
	case KM_ROUTE_FIELD_SOURCE:
		if (scratch->request.source[index >> 6] >> (index & 63) & 1)
			scratch->chosen[number] = third >> 32;
		return KM_ROUTE_WALK_END;
	case KM_ROUTE_FIELD_HEADER:
		index = scratch->first[index & (KM_ROUTE_MAX_NAMES - 1)];
		if (index == KM_ROUTE_NONE)
			return KM_ROUTE_WALK_END;
		end = km_route_values(slot, handle, index);
		goto walked;
	default:
		return KM_ROUTE_WALK_LOST;
	}
	km_route_text(scratch, range);
	end = km_route_run(slot, handle);
walked:
	if (end == KM_ROUTE_WALK_LOST)
		return end;
	output = km_route_output(scratch, &blob);
	scratch->chosen[number] = output ? output : third >> 32;
	return KM_ROUTE_WALK_END;
}

/* Words `index` of the summaries that all lookups share. */
__noinline __u64 km_route_common_summary(__u32 slot, __u32 handle, __u32 index)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_route_blob blob;
	__u64 common = ~0ULL;
	__u32 i;

	if (!scratch)
		return 0;
	if (!km_route_same(scratch, handle, &blob)) {
		scratch->changed = 1;
		return 0;
	}
	for (i = 0; i < KM_ROUTE_MAX_LOOKUPS; i++) {
		if (i >= scratch->lookup_count)
			break;
		common &= km_route_unit(&blob, (__u64)scratch->any[i] + index) |
			  km_route_unit(&blob, (__u64)scratch->chosen[i] + index);
	}
	return common;
}

/* 64 routes of a set that has a summary. Without a branch: the verifier walks each way of the loop around it.
 */
static __always_inline __u64 km_route_set_word(const struct km_route_blob *blob, __u64 set,
					       __u64 summary_words, __u64 word)
{
	__u64 index = word >> 6;
	__u64 summary = km_route_unit(blob, set + index);
	__u64 present = summary >> (word & 63) & 1;
	__u64 before;

	set += summary_words;
	before = (__u32)(km_route_unit(blob, set + (index >> 1)) >> ((index & 1) << 5));
	before += __builtin_popcountll(summary & ((1ULL << (word & 63)) - 1));
	return km_route_unit(blob, set + ((summary_words + 1) >> 1) + before) & -present;
}

/* The routes word * 64 to word * 64 + 63 that all lookups share; of sets with a summary. */
__noinline __u64 km_route_common_word(__u32 slot, __u32 handle, __u32 word)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_route_blob blob;
	__u64 common = ~0ULL;
	__u64 summary_words;
	__u32 i;

	if (!scratch)
		return 0;
	if (!km_route_same(scratch, handle, &blob)) {
		scratch->changed = 1;
		return 0;
	}
	summary_words = scratch->summary_words;
	for (i = 0; i < KM_ROUTE_MAX_LOOKUPS; i++) {
		if (i >= scratch->lookup_count)
			break;
		common &= km_route_set_word(&blob, scratch->any[i], summary_words, word) |
			  km_route_set_word(&blob, scratch->chosen[i], summary_words, word);
	}
	return common;
}

/* How km_route_next() ends when it names no route. */
enum km_route_search {
	KM_ROUTE_SEARCH_NONE = -1,
	KM_ROUTE_SEARCH_MORE = -2, /* call again */
};

/* Looks at the next word of 64 routes that all lookups share by their summaries, or takes the next summary.
 */
__noinline int km_route_next(__u32 slot, __u32 handle)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 words, routes;
	__u32 word;

	if (!scratch)
		return KM_ROUTE_SEARCH_NONE;
	words = scratch->words;
	if (!words) {
		scratch->summary += 1;
		if (scratch->summary >= scratch->summary_words)
			return KM_ROUTE_SEARCH_NONE;
		scratch->words = km_route_common_summary(slot, handle, scratch->summary);
		return KM_ROUTE_SEARCH_MORE;
	}
	word = scratch->summary * 64 + __builtin_ctzll(words);
	scratch->words = words & (words - 1);
	routes = km_route_common_word(slot, handle, word);
	return routes ? word * 64 + __builtin_ctzll(routes) : KM_ROUTE_SEARCH_MORE;
}

/* The first route that all lookups share, or KM_ROUTE_SEARCH_NONE. */
__noinline int km_route_first(__u32 slot, __u32 handle)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 words;
	int i;

	if (!scratch)
		return KM_ROUTE_SEARCH_NONE;
	if (!scratch->lookup_count)
		return 0;
	words = km_route_common_summary(slot, handle, 0);
	/* A set without a summary is one unit, as a summary's first is. */
	if (!scratch->summary_words)
		return words ? __builtin_ctzll(words) : KM_ROUTE_SEARCH_NONE;
	scratch->summary = 0;
	scratch->words = words;
	for (i = 0; i < KM_ROUTE_MAX_SUMMARY * 65; i++) {
		int route = km_route_next(slot, handle);

		if (route != KM_ROUTE_SEARCH_MORE)
			return route;
	}
	return KM_ROUTE_SEARCH_NONE;
}

/* One attempt; false when the table changed meanwhile. */
__noinline int km_route_attempt(__u32 slot, __u32 handle)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 base, first, second, third;
	struct km_route_blob blob;
	__u32 host, i;
	int route;

	if (!scratch)
		return 1;
	scratch->result.status = KM_ROUTE_NO_TABLE;
	if (!km_route_find(handle, &blob))
		return 1;
	scratch->result.status = KM_ROUTE_BAD_TABLE;
	if (blob.units[0] != ((__u64)KM_ROUTE_VERSION << 32 | KM_ROUTE_MAGIC))
		return 1;
	*(__u64 *)scratch->generation = blob.units[1];
	scratch->changed = 0;
	/* unit 4 is virtual_hosts and source_count */
	if (blob.units[4] >> 32 && scratch->workload)
		km_source_bits(blob.units[1], scratch->workload, scratch->request.source);
	first = blob.units[3];
	scratch->state = first;
	scratch->classes = first >> 32;
	/* unit 2 is bytes and virtual_host_count, 3 host_start and host_classes */
	km_route_text(scratch, scratch->request.host);
	if (km_route_run(slot, handle) == KM_ROUTE_WALK_LOST)
		return 0;
	scratch->result.status = KM_ROUTE_NO_VIRTUAL_HOST;
	host = km_route_output(scratch, &blob);
	if (!host)
		return 1;
	scratch->result.virtual_host = host - 1;
	scratch->result.status = KM_ROUTE_NO_ROUTE;
	base = (__u32)blob.units[4] + (__u64)(host - 1) * 3;
	first = km_route_unit(&blob, base);
	second = km_route_unit(&blob, base + 1);
	third = km_route_unit(&blob, base + 2);
	scratch->lookups = first >> 32;
	scratch->lookup_count = second >> 32;
	scratch->summary_words = third;
	if (!(third >> 32))
		return 1;
	if ((__u32)first && km_route_names(slot, handle, first) == KM_ROUTE_WALK_LOST)
		return 0;
	for (i = 0; i < KM_ROUTE_MAX_LOOKUPS; i++) {
		if (i >= scratch->lookup_count)
			break;
		if (km_route_look(slot, handle, i) == KM_ROUTE_WALK_LOST)
			return 0;
	}
	route = km_route_first(slot, handle);
	if (scratch->changed)
		return 0;
	if (route < 0)
		return 1;
	third = km_route_unit(&blob, (__u64)(__u32)second + (route >> 1));
	scratch->result.route = route;
	scratch->result.action = third >> ((route & 1) << 5);
	scratch->result.status = KM_ROUTE_FOUND;
	return 1;
}

/* Decides the request in a scratch slot. Returns an enum km_route_status, which is in its result as well. */
__noinline int km_route_decide(__u32 slot, __u32 handle)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u32 i;

	if (!scratch)
		return KM_ROUTE_NO_TABLE;
	scratch->bytes[KM_ROUTE_COMMA] = ',';
	for (i = 0; i < KM_ROUTE_MAX_RETRIES; i++) {
		if (km_route_attempt(slot, handle))
			return scratch->result.status;
	}
	scratch->result.status = KM_ROUTE_CHANGED;
	return KM_ROUTE_CHANGED;
}

#endif
