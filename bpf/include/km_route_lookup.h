/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* From a field of the request to the sets of routes that take its value, and those that take any. */
#ifndef KM_ROUTE_LOOKUP_H
#define KM_ROUTE_LOOKUP_H

#include "km_route_walk.h"

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

#endif
