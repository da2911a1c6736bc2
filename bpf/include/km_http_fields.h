/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The fields of a request's head that its framing, its host and its connection hang on. The functions return
 * 0 when the field is good. */
#ifndef KM_HTTP_FIELDS_H
#define KM_HTTP_FIELDS_H

#include "km_http_text.h"

/* The longest host and port, in bytes. */
#define KM_HTTP_MAX_HOST 260
/* Spaces and tabs before or behind a value. */
#define KM_HTTP_MAX_PADDING 256
/* Elements of a Connection field, empty ones too. */
#define KM_HTTP_MAX_OPTIONS 256
/* Content-Length has at most so many digits: any such number fits. */
#define KM_HTTP_MAX_DIGITS 18

/* Where the name or IPv4 address that begins here ends: letters, digits and `-._`. RFC 3986 has more
 * (percent-encoding and `~!$&'()*+,;=`); no host that can be looked up does, and servers differ about them.
 */
static __always_inline __u64 km_http_name_end(const struct km_route_scratch *scratch, __u64 position)
{
	__u32 i;

	for (i = 0; i < KM_HTTP_MAX_HOST / 8 + 1; i++) {
		__u64 word = km_http_load(scratch, position);
		__u64 underscore = (word & ~KM_HTTP_HIGH) ^ KM_HTTP_EACH('_');
		__u64 marks = km_http_odd(word) & ((underscore + KM_HTTP_EACH(0x7f)) | word);

		position += km_http_index(marks);
		if (marks)
			break;
	}
	return position;
}

/* Of an IPv6 address: hexadecimal digits, ':' and '.'. */
static __always_inline bool km_http_in_address(__u64 byte)
{
	__u64 bits = byte & 0x40 ? 0x7e0000007eULL : 0x7ff400000000000ULL;

	return byte < 0x80 && (bits >> (byte & 63) & 1);
}

/* Behind the `]` of an IPv6 address, 0 when it is none; not checked further than its characters. */
static __always_inline __u64 km_http_literal_end(const struct km_route_scratch *scratch, __u64 position)
{
	__u32 i;

	for (i = 1; i < 46; i++) {
		if (!km_http_in_address(km_http_byte(scratch, position + i)))
			break;
	}
	return i > 2 && km_http_byte(scratch, position + i) == ']' ? position + i + 1 : 0;
}

/* The length of the host in `host [ ":" [ port ] ]`; 0 when it is not that. */
__noinline __u64 km_http_authority(__u32 slot, __u64 begin, __u64 end)
{
	const struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 position, port = 0;
	__u32 i;

	if (!scratch || end - begin > KM_HTTP_MAX_HOST)
		return 0;
	if (km_http_byte(scratch, begin) == '[')
		position = km_http_literal_end(scratch, begin);
	else
		position = km_http_name_end(scratch, begin);
	if (position <= begin || position > end)
		return 0;
	if (position == end)
		return position - begin;
	if (km_http_byte(scratch, position) != ':' || end - position > 6)
		return 0;
	for (i = 1; i < 6; i++) {
		__u64 byte = km_http_byte(scratch, position + i);

		if (position + i >= end)
			break;
		if (!km_http_is_digit(byte))
			return 0;
		port = port * 10 + byte - '0';
	}
	return port > 65535 ? 0 : position - begin;
}

__noinline int km_http_host(__u32 slot, __u64 begin, __u64 end)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 length = km_http_authority(slot, begin, end);

	if (!scratch || !length || scratch->parser.seen & KM_HTTP_SEEN_HOST)
		return 1;
	scratch->parser.seen |= KM_HTTP_SEEN_HOST;
	scratch->parser.host.offset = begin;
	scratch->parser.host.length = end - begin;
	/* The target's own authority counts, and has to be the same. */
	if (scratch->parser.authority.length)
		return 0;
	scratch->request.host.offset = begin;
	scratch->request.host.length = length;
	return 0;
}

__noinline int km_http_content_length(__u32 slot, __u64 begin, __u64 end)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 length = 0;
	__u32 i;

	if (!scratch || begin >= end || end - begin > KM_HTTP_MAX_DIGITS ||
	    scratch->parser.seen & KM_HTTP_SEEN_LENGTH)
		return 1;
	for (i = 0; i < KM_HTTP_MAX_DIGITS; i++) {
		__u64 byte = km_http_byte(scratch, begin + i);

		if (begin + i >= end)
			break;
		if (!km_http_is_digit(byte))
			return 1;
		length = length * 10 + byte - '0';
	}
	scratch->parser.seen |= KM_HTTP_SEEN_LENGTH;
	scratch->head.content_length = length;
	return 0;
}

/* Nothing but `chunked`, once. */
__noinline int km_http_transfer_encoding(__u32 slot, __u64 begin, __u64 end)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 chunked = KM_HTTP_WORD('c', 'h', 'u', 'n', 'k', 'e', 'd', 0);

	if (!scratch || end - begin != 7 || scratch->parser.seen & KM_HTTP_SEEN_CODING)
		return 1;
	scratch->parser.seen |= KM_HTTP_SEEN_CODING;
	return ((km_http_load(scratch, begin) | KM_HTTP_LOWER) & KM_HTTP_FIRST(7)) != chunked;
}

__noinline int km_http_expect(__u32 slot, __u64 begin, __u64 end)
{
	struct km_route_scratch *scratch = km_route_slot(slot);

	if (!scratch)
		return 1;
	if (end - begin == 12 &&
	    (km_http_load(scratch, begin) | KM_HTTP_LOWER) ==
		    KM_HTTP_WORD('1', '0', '0', '-', 'c', 'o', 'n', 't') &&
	    ((km_http_load(scratch, begin + 8) | KM_HTTP_LOWER) & KM_HTTP_FIRST(4)) ==
		    KM_HTTP_WORD('i', 'n', 'u', 'e', 0, 0, 0, 0))
		scratch->parser.seen |= KM_HTTP_SEEN_EXPECT;
	return 0;
}

/* Steps over spaces and tabs, forwards or backwards; no more than the padding that a value may have. */
__noinline __u64 km_http_spaces(__u32 slot, __u64 position, __s64 step)
{
	const struct km_route_scratch *scratch = km_route_slot(slot);
	__u32 i;

	if (!scratch)
		return 0;
	for (i = 0; i < KM_HTTP_MAX_PADDING && km_http_is_space(km_http_byte(scratch, position)); i++)
		position += step;
	return position;
}

/* What an element of Connection says: enum km_http_seen, or 0. */
static __always_inline __u32 km_http_option(const struct km_route_scratch *scratch, __u64 begin, __u64 length)
{
	__u64 word = km_http_load(scratch, begin) | KM_HTTP_LOWER;
	__u64 rest;

	if (length == 5 && (word & KM_HTTP_FIRST(5)) == KM_HTTP_WORD('c', 'l', 'o', 's', 'e', 0, 0, 0))
		return KM_HTTP_SEEN_CLOSE;
	if (length == 7 && (word & KM_HTTP_FIRST(7)) == KM_HTTP_WORD('u', 'p', 'g', 'r', 'a', 'd', 'e', 0))
		return KM_HTTP_SEEN_SWITCH;
	rest = (km_http_load(scratch, begin + 8) | KM_HTTP_LOWER) & KM_HTTP_FIRST(2);
	if (length == 10 && word == KM_HTTP_WORD('k', 'e', 'e', 'p', '-', 'a', 'l', 'i') &&
	    rest == KM_HTTP_WORD('v', 'e', 0, 0, 0, 0, 0, 0))
		return KM_HTTP_SEEN_KEEP;
	return 0;
}

/* Reads one element of a list. Returns where the next one begins, 0 when this is longer than 128 bytes. */
__noinline __u64 km_http_connection_element(__u32 slot, __u64 begin, __u64 end)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 comma = begin;
	__u32 i;

	if (!scratch)
		return 0;
	for (i = 0; i < 16; i++) {
		__u64 marks = km_http_equal(km_http_load(scratch, comma), ',');

		comma += km_http_index(marks);
		if (marks)
			break;
	}
	if (comma > end)
		comma = end;
	else if (comma < end && km_http_byte(scratch, comma) != ',')
		return 0;
	begin = km_http_spaces(slot, begin, 1);
	if (begin < comma) {
		end = km_http_spaces(slot, comma - 1, -1) + 1;
		scratch->parser.seen |= km_http_option(scratch, begin, end - begin);
	}
	return comma + 1;
}

__noinline int km_http_connection(__u32 slot, __u64 begin, __u64 end)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u32 option, i;

	if (!scratch)
		return 1;
	option = km_http_option(scratch, begin, end - begin);
	scratch->parser.seen |= option;
	if (option)
		return 0;
	for (i = 0; i < KM_HTTP_MAX_OPTIONS + 1; i++) {
		if (begin >= end)
			return 0;
		begin = km_http_connection_element(slot, begin, end);
		if (!begin)
			return 1;
	}
	return 1;
}

/* Calls what reads the field, if it is one of these. The name is a valid one. */
static __always_inline int km_http_known(struct km_route_scratch *scratch, __u32 slot, __u64 name,
					 __u64 length, __u64 begin, __u64 end)
{
	__u64 word = km_http_load(scratch, name) | KM_HTTP_LOWER;
	__u64 rest = km_http_load(scratch, name + 8) | KM_HTTP_LOWER;

	switch (length) {
	case 4:
		if ((word & KM_HTTP_FIRST(4)) == KM_HTTP_WORD('h', 'o', 's', 't', 0, 0, 0, 0))
			return km_http_host(slot, begin, end);
		break;
	case 6:
		if ((word & KM_HTTP_FIRST(6)) == KM_HTTP_WORD('e', 'x', 'p', 'e', 'c', 't', 0, 0))
			return km_http_expect(slot, begin, end);
		break;
	case 7:
		if ((word & KM_HTTP_FIRST(7)) == KM_HTTP_WORD('u', 'p', 'g', 'r', 'a', 'd', 'e', 0) &&
		    begin < end)
			scratch->parser.seen |= KM_HTTP_SEEN_UPGRADE;
		break;
	case 10:
		if (word == KM_HTTP_WORD('c', 'o', 'n', 'n', 'e', 'c', 't', 'i') &&
		    (rest & KM_HTTP_FIRST(2)) == KM_HTTP_WORD('o', 'n', 0, 0, 0, 0, 0, 0))
			return km_http_connection(slot, begin, end);
		break;
	case 14:
		if (word == KM_HTTP_WORD('c', 'o', 'n', 't', 'e', 'n', 't', '-') &&
		    (rest & KM_HTTP_FIRST(6)) == KM_HTTP_WORD('l', 'e', 'n', 'g', 't', 'h', 0, 0))
			return km_http_content_length(slot, begin, end);
		break;
	case 17:
		if (word == KM_HTTP_WORD('t', 'r', 'a', 'n', 's', 'f', 'e', 'r') &&
		    rest == KM_HTTP_WORD('-', 'e', 'n', 'c', 'o', 'd', 'i', 'n') &&
		    (km_http_byte(scratch, name + 16) | 0x20) == 'g')
			return km_http_transfer_encoding(slot, begin, end);
		break;
	}
	return 0;
}

#endif
