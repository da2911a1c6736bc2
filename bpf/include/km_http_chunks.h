/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Walks over a chunked body (RFC 9112 §7.1) that comes in packets, cut anywhere. Strict: CRLF only, a size of
 * 1 to 15 hexadecimal digits with nothing behind but extensions; extensions are skipped, but have no control
 * bytes; trailers are valid fields.
 */
#ifndef KM_HTTP_CHUNKS_H
#define KM_HTTP_CHUNKS_H

#include <stdbool.h>
#include "km_http_window.h"

#define KM_CHUNKS_MAX_DIGITS 15
/* Bytes of one chunk's extensions, and of all trailers. */
#define KM_CHUNKS_MAX_LINE 16384
/* Steps of one call, each over a byte at least; and bytes that are fetched for it, so that it reads all of
 * them. */
#define KM_CHUNKS_STEPS 64
/* Calls that are enough for the largest packet (GSO_MAX_SIZE, 512 KiB since 6.3; loopback makes 128 KiB),
 * with a window that was filled by another parser. */
#define KM_CHUNKS_TURNS	 32
#define KM_CHUNKS_BLOCKS (524288 / KM_CHUNKS_STEPS / KM_CHUNKS_TURNS + 1)

static __always_inline void km_chunks_digit(struct km_chunks *chunks, __u64 byte)
{
	__u64 letter = (byte | 0x20) - 'a';

	if (km_http_is_digit(byte) || letter < 6) {
		if (chunks->digits >= KM_CHUNKS_MAX_DIGITS) {
			chunks->step = KM_CHUNKS_BAD;
			return;
		}
		chunks->digits += 1;
		chunks->remaining = chunks->remaining << 4 | (letter < 6 ? letter + 10 : byte - '0');
		return;
	}
	if (!chunks->digits)
		chunks->step = KM_CHUNKS_BAD;
	else if (byte == '\r')
		chunks->step = KM_CHUNKS_SIZE_LF;
	else if (byte == ';')
		chunks->step = KM_CHUNKS_EXTENSION;
	else
		chunks->step = KM_CHUNKS_BAD;
}

/* Steps over one byte of anything but data. */
__noinline int km_chunks_byte(__u64 position)
{
	struct km_http_window *window = km_http_get_window();
	struct km_chunks *chunks;
	__u8 next = KM_CHUNKS_BAD;
	__u64 byte;

	if (!window)
		return 0;
	chunks = &window->response.body;
	byte = km_http_window_byte(window, position);
	window->position = position + 1;
	switch (chunks->step) {
	case KM_CHUNKS_SIZE:
		km_chunks_digit(chunks, byte);
		return 0;
	case KM_CHUNKS_EXTENSION:
	case KM_CHUNKS_VALUE:
		chunks->line += 1;
		if (byte == '\r')
			next = chunks->step == KM_CHUNKS_VALUE ? KM_CHUNKS_LINE_LF : KM_CHUNKS_SIZE_LF;
		else if (km_http_in_value(byte) && chunks->line <= KM_CHUNKS_MAX_LINE)
			return 0;
		break;
	case KM_CHUNKS_SIZE_LF:
		chunks->digits = 0;
		chunks->line = 0;
		if (byte == '\n')
			next = chunks->remaining ? KM_CHUNKS_DATA : KM_CHUNKS_LINE;
		break;
	case KM_CHUNKS_DATA_CR:
		if (byte == '\r')
			next = KM_CHUNKS_DATA_LF;
		break;
	case KM_CHUNKS_DATA_LF:
		if (byte == '\n')
			next = KM_CHUNKS_SIZE;
		break;
	case KM_CHUNKS_LINE:
		if (byte == '\r')
			next = KM_CHUNKS_END_LF;
		else if (km_http_in_token(byte))
			next = KM_CHUNKS_NAME;
		break;
	case KM_CHUNKS_NAME:
		chunks->line += 1;
		if (byte == ':')
			next = KM_CHUNKS_VALUE;
		else if (km_http_in_token(byte) && chunks->line <= KM_CHUNKS_MAX_LINE)
			return 0;
		break;
	case KM_CHUNKS_LINE_LF:
		if (byte == '\n')
			next = KM_CHUNKS_LINE;
		break;
	case KM_CHUNKS_END_LF:
		if (byte == '\n')
			next = KM_CHUNKS_DONE;
		break;
	}
	chunks->step = next;
	return 0;
}

/* The position behind the line of a chunk's size that begins here, if it is an ordinary one and wholly in the
 * window; 0 and no change if not. */
__noinline __u64 km_chunks_quick_size(__u64 position)
{
	struct km_http_window *window = km_http_get_window();
	__u64 size = 0;
	__u32 i;

	if (!window)
		return 0;
	for (i = 0; i < 8; i++) {
		__u64 byte = km_http_window_byte(window, position + i);
		__u64 letter = (byte | 0x20) - 'a';

		if (km_http_is_digit(byte))
			size = size << 4 | (byte - '0');
		else if (letter < 6)
			size = size << 4 | (letter + 10);
		else
			break;
	}
	if (!i || (km_http_window_word(window, position + i) & KM_HTTP_FIRST(2)) != 0x0a0d)
		return 0;
	window->response.body.remaining = size;
	window->response.body.step = size ? KM_CHUNKS_DATA : KM_CHUNKS_LINE;
	window->response.body.line = 0;
	return position + i + 2;
}

/* The same for the line ends behind data and behind the body. */
static __always_inline __u64 km_chunks_quick_end(struct km_http_window *window, __u64 position)
{
	struct km_chunks *chunks = &window->response.body;

	if (chunks->step != KM_CHUNKS_DATA_CR && chunks->step != KM_CHUNKS_LINE)
		return 0;
	if ((km_http_window_word(window, position) & KM_HTTP_FIRST(2)) != 0x0a0d)
		return 0;
	chunks->step = chunks->step == KM_CHUNKS_LINE ? KM_CHUNKS_DONE : KM_CHUNKS_SIZE;
	return position + 2;
}

/* Steps over a chunk's data, if that comes next. */
static __always_inline void km_chunks_data(struct km_http_window *window)
{
	struct km_chunks *chunks = &window->response.body;
	__u64 count = window->length - window->position;

	if (chunks->step != KM_CHUNKS_DATA)
		return;
	if (count > chunks->remaining)
		count = chunks->remaining;
	window->position += count;
	chunks->remaining -= count;
	if (!chunks->remaining)
		chunks->step = KM_CHUNKS_DATA_CR;
}

/* Walks on to the window's end or further. Returns 0 when there is no more to read. */
__noinline int km_chunks_turn(struct __sk_buff *skb)
{
	struct km_http_window *window = km_http_get_window();
	struct km_chunks *chunks;
	__u32 i;

	if (!window)
		return 0;
	chunks = &window->response.body;
	km_chunks_data(window);
	if (window->position >= window->length)
		return 0;
	if (window->position >= window->end && !km_http_fill(skb, KM_CHUNKS_STEPS)) {
		chunks->step = KM_CHUNKS_BAD;
		return 0;
	}
	for (i = 0; i < KM_CHUNKS_STEPS && chunks->step < KM_CHUNKS_DONE; i++) {
		__u64 position = window->position, next;

		if (position >= window->end)
			break;
		if (!(chunks->step | chunks->digits))
			next = km_chunks_quick_size(position);
		else
			next = km_chunks_quick_end(window, position);
		if (next)
			window->position = next;
		else
			km_chunks_byte(position);
		km_chunks_data(window);
	}
	return chunks->step < KM_CHUNKS_DONE;
}

/* Several turns. Returns 0 when there is no more to read. */
__noinline int km_chunks_block(struct __sk_buff *skb)
{
	__u32 i;

	for (i = 0; i < KM_CHUNKS_TURNS; i++) {
		if (!km_chunks_turn(skb))
			return 0;
	}
	return 1;
}

/* Walks over what is left of the payload. Returns the step. */
__noinline int km_chunks_walk(struct __sk_buff *skb)
{
	struct km_http_window *window = km_http_get_window();
	__u32 i;

	if (!window)
		return KM_CHUNKS_BAD;
	for (i = 0; i < KM_CHUNKS_BLOCKS; i++) {
		if (!km_chunks_block(skb))
			return window->response.body.step;
	}
	/* A packet that is larger, and full of chunks of a few bytes. */
	if (window->position < window->length)
		window->response.body.step = KM_CHUNKS_BAD;
	return window->response.body.step;
}

/*
 * Walks over a packet's payload. Returns whether the body ended in it; *end is then the position in the
 * payload behind it. A step of KM_CHUNKS_BAD: it is none.
 */
static __always_inline bool km_chunks_advance(struct __sk_buff *skb, __u32 offset, __u32 length,
					      struct km_chunks *chunks, __u32 *end)
{
	struct km_http_window *window = km_http_get_window();

	if (!window || chunks->step >= KM_CHUNKS_DONE)
		return false;
	km_http_begin(window, offset, length);
	window->response.body = *chunks;
	km_chunks_walk(skb);
	*chunks = window->response.body;
	*end = window->position;
	return chunks->step == KM_CHUNKS_DONE;
}

#endif
