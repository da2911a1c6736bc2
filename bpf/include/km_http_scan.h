/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Eight bytes of text at once, in a word whose lowest byte comes first. A scan gives marks: the highest bit
 * of each byte that ends it. The lowest mark is right; those above it may be wrong (a borrow or a carry runs
 * on).
 */
#ifndef KM_HTTP_SCAN_H
#define KM_HTTP_SCAN_H

#include <linux/types.h>
#include <stdbool.h>

#define KM_HTTP_ONES	   0x0101010101010101ULL
#define KM_HTTP_EACH(byte) (KM_HTTP_ONES * (byte))
#define KM_HTTP_HIGH	   KM_HTTP_EACH(0x80)

/* Letters without their case; only for text that has no control bytes, which would become others. */
#define KM_HTTP_LOWER KM_HTTP_EACH(0x20)

/* Index of the lowest mark, 8 when there is none. */
static __always_inline __u64 km_http_index(__u64 marks)
{
	return ((((marks & -marks) >> 7) - 1) & KM_HTTP_ONES) * KM_HTTP_ONES >> 56;
}

static __always_inline __u64 km_http_equal(__u64 word, __u64 byte)
{
	word ^= KM_HTTP_EACH(byte);
	return (word - KM_HTTP_ONES) & ~word & KM_HTTP_HIGH;
}

/* All but letters, digits, '-' and '.': these do for most names of fields and hosts. Every mark is right. */
static __always_inline __u64 km_http_odd(__u64 word)
{
	__u64 low = word & ~KM_HTTP_HIGH;
	__u64 lower = low | KM_HTTP_LOWER;
	__u64 letter = (lower + KM_HTTP_EACH(0x80 - 'a')) & ~(lower + KM_HTTP_EACH(0x7f - 'z'));
	__u64 digit = (low + KM_HTTP_EACH(0x80 - '-')) & ~(low + KM_HTTP_EACH(0x7f - '9'));
	__u64 slash = (low ^ KM_HTTP_EACH('/')) + KM_HTTP_EACH(0x7f);

	return (word | ~(letter | (digit & slash))) & KM_HTTP_HIGH;
}

/* What may not stand in a field's value: control bytes and DEL. Tabs are marked as well, and '~' behind a
 * byte 0xff: look at the byte with km_http_in_value(). */
static __always_inline __u64 km_http_controls(__u64 word)
{
	return ((word - KM_HTTP_EACH(0x20)) | (word + KM_HTTP_ONES)) & ~word & KM_HTTP_HIGH;
}

static __always_inline bool km_http_in_value(__u8 byte)
{
	return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

/* What ends a path or query: all but visible ASCII, and '?' and '#'. */
static __always_inline __u64 km_http_target_ends(__u64 word)
{
	__u64 outside = (word - KM_HTTP_EACH(0x21)) | (word + KM_HTTP_ONES) | word;

	return (outside & KM_HTTP_HIGH) | km_http_equal(word, '?') | km_http_equal(word, '#');
}

/* RFC 9110 §5.6.2 */
static __always_inline bool km_http_in_token(__u64 byte)
{
	/* !#$%&'*+-. and digits; letters, ^ _ ` | ~ */
	__u64 bits = byte & 0x40 ? 0x57ffffffc7fffffeULL : 0x03ff6cfa00000000ULL;

	return byte < 0x80 && (bits >> (byte & 63) & 1);
}

typedef __u64 __attribute__((may_alias)) km_http_word;

/* Eight bytes as a word. */
#define KM_HTTP_WORD(a, b, c, d, e, f, g, h)                                                                 \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 |             \
	 (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)
/* The first bytes of a word. */
#define KM_HTTP_FIRST(count) (~0ULL >> (64 - 8 * (count)))

/* Positions are masked for the verifier only, which has to see it: the compiler knows what our functions
 * return, and would leave the mask out. */
static __always_inline __u64 km_http_mask(__u64 position, __u64 mask)
{
	asm("" : "+r"(position));
	return position & mask;
}

static __always_inline __u64 km_http_word_at(const __u8 *text, __u64 mask, __u64 position)
{
	return *(const km_http_word *)(text + km_http_mask(position, mask));
}

static __always_inline __u64 km_http_byte_at(const __u8 *text, __u64 mask, __u64 position)
{
	return text[km_http_mask(position, mask)];
}

/* Where the token ends that begins here, or how far the turns reach: each takes eight bytes, or up to one
 * that is rare in names. */
static __always_inline __u64 km_http_token_end(const __u8 *text, __u64 mask, __u64 position, __u32 turns)
{
	__u32 i;

	for (i = 0; i < turns; i++) {
		__u64 marks = km_http_odd(km_http_word_at(text, mask, position));

		if (!marks) {
			position += 8;
			continue;
		}
		position += km_http_index(marks);
		if (!km_http_in_token(km_http_byte_at(text, mask, position)))
			break;
		position += 1;
	}
	return position;
}

/* The first byte that may not stand in a value, or how far the turns reach: each takes eight bytes,
 * or up to a tab. */
static __always_inline __u64 km_http_value_end(const __u8 *text, __u64 mask, __u64 position, __u32 turns)
{
	__u32 i;

	for (i = 0; i < turns; i++) {
		__u64 marks = km_http_controls(km_http_word_at(text, mask, position));

		if (!marks) {
			position += 8;
			continue;
		}
		position += km_http_index(marks);
		if (!km_http_in_value(km_http_byte_at(text, mask, position)))
			break;
		position += 1;
	}
	return position;
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
