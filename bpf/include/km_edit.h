/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Changes a request's head as a route says (struct km_edits). What stays is copied byte for byte, in runs as
 * long as they are. */
#ifndef KM_EDIT_H
#define KM_EDIT_H

#include "km_edit_plan.h"

#define KM_EDIT_HOST_LINE 0x203a74736f48ULL /* "Host: " */

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
