/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The first route that is in a set of each lookup. */
#ifndef KM_ROUTE_SETS_H
#define KM_ROUTE_SETS_H

#include "km_route_scratch.h"

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

#endif
