/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Answers that a route has: redirects, and replies whose text is in the table. */
#ifndef KM_REPLY_ACTION_H
#define KM_REPLY_ACTION_H

#include "km_edit.h"
#include "km_reply.h"

/* Appends the port of the request's authority, with its colon, if it has one. */
__noinline int km_reply_request_port(__u32 slot)
{
	const struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_out *out = km_out_slot(slot);
	__u64 at, word, bytes;

	if (!scratch || !out)
		return KM_OUT_NO_ROOM;
	at = (__u64)scratch->request.host.offset + scratch->request.host.length;
	km_route_opaque(at);
	if (at > KM_ROUTE_MAX_HEAD)
		return 0;
	word = *(const __u64 *)(scratch->bytes + at);
	if ((word & 0xff) != ':')
		return 0;
	for (bytes = 1; bytes < 6; bytes++) {
		__u64 digit = word >> (bytes << 3) & 0xff;

		if (digit < '0' || digit > '9')
			break;
	}
	return bytes > 1 ? km_out_word(out, word, bytes) : 0;
}

/* Whether what was made last ends with a port. */
__noinline int km_reply_has_port(__u32 slot)
{
	struct km_out *out = km_out_slot(slot);
	__u64 at;
	__u32 i;

	if (!out)
		return 0;
	at = out->bytes;
	for (i = 0; i < 6; i++) {
		__u8 byte;

		at -= 1;
		km_route_opaque(at);
		if (at > KM_ROUTE_MAX_OUT)
			return 0;
		byte = out->text[at];
		if (byte == ':')
			return i > 0;
		if (byte < '0' || byte > '9')
			return 0;
	}
	return 0;
}

/* Appends the text of an edit that the plan names by its unit. */
__noinline int km_reply_edit_text(__u32 slot, __u32 handle, __u32 edit)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_route_blob blob;
	__u64 first, second;

	if (!scratch)
		return KM_OUT_NO_ROOM;
	if (!km_route_same(scratch, handle, &blob))
		return KM_OUT_CHANGED;
	first = km_route_unit(&blob, edit);
	second = km_route_unit(&blob, (__u64)edit + 1);
	return km_out_text(slot, handle, KM_EDIT_TEXT_AT(first, second), KM_EDIT_TEXT_BYTES(first));
}

/* Appends `:port`: the plan's, or that of the request. An empty text is none. */
__noinline int km_reply_port(__u32 slot, __u32 handle)
{
	struct km_out *out = km_out_slot(slot);
	__u32 before;
	int error;

	if (!out)
		return KM_OUT_NO_ROOM;
	if (!out->plan.port) {
		if (out->plan.host && km_reply_has_port(slot))
			return 0;
		return km_reply_request_port(slot);
	}
	before = out->bytes;
	if (km_out_word(out, ':', 1))
		return KM_OUT_NO_ROOM;
	error = km_reply_edit_text(slot, handle, out->plan.port);
	if (error)
		return error;
	if (out->bytes == before + 1)
		out->bytes = before;
	return 0;
}

/* Appends scheme and authority. Without a host (HTTP/1.0 knows none) the reference stays relative. */
__noinline int km_reply_origin(__u32 slot, __u32 handle)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_out *out = km_out_slot(slot);
	int error;

	if (!scratch || !out)
		return KM_OUT_NO_ROOM;
	if (!out->plan.host && !scratch->request.host.length)
		return 0;
	error = out->plan.scheme ? km_reply_edit_text(slot, handle, out->plan.scheme)
				 : km_out_word(out, 0x70747468, 4); /* http */
	if (error)
		return error;
	if (km_out_word(out, 0x2f2f3a, 3)) /* :// */
		return KM_OUT_NO_ROOM;
	error = out->plan.host
			? km_out_text(slot, handle, out->plan.host, out->plan.host_bytes)
			: km_out_head(slot, scratch->request.host.offset, scratch->request.host.length);
	if (error)
		return error;
	return km_reply_port(slot, handle);
}

/* Appends path and query; of a target without a path, a slash. */
__noinline int km_reply_reference(__u32 slot, __u32 handle)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_out *out = km_out_slot(slot);
	__u32 path;
	int error;

	if (!scratch || !out)
		return KM_OUT_NO_ROOM;
	path = scratch->request.path.offset;
	if (scratch->bytes[path & (KM_ROUTE_MAX_HEAD - 1)] != '/')
		return km_out_word(out, '/', 1);
	error = km_edit_path(slot, handle);
	if (error)
		return error;
	if (out->plan.strip_query || !scratch->request.query.offset)
		return 0;
	/* The query's range has no question mark. */
	return km_out_head(slot, scratch->request.query.offset - 1, scratch->request.query.length + 1);
}

__noinline int km_reply_redirect(__u32 slot, __u32 handle, __u32 edits, __u32 status, __u32 close)
{
	struct km_out *out = km_out_slot(slot);
	int error;

	error = km_edit_begin(slot, handle, edits);
	if (error)
		return error;
	if (!out || km_reply_begin(slot, status) || km_out_literal(out, "location: "))
		return KM_OUT_NO_ROOM;
	error = km_reply_origin(slot, handle);
	if (error)
		return error;
	error = km_reply_reference(slot, handle);
	if (error)
		return error;
	if (km_out_word(out, KM_OUT_CRLF, 2))
		return KM_OUT_NO_ROOM;
	return km_reply_end(slot, status, 0, close);
}

/* Fields and body that the table has. */
__noinline int km_reply_direct(__u32 slot, __u32 handle, __u32 action, __u32 status, __u32 close)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 text, body_bytes, fields_bytes;
	struct km_route_blob blob;
	int error;

	if (!scratch)
		return KM_OUT_NO_ROOM;
	if (!km_route_same(scratch, handle, &blob))
		return KM_OUT_CHANGED;
	text = km_route_unit(&blob, (__u64)action + offsetof(struct km_action, text) / 8);
	fields_bytes = text >> 32;
	text = (__u64)(__u32)text * 8;
	body_bytes = (__u32)km_route_unit(&blob, (__u64)action + offsetof(struct km_action, body_bytes) / 8);
	if (km_reply_without_body(status))
		body_bytes = 0;
	error = km_reply_begin(slot, status);
	if (error)
		return error;
	error = km_out_text(slot, handle, text, fields_bytes);
	if (error)
		return error;
	error = km_reply_end(slot, status, body_bytes, close);
	if (error || scratch->head.flags & KM_HTTP_HEAD)
		return error;
	return km_out_text(slot, handle, text + fields_bytes, body_bytes);
}

/* The answer of a route whose km_action (at unit `action` of the table) is one. enum km_out_error when it is
 * none that can be made. */
__noinline int km_reply_action(__u32 slot, __u32 handle, __u32 action, __u32 close)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_route_blob blob;
	__u64 first, third;

	if (!scratch)
		return KM_OUT_NO_ROOM;
	if (!km_route_same(scratch, handle, &blob))
		return KM_OUT_CHANGED;
	first = km_route_unit(&blob, action);
	third = km_route_unit(&blob, (__u64)action + offsetof(struct km_action, edits) / 8);
	switch (first & 0xff) {
	case KM_ACTION_REPLY:
		return km_reply_direct(slot, handle, action, first >> 16 & 0xffff, close);
	case KM_ACTION_REDIRECT:
		return km_reply_redirect(slot, handle, third >> 32, first >> 16 & 0xffff, close);
	default:
		return KM_OUT_CHANGED;
	}
}

#endif
