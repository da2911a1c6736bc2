/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The request line (RFC 9112 §3). The functions return a position behind what they have read, or
 * KM_HTTP_STOP. */
#ifndef KM_HTTP_TARGET_H
#define KM_HTTP_TARGET_H

#include "km_http_fields.h"

/* The longest method, in bytes. */
#define KM_HTTP_MAX_METHOD 24

/* What the beginning of a connection is when it is no HTTP. A line end is none of another protocol but
 * PROXY's, version 2; servers that skip line ends would take what follows as a request. */
__noinline __s64 km_http_foreign(__u32 slot)
{
	const struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 word, differs;

	if (!scratch || !scratch->parser.first)
		return KM_HTTP_STOP(KM_HTTP_BAD);
	word = km_http_load(scratch, 0);
	if ((word & 0xff) == 0x16) {
		if (scratch->parser.length < 2)
			return KM_HTTP_STOP(KM_HTTP_INCOMPLETE);
		return (word & 0xffff) == 0x0316 ? KM_HTTP_STOP(KM_HTTP_TLS) : KM_HTTP_STOP(KM_HTTP_OTHER);
	}
	if ((word & 0xff) != '\r')
		return (word & 0xff) == '\n' ? KM_HTTP_STOP(KM_HTTP_BAD) : KM_HTTP_STOP(KM_HTTP_OTHER);
	differs = km_http_difference(word, KM_HTTP_WORD('\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q'));
	return differs == 8 ? KM_HTTP_STOP(KM_HTTP_OTHER) : km_http_refuse(scratch, differs);
}

/* `PRI * HTTP/2.0`, which no request of HTTP/1.1 begins with. */
__noinline __s64 km_http_preface(__u32 slot)
{
	const struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 differs;

	if (!scratch)
		return KM_HTTP_STOP(KM_HTTP_BAD);
	differs = km_http_difference(km_http_load(scratch, 0),
				     KM_HTTP_WORD('P', 'R', 'I', ' ', '*', ' ', 'H', 'T'));
	if (differs == 8)
		differs += km_http_difference(km_http_load(scratch, 8),
					      KM_HTTP_WORD('T', 'P', '/', '2', '.', '0', '\r', '\n'));
	if (differs == 16)
		differs += km_http_difference(km_http_load(scratch, 16),
					      KM_HTTP_WORD('\r', '\n', 'S', 'M', '\r', '\n', '\r', '\n'));
	if (differs == 24)
		return scratch->parser.first ? KM_HTTP_STOP(KM_HTTP_PREFACE) : KM_HTTP_STOP(KM_HTTP_VERSION);
	return km_http_refuse(scratch, differs);
}

/* Any method but GET. */
__noinline __s64 km_http_method(__u32 slot)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 position, word;

	if (!scratch)
		return KM_HTTP_STOP(KM_HTTP_BAD);
	position = km_http_token_rest(slot, 0);
	if (position > KM_HTTP_MAX_METHOD)
		return km_http_foreign(slot);
	if (position >= scratch->parser.length)
		return KM_HTTP_STOP(KM_HTTP_INCOMPLETE);
	if (km_http_byte(scratch, position) != ' ' || !position)
		return km_http_foreign(slot);
	word = km_http_load(scratch, 0);
	if ((word & KM_HTTP_FIRST(4)) == KM_HTTP_WORD('P', 'R', 'I', ' ', 0, 0, 0, 0))
		return km_http_preface(slot);
	if ((word & KM_HTTP_FIRST(5)) == KM_HTTP_WORD('H', 'E', 'A', 'D', ' ', 0, 0, 0))
		scratch->head.flags |= KM_HTTP_HEAD;
	if (word == KM_HTTP_WORD('C', 'O', 'N', 'N', 'E', 'C', 'T', ' '))
		scratch->head.flags |= KM_HTTP_CONNECT;
	return position;
}

/* The authority of a target; its end. The Host field has to say the same, but for CONNECT: clients put the
 * proxy there. */
__noinline __s64 km_http_target_authority(__u32 slot, __u64 begin)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 position = begin, byte, length;
	__u32 i;

	if (!scratch)
		return KM_HTTP_STOP(KM_HTTP_BAD);
	for (i = 0; i < KM_HTTP_MAX_HOST + 1; i++) {
		byte = km_http_byte(scratch, position);
		if (byte <= ' ' || byte == '/' || byte == '?' || byte == '#')
			break;
		position += 1;
	}
	if (position >= scratch->parser.length)
		return KM_HTTP_STOP(KM_HTTP_INCOMPLETE);
	length = km_http_authority(slot, begin, position);
	if (!length)
		return KM_HTTP_STOP(KM_HTTP_BAD);
	byte = km_http_byte(scratch, position);
	if (scratch->head.flags & KM_HTTP_CONNECT) {
		/* The port may not be left out (RFC 9110 §9.3.6). */
		if (byte != ' ' || position - begin < length + 2)
			return KM_HTTP_STOP(KM_HTTP_BAD);
	} else if (byte != '/') {
		return KM_HTTP_STOP(KM_HTTP_BAD);
	}
	scratch->parser.authority.offset = begin;
	scratch->parser.authority.length = position - begin;
	scratch->request.host.offset = begin;
	scratch->request.host.length = length;
	return position;
}

/* A target that is no path: `*`, `http://host/path` or CONNECT's. Returns where its path begins. */
__noinline __s64 km_http_other_target(__u32 slot, __u64 target)
{
	const struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 word, differs, length = 7;

	if (!scratch)
		return KM_HTTP_STOP(KM_HTTP_BAD);
	if (scratch->head.flags & KM_HTTP_CONNECT)
		return km_http_target_authority(slot, target);
	word = km_http_load(scratch, target);
	if ((word & 0xff) == '*' &&
	    km_http_load(scratch, 0) == KM_HTTP_WORD('O', 'P', 'T', 'I', 'O', 'N', 'S', ' '))
		return (word & 0xff00) == ' ' << 8 ? target : km_http_refuse(scratch, target + 1);
	if ((word >> 32 & 0xdf) == 'S') {
		length = 8;
		differs = km_http_difference(word | 0x2020202020ULL,
					     KM_HTTP_WORD('h', 't', 't', 'p', 's', ':', '/', '/'));
	} else {
		differs = km_http_difference((word | 0x20202020) & KM_HTTP_FIRST(7),
					     KM_HTTP_WORD('h', 't', 't', 'p', ':', '/', '/', 0));
	}
	if (differs == 8)
		return km_http_target_authority(slot, target + length);
	if (target + differs >= scratch->parser.length)
		return KM_HTTP_STOP(KM_HTTP_INCOMPLETE);
	return scratch->parser.first ? KM_HTTP_STOP(KM_HTTP_OTHER) : KM_HTTP_STOP(KM_HTTP_BAD);
}

static __always_inline bool km_http_in_target(__u64 byte)
{
	return byte > 0x20 && byte < 0x7f && byte != '#';
}

/* Steps over the next bytes of path and query, and notes where the query begins. The byte at the position
 * that it returns ends them, unless the turns were used up. */
__noinline __u64 km_http_target_block(__u32 slot, __u64 position)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u32 i;

	if (!scratch)
		return 0;
	for (i = 0; i < 64; i++) {
		__u64 marks = km_http_target_ends(km_http_load(scratch, position));

		if (!marks) {
			position += 8;
			continue;
		}
		position += km_http_index(marks);
		if (km_http_byte(scratch, position) != '?')
			break;
		position += 1;
		if (!scratch->parser.query)
			scratch->parser.query = position;
	}
	return position;
}

__noinline __u64 km_http_target_rest(__u32 slot, __u64 position)
{
	const struct km_route_scratch *scratch = km_route_slot(slot);
	__u32 i;

	if (!scratch)
		return 0;
	/* Each `?` costs a turn of its own. */
	for (i = 0; i < KM_ROUTE_MAX_HEAD / 64 && km_http_in_target(km_http_byte(scratch, position)); i++)
		position = km_http_target_block(slot, position);
	return position;
}

/* What is not exactly `HTTP/1.1` and a line end. */
__noinline __s64 km_http_version(__u32 slot, __u64 position)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 word, name;

	if (!scratch)
		return KM_HTTP_STOP(KM_HTTP_BAD);
	word = km_http_load(scratch, position);
	name = km_http_difference(word & KM_HTTP_FIRST(5), KM_HTTP_WORD('H', 'T', 'T', 'P', '/', 0, 0, 0));
	if (name < 8)
		return km_http_refuse(scratch, position + name);
	if (!km_http_is_digit(word >> 40 & 0xff))
		return km_http_refuse(scratch, position + 5);
	if ((word >> 48 & 0xff) != '.')
		return km_http_refuse(scratch, position + 6);
	if (!km_http_is_digit(word >> 56))
		return km_http_refuse(scratch, position + 7);
	if (km_http_byte(scratch, position + 8) != '\r')
		return km_http_refuse(scratch, position + 8);
	if (km_http_byte(scratch, position + 9) != '\n')
		return km_http_refuse(scratch, position + 9);
	if ((word >> 40 & 0xff) != '1')
		return KM_HTTP_STOP(KM_HTTP_VERSION);
	if (word >> 56 == '0')
		scratch->head.flags |= KM_HTTP_VERSION_10;
	return position + 10;
}

/* The request line; returns where the fields begin. */
__noinline __s64 km_http_line(__u32 slot)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 position = 3, path, query;
	__s64 next;

	if (!scratch)
		return KM_HTTP_STOP(KM_HTTP_BAD);
	if ((km_http_load(scratch, 0) & KM_HTTP_FIRST(4)) != KM_HTTP_WORD('G', 'E', 'T', ' ', 0, 0, 0, 0)) {
		next = km_http_method(slot);
		if (next < 0)
			return next;
		position = next;
	}
	scratch->request.method.offset = 0;
	scratch->request.method.length = position;
	path = position + 1;
	if (km_http_byte(scratch, path) != '/' || scratch->head.flags & KM_HTTP_CONNECT) {
		next = km_http_other_target(slot, path);
		if (next < 0)
			return next;
		path = next;
	}
	position = km_http_target_block(slot, path);
	if (km_http_in_target(km_http_byte(scratch, position)))
		position = km_http_target_rest(slot, position);
	if (km_http_byte(scratch, position) != ' ')
		return km_http_refuse(scratch, position);
	query = scratch->parser.query;
	scratch->request.path.offset = path;
	scratch->request.path.length = (query ? query - 1 : position) - path;
	scratch->request.query.offset = query;
	scratch->request.query.length = query ? position - query : 0;
	position += 1;
	if (km_http_load(scratch, position) == KM_HTTP_WORD('H', 'T', 'T', 'P', '/', '1', '.', '1') &&
	    (km_http_load(scratch, position + 8) & KM_HTTP_FIRST(2)) == 0x0a0d)
		return position + 10;
	return km_http_version(slot, position);
}

#endif
