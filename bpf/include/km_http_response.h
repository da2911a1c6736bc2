/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Follows the responses of a connection in packets (TC), cut anywhere: status, whether the connection ends
 * with it, where it ends. Byte by byte where it must, a whole line at once where the line is ordinary; both
 * read the same. What is malformed ends with the connection (KM_RESPONSE_UNKNOWN): the client has it anyway,
 * and only what follows cannot be told from it.
 */
#ifndef KM_HTTP_RESPONSE_H
#define KM_HTTP_RESPONSE_H

#include "km_http_chunks.h"
#include "km_http_line.h"

/* Bytes of a head that are fetched at once. */
#define KM_RESPONSE_WINDOW 512
/* Steps of one call, each over a byte at least. */
#define KM_RESPONSE_STEPS 32
/* Calls for the heads of one packet; 32 KiB of the slowest kind of bytes. */
#define KM_RESPONSE_TURNS 1024

/* The empty line was read: is there a body, and how does it end? */
static __always_inline void km_response_head_end(struct km_response *response)
{
	__u16 flags = response->flags;

	response->step = KM_RESPONSE_VERSION;
	response->index = 0;
	if (flags & KM_RESPONSE_VERSION_10 && !(flags & KM_RESPONSE_KEEP))
		response->flags = flags | KM_RESPONSE_CLOSE;
	if (response->status == 101 ||
	    (flags & KM_RESPONSE_TUNNEL && response->status >= 200 && response->status < 300)) {
		response->phase = KM_RESPONSE_OPAQUE;
		return;
	}
	if (response->status < 200) {
		/* Another head follows. */
		response->flags = flags & (KM_RESPONSE_NO_BODY | KM_RESPONSE_TUNNEL);
		return;
	}
	response->phase = KM_RESPONSE_DONE;
	if (flags & KM_RESPONSE_NO_BODY || response->status == 204 || response->status == 304)
		return;
	response->phase = KM_RESPONSE_UNTIL_CLOSE;
	if (flags & KM_RESPONSE_CODED) {
		/* One of the two may be a lie; HTTP/1.0 had no codings (RFC 9112 §6.1, §6.3). */
		if (flags & (KM_RESPONSE_SIZED | KM_RESPONSE_VERSION_10))
			response->phase = KM_RESPONSE_UNKNOWN;
		else if (flags & KM_RESPONSE_CHUNKS)
			response->phase = KM_RESPONSE_CHUNKED;
		__builtin_memset(&response->body, 0, sizeof(response->body));
	} else if (flags & KM_RESPONSE_SIZED) {
		response->phase = response->body.remaining ? KM_RESPONSE_LENGTH : KM_RESPONSE_DONE;
	}
}

/* One step over the head; what it cannot step over makes the response unknown. */
__noinline int km_response_step(__u64 position)
{
	struct km_http_window *window = km_http_get_window();
	struct km_response *response;
	__u64 byte, begin, next;

	if (!window)
		return 0;
	response = &window->response;
	byte = km_http_window_byte(window, position);
	begin = window->begin;
	switch (response->step) {
	case KM_RESPONSE_VERSION:
		km_response_status_byte(response, byte);
		break;
	case KM_RESPONSE_LINE_LF:
		response->step = KM_RESPONSE_LINE;
		if (byte != '\n')
			response->phase = KM_RESPONSE_UNKNOWN;
		break;
	case KM_RESPONSE_END_LF:
		if (byte == '\n')
			km_response_head_end(response);
		else
			response->phase = KM_RESPONSE_UNKNOWN;
		break;
	case KM_RESPONSE_LINE:
		response->index = 0;
		response->left = KM_RESPONSE_NAMES;
		response->step = KM_RESPONSE_NAME;
		if (byte == '\r')
			response->step = KM_RESPONSE_END_LF;
		else
			km_response_name_byte(response, byte);
		break;
	case KM_RESPONSE_NAME:
		km_response_name_byte(response, byte);
		break;
	case KM_RESPONSE_VALUE:
		next = km_http_value_end(window->bytes, KM_HTTP_WINDOW_MASK, position - begin, 16) + begin;
		if (next > position) {
			window->position = next;
			return 0;
		}
		response->step = KM_RESPONSE_LINE_LF;
		if (byte != '\r')
			response->phase = KM_RESPONSE_UNKNOWN;
		break;
	case KM_RESPONSE_NUMBER:
		km_response_number_byte(response, byte);
		break;
	case KM_RESPONSE_CONNECTION:
	case KM_RESPONSE_CODING:
		km_response_option_byte(response, byte);
		break;
	default:
		response->phase = KM_RESPONSE_UNKNOWN;
	}
	window->position = position + 1;
	return 0;
}

/* Reads on in the window. Returns 0 when there is no more to read. */
__noinline int km_response_head(struct __sk_buff *skb)
{
	struct km_http_window *window = km_http_get_window();
	__u32 i;

	if (!window)
		return 0;
	if (window->position >= window->end && !km_http_fill(skb, KM_RESPONSE_WINDOW)) {
		window->response.phase = KM_RESPONSE_UNKNOWN;
		return 0;
	}
	for (i = 0; i < KM_RESPONSE_STEPS; i++) {
		__u64 position = window->position, next = 0;

		if (position >= window->end || window->response.phase != KM_RESPONSE_HEAD)
			break;
		if (window->response.step == KM_RESPONSE_LINE) {
			__u64 word = km_http_window_word(window, position);
			__u64 letter = (word & 0xff) | 0x20;

			if ((word & KM_HTTP_FIRST(2)) == 0x0a0d) {
				window->position = position + 2;
				km_response_head_end(&window->response);
				continue;
			}
			if (letter == 'c' || letter == 't')
				next = km_response_quick_line(position);
			else if (km_http_in_token(word & 0xff))
				next = km_response_quick_skip(position);
		} else if (!(window->response.step | window->response.index)) {
			next = km_response_quick_status(position);
		}
		if (next)
			window->position = next;
		else
			km_response_step(position);
	}
	return window->response.phase == KM_RESPONSE_HEAD && window->position < window->length;
}

/* Reads heads, up to a body or the payload's end. */
__noinline int km_response_heads(struct __sk_buff *skb)
{
	struct km_http_window *window = km_http_get_window();
	__u32 i;

	if (!window)
		return 0;
	for (i = 0; i < KM_RESPONSE_TURNS; i++) {
		if (!km_response_head(skb))
			return 0;
	}
	window->response.phase = KM_RESPONSE_UNKNOWN;
	return 0;
}

/* Reads the payload that the window was told of. */
__noinline int km_response_read(struct __sk_buff *skb)
{
	struct km_http_window *window = km_http_get_window();
	__u64 count;
	int step;

	if (!window)
		return 0;
	if (window->response.phase == KM_RESPONSE_HEAD && window->position < window->length)
		km_response_heads(skb);
	if (window->response.phase == KM_RESPONSE_LENGTH) {
		count = window->length - window->position;
		if (count > window->response.body.remaining)
			count = window->response.body.remaining;
		window->position += count;
		window->response.body.remaining -= count;
		if (!window->response.body.remaining)
			window->response.phase = KM_RESPONSE_DONE;
	} else if (window->response.phase == KM_RESPONSE_CHUNKED) {
		step = km_chunks_walk(skb);
		if (step == KM_CHUNKS_DONE)
			window->response.phase = KM_RESPONSE_DONE;
		else if (step == KM_CHUNKS_BAD)
			window->response.phase = KM_RESPONSE_UNKNOWN;
	}
	return 0;
}

/*
 * Follows a response over a packet's payload. Returns whether it ended in it; *end is then the position in
 * the payload behind it, where the next response begins if there is one (with a state of its own).
 */
static __always_inline bool km_response_advance(struct __sk_buff *skb, __u32 offset, __u32 length,
						struct km_response *response, __u32 *end)
{
	struct km_http_window *window = km_http_get_window();

	if (!window || response->phase >= KM_RESPONSE_UNTIL_CLOSE)
		return false;
	/* Most packets of a large body. */
	if (response->phase == KM_RESPONSE_LENGTH && response->body.remaining > length) {
		response->body.remaining -= length;
		return false;
	}
	km_http_begin(window, offset, length);
	window->response = *response;
	km_response_read(skb);
	*response = window->response;
	*end = window->position;
	return response->phase == KM_RESPONSE_DONE;
}

#endif
