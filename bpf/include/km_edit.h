/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Changes a request's head as a route says (struct km_edits). What stays is copied byte for byte, in runs as
 * long as they are. The lists are the compiler's: one edit of the path and one of the host at most, and no
 * text that would make two of one line or change where the message ends.
 */
#ifndef KM_EDIT_H
#define KM_EDIT_H

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

#define KM_EDIT_HOST_NAME 0x74736f68U	    /* "host" */
#define KM_EDIT_HOST_LINE 0x203a74736f48ULL /* "Host: " */

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

/* Appends the path as the plan has it; of a target that has one. It begins with a slash, whatever the text.
 */
__noinline int km_edit_path(__u32 slot, __u32 handle)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_out *out = km_out_slot(slot);
	__u64 first, second, bytes, path, length, rest;
	struct km_route_blob blob;
	bool slash, text_slash;
	__u32 kind;

	if (!scratch || !out)
		return KM_OUT_NO_ROOM;
	path = scratch->request.path.offset;
	length = scratch->request.path.length;
	if (!out->plan.path)
		return km_out_head(slot, path, length);
	if (!km_route_same(scratch, handle, &blob))
		return KM_OUT_CHANGED;
	first = km_route_unit(&blob, out->plan.path);
	second = km_route_unit(&blob, (__u64)out->plan.path + 1);
	kind = KM_EDIT_KIND(first);
	bytes = KM_EDIT_TEXT_BYTES(first);
	text_slash = (km_route_unit(&blob, (__u32)second) & 0xff) == '/';
	rest = KM_EDIT_PREFIX_BYTES(first);
	rest = kind == KM_EDIT_PATH || rest > length ? 0 : length - rest;
	path += length - rest;
	slash = rest && scratch->bytes[path & (KM_ROUTE_MAX_HEAD - 1)] == '/';
	if (bytes) {
		if (!text_slash && km_out_word(out, '/', 1))
			return KM_OUT_NO_ROOM;
		if (km_out_text(slot, handle, KM_EDIT_TEXT_AT(first, second), bytes))
			return KM_OUT_NO_ROOM;
		slash = slash || !rest || kind != KM_EDIT_SEGMENTS;
	}
	if (!slash && km_out_word(out, '/', 1))
		return KM_OUT_NO_ROOM;
	return km_out_head(slot, path, rest);
}

/* Appends what changes in the request line and what stands before it. Returns where the rest begins. */
__noinline int km_edit_target(__u32 slot, __u32 handle)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_out *out = km_out_slot(slot);
	__u32 from, target, path;
	int error;

	if (!scratch || !out)
		return KM_OUT_NO_ROOM;
	from = scratch->request.method.offset;
	target = from + scratch->request.method.length + 1;
	path = scratch->request.path.offset;
	/* `*` and the target of CONNECT have no path. */
	if (path < target || scratch->bytes[path & (KM_ROUTE_MAX_HEAD - 1)] != '/')
		return from;
	if (out->plan.host && path > target) {
		/* http:// or https:// */
		__u32 scheme = scratch->bytes[(target + 4) & (KM_ROUTE_MAX_HEAD - 1)] == ':' ? 7 : 8;

		error = km_out_head(slot, from, target + scheme - from);
		if (error)
			return error;
		error = km_out_text(slot, handle, out->plan.host, out->plan.host_bytes);
		if (error)
			return error;
		from = path;
	}
	if (!out->plan.path)
		return from;
	error = km_out_head(slot, from, path - from);
	if (error)
		return error;
	error = km_edit_path(slot, handle);
	if (error)
		return error;
	return path + scratch->request.path.length;
}

/* Appends the new Host line. */
__noinline int km_edit_host_line(__u32 slot, __u32 handle)
{
	struct km_out *out = km_out_slot(slot);
	int error;

	if (!out || km_out_word(out, KM_EDIT_HOST_LINE, 6))
		return KM_OUT_NO_ROOM;
	error = km_out_text(slot, handle, out->plan.host, out->plan.host_bytes);
	if (error)
		return error;
	return km_out_word(out, KM_OUT_CRLF, 2);
}

/* Appends the head from `from` up to a header that goes. Returns where what is behind it begins. */
__noinline int km_edit_skip(__u32 slot, __u32 handle, __u32 header, __u32 from)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_out *out = km_out_slot(slot);
	__u32 begin;
	int error;

	if (!scratch || !out)
		return KM_OUT_NO_ROOM;
	begin = scratch->request.headers[header & (KM_ROUTE_MAX_HEADERS - 1)].name.offset;
	error = km_out_head(slot, from, begin - from);
	if (error)
		return error;
	if (header == out->plan.host_header) {
		error = km_edit_host_line(slot, handle);
		if (error)
			return error;
	}
	header += 1;
	if (header >= scratch->request.header_count)
		return scratch->head.bytes - 2;
	return scratch->request.headers[header & (KM_ROUTE_MAX_HEADERS - 1)].name.offset;
}

/* Appends the head from `from` on without the headers that go, up to its empty line. */
__noinline int km_edit_lines(__u32 slot, __u32 handle, __u32 from)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_out *out = km_out_slot(slot);
	int error, i;

	if (!scratch || !out)
		return KM_OUT_NO_ROOM;
	for (i = 0; i < KM_ROUTE_MAX_HEADERS; i++) {
		if (i >= scratch->request.header_count)
			break;
		if (!(out->plan.gone[i >> 6] >> (i & 63) & 1))
			continue;
		error = km_edit_skip(slot, handle, i, from);
		if (error < 0)
			return error;
		from = error;
	}
	error = km_out_head(slot, from, scratch->head.bytes - 2 - from);
	if (error)
		return error;
	if (out->plan.host && out->plan.host_header == KM_ROUTE_NONE)
		return km_edit_host_line(slot, handle);
	return 0;
}

/* Appends the line of a set or an addition. */
__noinline int km_edit_add(__u32 slot, __u32 handle, __u32 edit)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_out *out = km_out_slot(slot);
	struct km_route_blob blob;
	__u64 first, second, at;
	__u32 kind, bytes;

	if (!scratch || !out)
		return KM_OUT_NO_ROOM;
	if (!km_route_same(scratch, handle, &blob))
		return KM_OUT_CHANGED;
	first = km_route_unit(&blob, edit);
	second = km_route_unit(&blob, (__u64)edit + 1);
	kind = KM_EDIT_KIND(first);
	if (kind != KM_EDIT_SET && kind != KM_EDIT_ADD)
		return 0;
	if (kind == KM_EDIT_SET && KM_EDIT_NAME_BYTES(first) == 4 &&
	    (__u32)km_route_unit(&blob, (__u32)second) == KM_EDIT_HOST_NAME)
		return 0;
	at = KM_EDIT_TEXT_AT(first, second);
	bytes = KM_EDIT_TEXT_BYTES(first);
	if (bytes > KM_OUT_TEXT_PART)
		return km_out_long_text(slot, handle, at, bytes);
	return km_out_copy_text(out, &blob, at, bytes);
}

/* Makes of the head in the scratch slot what the struct km_edits at unit `edits` of the table says; the text
 * is in km_out. enum km_out_error when it does not. */
__noinline int km_edit_head(__u32 slot, __u32 handle, __u32 edits)
{
	struct km_out *out = km_out_slot(slot);
	__u32 i;
	int end;

	end = km_edit_begin(slot, handle, edits);
	if (end)
		return end;
	if (!out)
		return KM_OUT_NO_ROOM;
	if (out->plan.host) {
		end = km_edit_remove_host(slot);
		if (end)
			return end;
	}
	end = km_edit_target(slot, handle);
	if (end < 0)
		return end;
	end = km_edit_lines(slot, handle, end);
	if (end)
		return end;
	for (i = 0; i < KM_ACTION_MAX_EDITS; i++) {
		if (i >= out->plan.count)
			break;
		end = km_edit_add(slot, handle, edits + 1 + i * KM_EDIT_UNITS);
		if (end)
			return end;
	}
	return km_out_word(out, KM_OUT_CRLF, 2);
}

#endif
