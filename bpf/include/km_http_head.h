/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Reads the head of an HTTP/1.1 request, strictly (RFC 9112): what it accepts has one reading only. One pass;
 * what is not there yet is told from what is wrong, so a bad beginning is refused as soon as it is seen.
 * docs/adr/014-http-parser.md has what is accepted and what is refused.
 */
#ifndef KM_HTTP_HEAD_H
#define KM_HTTP_HEAD_H

#include "km_http_target.h"

__noinline __u64 km_http_value_block(__u32 slot, __u64 position)
{
	const struct km_route_scratch *scratch = km_route_slot(slot);

	return scratch ? km_http_value_end(scratch->bytes, KM_ROUTE_MAX_HEAD - 1, position, 64) : 0;
}

__noinline __u64 km_http_value_rest(__u32 slot, __u64 position)
{
	const struct km_route_scratch *scratch = km_route_slot(slot);
	__u32 i;

	if (!scratch)
		return 0;
	/* Each tab costs a turn of its own. */
	for (i = 0; i < KM_ROUTE_MAX_HEAD / 64 && km_http_in_value(km_http_byte(scratch, position)); i++)
		position = km_http_value_block(slot, position);
	return position;
}

/* One field, or the empty line. Returns where the next one begins. */
__noinline __s64 km_http_field(__u32 slot, __u64 begin)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 position, length, value, end, byte, count;

	if (!scratch)
		return KM_HTTP_STOP(KM_HTTP_BAD);
	if ((km_http_load(scratch, begin) & KM_HTTP_FIRST(2)) == 0x0a0d) {
		scratch->head.bytes = begin + 2;
		return KM_HTTP_STOP(KM_HTTP_COMPLETE);
	}
	position = km_http_token_end(scratch->bytes, KM_ROUTE_MAX_HEAD - 1, begin, 4);
	if (km_http_in_token(km_http_byte(scratch, position)))
		position = km_http_token_rest(slot, position);
	length = position - begin;
	if (length > KM_HTTP_MAX_NAME)
		return KM_HTTP_STOP(KM_HTTP_TOO_LONG);
	byte = km_http_byte(scratch, position);
	if (byte != ':')
		return km_http_refuse(scratch, byte == '\r' && !length ? position + 1 : position);
	if (!length)
		return KM_HTTP_STOP(KM_HTTP_BAD);
	value = position + 1;
	if (km_http_byte(scratch, value) == ' ')
		value += 1;
	if (km_http_is_space(km_http_byte(scratch, value))) {
		value = km_http_spaces(slot, value, 1);
		if (km_http_is_space(km_http_byte(scratch, value)) ||
		    value - position > KM_HTTP_MAX_PADDING + 1)
			return KM_HTTP_STOP(KM_HTTP_BAD);
	}
	position = value;
	position = km_http_value_end(scratch->bytes, KM_ROUTE_MAX_HEAD - 1, position, 16);
	if (km_http_in_value(km_http_byte(scratch, position)))
		position = km_http_value_rest(slot, position);
	if (km_http_byte(scratch, position) != '\r')
		return km_http_refuse(scratch, position);
	if (km_http_byte(scratch, position + 1) != '\n')
		return km_http_refuse(scratch, position + 1);
	end = position;
	if (end > value && km_http_is_space(km_http_byte(scratch, end - 1))) {
		end = km_http_spaces(slot, end - 1, -1) + 1;
		if (km_http_is_space(km_http_byte(scratch, end - 1)))
			return KM_HTTP_STOP(KM_HTTP_BAD);
	}
	count = scratch->request.header_count;
	if (count >= KM_ROUTE_MAX_HEADERS)
		return KM_HTTP_STOP(KM_HTTP_TOO_LONG);
	scratch->request.header_count = count + 1;
	*(km_http_word *)&scratch->request.headers[count & (KM_ROUTE_MAX_HEADERS - 1)] =
		begin | length << 16 | value << 32 | (end - value) << 48;
	if (km_http_known(scratch, slot, begin, length, value, end))
		return KM_HTTP_STOP(KM_HTTP_BAD);
	return position + 2;
}

/* Do the authority of the target and the Host field say the same? In any case. */
__noinline int km_http_same_host(__u32 slot)
{
	const struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 one, other, length;
	__u32 i;

	if (!scratch)
		return 0;
	one = scratch->parser.authority.offset;
	other = scratch->parser.host.offset;
	length = scratch->parser.host.length;
	if (length != scratch->parser.authority.length)
		return 0;
	/* Both are of characters that stay different in lower case, but `_` and DEL. */
	for (i = 0; i < KM_HTTP_MAX_HOST; i++) {
		if (i >= length)
			break;
		if ((km_http_byte(scratch, one + i) | 0x20) != (km_http_byte(scratch, other + i) | 0x20))
			return 0;
	}
	return 1;
}

/* What the fields mean together. */
__noinline int km_http_conclude(__u32 slot)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u32 seen, flags;

	if (!scratch)
		return KM_HTTP_BAD;
	seen = scratch->parser.seen;
	flags = scratch->head.flags;
	if (scratch->parser.authority.length && !(flags & KM_HTTP_CONNECT) && seen & KM_HTTP_SEEN_HOST &&
	    !km_http_same_host(slot))
		return KM_HTTP_BAD;
	if (seen & KM_HTTP_SEEN_CLOSE)
		flags |= KM_HTTP_CLOSE;
	if (flags & KM_HTTP_VERSION_10) {
		/* Of this version's servers some know no transfer codings, and take the body for a request.
		 */
		if (seen & KM_HTTP_SEEN_CODING)
			return KM_HTTP_BAD;
		if (!(seen & KM_HTTP_SEEN_KEEP))
			flags |= KM_HTTP_CLOSE;
	} else {
		if (!(seen & KM_HTTP_SEEN_HOST))
			return KM_HTTP_BAD;
		if (seen & KM_HTTP_SEEN_SWITCH && seen & KM_HTTP_SEEN_UPGRADE)
			flags |= KM_HTTP_UPGRADE;
		if (seen & KM_HTTP_SEEN_EXPECT)
			flags |= KM_HTTP_EXPECT;
	}
	switch (seen & (KM_HTTP_SEEN_LENGTH | KM_HTTP_SEEN_CODING)) {
	case 0:
		break;
	case KM_HTTP_SEEN_LENGTH:
		scratch->head.body = KM_BODY_LENGTH;
		break;
	case KM_HTTP_SEEN_CODING:
		scratch->head.body = KM_BODY_CHUNKED;
		break;
	default:
		return KM_HTTP_BAD;
	}
	/* Is it a body, or already the tunnel's? Servers differ. */
	if (flags & KM_HTTP_CONNECT && scratch->head.body != KM_BODY_NONE)
		return KM_HTTP_BAD;
	scratch->head.flags = flags;
	return KM_HTTP_COMPLETE;
}

/*
 * Reads the head that begins a text of `length` bytes in a scratch slot, and fills the slot's head and
 * request. `first`: these are the first bytes of a connection, which may be another protocol's. Returns an
 * enum km_http_verdict; only with KM_HTTP_COMPLETE head and request mean something. The text stays as it is.
 */
__noinline int km_http_head(__u32 slot, __u32 length, __u32 first)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 end = length, behind;
	__s64 position;
	int verdict;
	__u32 i;

	if (!scratch)
		return KM_HTTP_BAD;
	if (end > KM_HTTP_MAX_HEAD)
		end = KM_HTTP_MAX_HEAD;
	__builtin_memset(&scratch->head, 0, sizeof(scratch->head));
	__builtin_memset(&scratch->parser, 0, sizeof(scratch->parser));
	/* A head that is refused is told with what of it was read, not with places of the one before. */
	*(km_http_word *)&scratch->request.host = 0;
	*(km_http_word *)&scratch->request.path = 0;
	*(km_http_word *)&scratch->request.method = 0;
	scratch->request.header_count = 0;
	scratch->parser.length = end;
	scratch->parser.first = first;
	behind = km_http_load(scratch, end);
	km_route_opaque(end);
	if (end > KM_HTTP_MAX_HEAD)
		return KM_HTTP_BAD;
	*(km_http_word *)(scratch->bytes + end) = 0;
	position = km_http_line(slot);
	for (i = 0; i < KM_ROUTE_MAX_HEADERS + 1; i++) {
		if (position < 0)
			break;
		position = km_http_field(slot, position);
	}
	verdict = position < 0 ? -1 - position : KM_HTTP_BAD;
	*(km_http_word *)(scratch->bytes + end) = behind;
	if (verdict == KM_HTTP_COMPLETE)
		return km_http_conclude(slot);
	if (verdict == KM_HTTP_INCOMPLETE && end == KM_HTTP_MAX_HEAD)
		return KM_HTTP_TOO_LONG;
	return verdict;
}

#endif
