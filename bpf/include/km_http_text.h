/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * How the head parser reads a scratch slot. Behind the text stand eight bytes of zero, so that no scan runs
 * past it: a byte that does not fit is looked at for its place, and means "not yet" behind the text's end.
 */
#ifndef KM_HTTP_TEXT_H
#define KM_HTTP_TEXT_H

#include "km_http.h"
#include "km_http_scan.h"
#include "km_route_scratch.h"

/* The longest head: the zeros have to fit behind it. */
#define KM_HTTP_MAX_HEAD (KM_ROUTE_MAX_HEAD - 16)
/* The longest name of a field, in bytes. */
#define KM_HTTP_MAX_NAME 128

/* Positions are not negative; these say that there is none, and why. */
#define KM_HTTP_STOP(verdict) (-1 - (__s64)(verdict))

static __always_inline __u64 km_http_load(const struct km_route_scratch *scratch, __u64 position)
{
	return km_http_word_at(scratch->bytes, KM_ROUTE_MAX_HEAD - 1, position);
}

static __always_inline __u64 km_http_byte(const struct km_route_scratch *scratch, __u64 position)
{
	return km_http_byte_at(scratch->bytes, KM_ROUTE_MAX_HEAD - 1, position);
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

__noinline __u64 km_http_token_rest(__u32 slot, __u64 position)
{
	const struct km_route_scratch *scratch = km_route_slot(slot);

	return scratch ? km_http_token_end(scratch->bytes, KM_ROUTE_MAX_HEAD - 1, position, KM_HTTP_MAX_NAME)
		       : 0;
}

#endif
