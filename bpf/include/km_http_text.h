/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * How the head parser reads a scratch slot. Behind the text stand eight bytes of zero, so that no scan runs
 * past it: a byte that does not fit is looked at for its place, and means "not yet" behind the text's end.
 * Positions are masked for the verifier only.
 */
#ifndef KM_HTTP_TEXT_H
#define KM_HTTP_TEXT_H

#include "km_http.h"
#include "km_http_scan.h"
#include "km_route_engine.h"

/* The longest head: the zeros have to fit behind it. */
#define KM_HTTP_MAX_HEAD (KM_ROUTE_MAX_HEAD - 16)
/* The longest name of a field, in bytes. */
#define KM_HTTP_MAX_NAME 128

/* Positions are not negative; these say that there is none, and why. */
#define KM_HTTP_STOP(verdict) (-1 - (__s64)(verdict))

typedef __u64 __attribute__((may_alias)) km_http_word;

/* Eight bytes as a word. */
#define KM_HTTP_WORD(a, b, c, d, e, f, g, h)                                                                 \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 |             \
	 (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)
/* The first bytes of a word. */
#define KM_HTTP_FIRST(count) (~0ULL >> (64 - 8 * (count)))

/* The compiler knows what the functions below return, and would leave the mask out. */
static __always_inline __u64 km_http_mask(__u64 position)
{
	asm("" : "+r"(position));
	return position & (KM_ROUTE_MAX_HEAD - 1);
}

static __always_inline __u64 km_http_load(const struct km_route_scratch *scratch, __u64 position)
{
	position = km_http_mask(position);
	return *(const km_http_word *)(scratch->bytes + position);
}

static __always_inline __u64 km_http_byte(const struct km_route_scratch *scratch, __u64 position)
{
	return scratch->bytes[km_http_mask(position)];
}

/* The byte at the position is wrong, or not there yet. */
static __always_inline __s64 km_http_refuse(const struct km_route_scratch *scratch, __u64 position)
{
	return position < scratch->parser.length ? KM_HTTP_STOP(KM_HTTP_BAD)
						 : KM_HTTP_STOP(KM_HTTP_INCOMPLETE);
}

/* Index of the first byte in which two words differ, 8 when they are equal. */
static __always_inline __u64 km_http_difference(__u64 one, __u64 other)
{
	__u64 difference = one ^ other;

	difference |= (difference & ~KM_HTTP_HIGH) + KM_HTTP_EACH(0x7f);
	return km_http_index(difference & KM_HTTP_HIGH);
}

/* Where the token ends that begins here (RFC 9110 §5.6.2), or how far the turns reach: each takes eight
 * bytes, or up to one that is rare in names. */
static __always_inline __u64 km_http_token_end(const struct km_route_scratch *scratch, __u64 position,
					       __u32 turns)
{
	__u32 i;

	for (i = 0; i < turns; i++) {
		__u64 marks = km_http_odd(km_http_load(scratch, position));

		if (!marks) {
			position += 8;
			continue;
		}
		position += km_http_index(marks);
		if (!km_http_in_token(km_http_byte(scratch, position)))
			break;
		position += 1;
	}
	return position;
}

__noinline __u64 km_http_token_rest(__u32 slot, __u64 position)
{
	const struct km_route_scratch *scratch = km_route_slot(slot);

	return scratch ? km_http_token_end(scratch, position, KM_HTTP_MAX_NAME) : 0;
}

static __always_inline bool km_http_is_space(__u64 byte)
{
	return byte == ' ' || byte == '\t';
}

static __always_inline bool km_http_is_digit(__u64 byte)
{
	return byte - '0' < 10;
}

#endif
