/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Reads a route's struct km_edits into the plan of a text (km_out.h): which headers go, and where the new
 * host, path, scheme and port are. The lists are the compiler's: one edit of the path and one of the host at
 * most, names of up to KM_EDIT_MAX_NAME bytes, and no text that would make two of one line or change where
 * the message ends.
 */
#ifndef KM_EDIT_PLAN_H
#define KM_EDIT_PLAN_H

#include "km_action.h"
#include "km_out.h"

/* The longest name of a header that an edit may have (a limit of the Gateway API too). */
#define KM_EDIT_MAX_NAME 256

/* struct km_edit as two units: first and second. */
#define KM_EDIT_UNITS		    2
#define KM_EDIT_KIND(first)	    ((first) & 0xff)
#define KM_EDIT_NAME_BYTES(first)   ((first) >> 16 & 0xffff)
#define KM_EDIT_TEXT_BYTES(first)   ((first) >> 32 & 0xffff)
#define KM_EDIT_PREFIX_BYTES(first) ((first) >> 48)
/* Where its text begins, in bytes. */
#define KM_EDIT_TEXT_AT(first, second) ((__u64)(__u32)(second) * 8 + KM_EDIT_NAME_BYTES(first))

#define KM_EDIT_HOST_NAME 0x74736f68U /* "host" */

/* Eight bytes with their ASCII letters in lower case. */
static __always_inline __u64 km_edit_lower(__u64 word)
{
	__u64 low = word & 0x7f7f7f7f7f7f7f7fULL;
	__u64 from_a = low + 0x3f3f3f3f3f3f3f3fULL;
	__u64 above_z = low + 0x2525252525252525ULL;

	return word | ((from_a ^ above_z) & ~word & 0x8080808080808080ULL) >> 2;
}

/* Whether the header's name, whose length is `bytes`, is that at unit `name`. No when the table has changed:
 * the next that looks at it says so. */
__noinline int km_edit_same_name(__u32 slot, __u32 handle, __u32 header, __u32 name, __u32 bytes)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_route_blob blob;
	__u64 at, left = bytes;
	__u32 i;

	if (!scratch || !km_route_same(scratch, handle, &blob))
		return 0;
	at = scratch->request.headers[header & (KM_ROUTE_MAX_HEADERS - 1)].name.offset;
	for (i = 0; i < KM_EDIT_MAX_NAME / 8; i++) {
		__u64 differs;

		km_route_opaque(at);
		if (at > KM_ROUTE_MAX_HEAD)
			return 0;
		differs = km_edit_lower(*(const __u64 *)(scratch->bytes + at)) ^
			  km_route_unit(&blob, (__u64)name + i);
		if (left <= 8)
			return !(differs << ((8 - left) << 3 & 63));
		if (differs)
			return 0;
		at += 8;
		left -= 8;
	}
	return 0;
}

/* Leaves out all headers of a name. */
static __always_inline void km_edit_remove(__u32 slot, __u32 handle, struct km_route_scratch *scratch,
					   struct km_out *out, const struct km_route_blob *blob, __u32 name,
					   __u32 bytes)
{
	__u32 first, i;

	first = (km_route_unit(blob, name) & 0xff) | 0x20;
	for (i = 0; i < KM_ROUTE_MAX_HEADERS; i++) {
		struct km_route_range range = scratch->request.headers[i].name;
		__u32 differs;

		if (i >= scratch->request.header_count)
			break;
		differs = (scratch->bytes[range.offset & (KM_ROUTE_MAX_HEAD - 1)] | 0x20) ^ first;
		differs |= range.length ^ bytes;
		if (differs)
			continue;
		out->plan.gone[i >> 6] |= (__u64)km_edit_same_name(slot, handle, i, name, bytes) << (i & 63);
	}
}

/* Leaves out the Host field; the new one goes where it stood. */
__noinline int km_edit_remove_host(__u32 slot)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_out *out = km_out_slot(slot);
	__u32 i;

	if (!scratch || !out)
		return KM_OUT_NO_ROOM;
	for (i = 0; i < KM_ROUTE_MAX_HEADERS; i++) {
		struct km_route_range range = scratch->request.headers[i].name;
		__u32 differs;

		if (i >= scratch->request.header_count)
			break;
		differs = *(const __u32 *)(scratch->bytes + (range.offset & (KM_ROUTE_MAX_HEAD - 1)));
		differs = (differs | 0x20202020U) ^ KM_EDIT_HOST_NAME;
		differs |= range.length ^ 4;
		if (differs)
			continue;
		/* The parser has seen to it that there is one. */
		out->plan.gone[i >> 6] |= 1ULL << (i & 63);
		out->plan.host_header = i;
		break;
	}
	return 0;
}

/* Takes one struct km_edit into the plan. */
__noinline int km_edit_note(__u32 slot, __u32 handle, __u32 edit)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_out *out = km_out_slot(slot);
	__u64 first, second, at, bytes;
	struct km_route_blob blob;
	__u32 name_bytes, kind;

	if (!scratch || !out)
		return KM_OUT_NO_ROOM;
	if (!km_route_same(scratch, handle, &blob))
		return KM_OUT_CHANGED;
	first = km_route_unit(&blob, edit);
	second = km_route_unit(&blob, (__u64)edit + 1);
	kind = KM_EDIT_KIND(first);
	name_bytes = KM_EDIT_NAME_BYTES(first);
	at = KM_EDIT_TEXT_AT(first, second);
	bytes = KM_EDIT_TEXT_BYTES(first);
	if (kind == KM_EDIT_SET || kind == KM_EDIT_REMOVE) {
		if (name_bytes != 4 || (__u32)km_route_unit(&blob, (__u32)second) != KM_EDIT_HOST_NAME)
			goto remove;
		/* A request has a Host. */
		if (kind == KM_EDIT_REMOVE)
			return 0;
		/* `Host: value CRLF` */
		out->plan.host = at + 6;
		out->plan.host_bytes = bytes - 8;
		return 0;
	}
	if (kind == KM_EDIT_HOST) {
		out->plan.host = at;
		out->plan.host_bytes = bytes;
	} else if (kind == KM_EDIT_PATH || kind == KM_EDIT_PREFIX || kind == KM_EDIT_SEGMENTS) {
		out->plan.path = edit;
	} else if (kind == KM_EDIT_SCHEME) {
		out->plan.scheme = edit;
	} else if (kind == KM_EDIT_PORT) {
		out->plan.port = edit;
	} else if (kind == KM_EDIT_QUERY) {
		out->plan.strip_query = 1;
	}
	return 0;
remove:
	km_edit_remove(slot, handle, scratch, out, &blob, second, name_bytes);
	return 0;
}

/* Begins a text that edits change: reads all of them into the plan. */
__noinline int km_edit_begin(__u32 slot, __u32 handle, __u32 edits)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_out *out = km_out_slot(slot);
	struct km_route_blob blob;
	__u32 count, i;

	if (!scratch || !out)
		return KM_OUT_NO_ROOM;
	if (!km_route_same(scratch, handle, &blob))
		return KM_OUT_CHANGED;
	count = edits ? km_route_unit(&blob, edits) : 0;
	if (count > KM_ACTION_MAX_EDITS)
		return KM_OUT_CHANGED;
	__builtin_memset(&out->plan, 0, sizeof(out->plan));
	out->bytes = 0;
	out->plan.count = count;
	out->plan.host_header = KM_ROUTE_NONE;
	for (i = 0; i < KM_ACTION_MAX_EDITS; i++) {
		int error;

		if (i >= count)
			break;
		error = km_edit_note(slot, handle, edits + 1 + i * KM_EDIT_UNITS);
		if (error)
			return error;
	}
	return 0;
}

#endif
