/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The lines of a response's head: byte by byte, and ordinary ones at once. */
#ifndef KM_HTTP_LINE_H
#define KM_HTTP_LINE_H

#include "km_http_window.h"

enum km_response_step {
	KM_RESPONSE_VERSION = 0, /* the status line up to the status */
	KM_RESPONSE_LINE_LF = 1,
	KM_RESPONSE_LINE = 2, /* the beginning of a line */
	KM_RESPONSE_NAME = 3,
	KM_RESPONSE_VALUE = 4,	/* a value that does not matter, or the reason */
	KM_RESPONSE_NUMBER = 5, /* Content-Length */
	KM_RESPONSE_CONNECTION = 6,
	KM_RESPONSE_CODING = 7,
	KM_RESPONSE_END_LF = 8,
};

/* Names of fields and options, as bits of `left`. */
#define KM_RESPONSE_NAME_LENGTH	    1
#define KM_RESPONSE_NAME_CODING	    2
#define KM_RESPONSE_NAME_CONNECTION 4
#define KM_RESPONSE_NAMES	    7
#define KM_RESPONSE_OPTION_CLOSE    1
#define KM_RESPONSE_OPTION_KEEP	    2
#define KM_RESPONSE_OPTION_CHUNKED  4
#define KM_RESPONSE_OPTIONS	    7

#define KM_RESPONSE_MAX_DIGITS 18
/* Words of an ordinary line. */
#define KM_RESPONSE_WORDS 64

static __always_inline void km_response_bad(struct km_response *response)
{
	response->phase = KM_RESPONSE_UNKNOWN;
}

/* `HTTP/1.d ddd` and a space or the line's end. */
static __always_inline void km_response_status_byte(struct km_response *response, __u64 byte)
{
	__u64 index = response->index;

	response->index = index + 1;
	if (index < 7) {
		if (byte != (KM_HTTP_WORD('H', 'T', 'T', 'P', '/', '1', '.', 0) >> (index * 8) & 0xff))
			km_response_bad(response);
	} else if (index == 7) {
		response->status = 0;
		if (!km_http_is_digit(byte))
			km_response_bad(response);
		if (byte == '0')
			response->flags |= KM_RESPONSE_VERSION_10;
	} else if (index == 8) {
		if (byte != ' ')
			km_response_bad(response);
	} else if (index < 12) {
		response->status = response->status * 10 + (byte - '0');
		if (!km_http_is_digit(byte))
			km_response_bad(response);
	} else {
		response->step = byte == ' ' ? KM_RESPONSE_VALUE : KM_RESPONSE_LINE_LF;
		if ((byte != ' ' && byte != '\r') || response->status < 100)
			km_response_bad(response);
	}
}

/* Is this the byte of the text in three words, in any case? */
static __always_inline bool km_response_fits(__u64 first, __u64 second, __u64 third, __u64 index, __u64 byte)
{
	__u64 word = index < 8 ? first : index < 16 ? second : index < 24 ? third : 0;

	return (word >> ((index & 7) * 8) & 0xff) == (byte | 0x20);
}

/* A byte of a field's name, or the colon behind it. Of names that do not matter only the first byte is looked
 * at; what begins like one that does has to be a name, lest somebody reads it as that. */
static __always_inline void km_response_name_byte(struct km_response *response, __u64 byte)
{
	__u64 index = response->index;
	__u8 left = response->left;

	if (byte == ':' && index) {
		response->index = 0;
		response->left = KM_RESPONSE_OPTIONS;
		response->flags &= ~KM_RESPONSE_PADDED;
		response->step = KM_RESPONSE_VALUE;
		if (left & KM_RESPONSE_NAME_LENGTH && index == 14) {
			response->step = KM_RESPONSE_NUMBER;
			if (response->flags & KM_RESPONSE_SIZED)
				km_response_bad(response);
			response->flags |= KM_RESPONSE_SIZED;
			response->body.remaining = 0;
			response->body.digits = 0;
		} else if (left & KM_RESPONSE_NAME_CODING && index == 17) {
			response->step = KM_RESPONSE_CODING;
			response->flags |= KM_RESPONSE_CODED;
		} else if (left & KM_RESPONSE_NAME_CONNECTION && index == 10) {
			response->step = KM_RESPONSE_CONNECTION;
		}
		return;
	}
	if (!km_http_in_token(byte))
		km_response_bad(response);
	if (!km_response_fits(KM_HTTP_WORD('c', 'o', 'n', 't', 'e', 'n', 't', '-'),
			      KM_HTTP_WORD('l', 'e', 'n', 'g', 't', 'h', 0, 0), 0, index, byte))
		left &= ~KM_RESPONSE_NAME_LENGTH;
	if (!km_response_fits(KM_HTTP_WORD('t', 'r', 'a', 'n', 's', 'f', 'e', 'r'),
			      KM_HTTP_WORD('-', 'e', 'n', 'c', 'o', 'd', 'i', 'n'), 'g', index, byte))
		left &= ~KM_RESPONSE_NAME_CODING;
	if (!km_response_fits(KM_HTTP_WORD('c', 'o', 'n', 'n', 'e', 'c', 't', 'i'),
			      KM_HTTP_WORD('o', 'n', 0, 0, 0, 0, 0, 0), 0, index, byte))
		left &= ~KM_RESPONSE_NAME_CONNECTION;
	response->left = left;
	response->index = index + 1;
	if (!left)
		response->step = KM_RESPONSE_VALUE;
}

/* A byte of Content-Length's value, or behind it. */
static __always_inline void km_response_number_byte(struct km_response *response, __u64 byte)
{
	if (byte == '\r') {
		response->step = KM_RESPONSE_LINE_LF;
		if (!response->body.digits)
			km_response_bad(response);
	} else if (km_http_is_space(byte)) {
		if (response->body.digits)
			response->flags |= KM_RESPONSE_PADDED;
	} else if (!km_http_is_digit(byte) || response->flags & KM_RESPONSE_PADDED ||
		   response->body.digits >= KM_RESPONSE_MAX_DIGITS) {
		km_response_bad(response);
	} else {
		response->body.digits += 1;
		response->body.remaining = response->body.remaining * 10 + (byte - '0');
	}
}

/* An element of a list has ended. */
static __always_inline void km_response_option_end(struct km_response *response)
{
	__u8 index = response->index, left = response->left;

	response->index = 0;
	response->left = KM_RESPONSE_OPTIONS;
	response->flags &= ~KM_RESPONSE_PADDED;
	if (!index)
		return;
	if (response->step == KM_RESPONSE_CONNECTION) {
		if (left & KM_RESPONSE_OPTION_CLOSE && index == 5)
			response->flags |= KM_RESPONSE_CLOSE;
		if (left & KM_RESPONSE_OPTION_KEEP && index == 10)
			response->flags |= KM_RESPONSE_KEEP;
		return;
	}
	/* Nothing may follow chunked, least of all itself. */
	if (response->flags & KM_RESPONSE_CHUNKS)
		km_response_bad(response);
	if (left & KM_RESPONSE_OPTION_CHUNKED && index == 7)
		response->flags |= KM_RESPONSE_CHUNKS;
}

/* A byte of Connection's or Transfer-Encoding's value, or behind it. */
static __always_inline void km_response_option_byte(struct km_response *response, __u64 byte)
{
	__u64 index = response->index;
	__u8 left = response->left;

	if (byte == ',' || byte == '\r') {
		km_response_option_end(response);
		if (byte == '\r')
			response->step = KM_RESPONSE_LINE_LF;
		return;
	}
	if (!km_http_in_value(byte))
		km_response_bad(response);
	if (km_http_is_space(byte)) {
		if (index)
			response->flags |= KM_RESPONSE_PADDED;
		return;
	}
	if (response->flags & KM_RESPONSE_PADDED)
		left = 0;
	if (!km_response_fits(KM_HTTP_WORD('c', 'l', 'o', 's', 'e', 0, 0, 0), 0, 0, index, byte))
		left &= ~KM_RESPONSE_OPTION_CLOSE;
	if (!km_response_fits(KM_HTTP_WORD('k', 'e', 'e', 'p', '-', 'a', 'l', 'i'),
			      KM_HTTP_WORD('v', 'e', 0, 0, 0, 0, 0, 0), 0, index, byte))
		left &= ~KM_RESPONSE_OPTION_KEEP;
	if (!km_response_fits(KM_HTTP_WORD('c', 'h', 'u', 'n', 'k', 'e', 'd', 0), 0, 0, index, byte))
		left &= ~KM_RESPONSE_OPTION_CHUNKED;
	response->left = left;
	response->index = index < 32 ? index + 1 : index;
}

/* The position behind the status line that begins here, if it is an ordinary one and wholly in the window;
 * 0 and no change if not. */
__noinline __u64 km_response_quick_status(__u64 position)
{
	struct km_http_window *window = km_http_get_window();
	__u64 word, one, two, three, end;

	if (!window)
		return 0;
	word = km_http_window_word(window, position + 8);
	one = (word >> 8 & 0xff) - '0';
	two = (word >> 16 & 0xff) - '0';
	three = (word >> 24 & 0xff) - '0';
	if (km_http_window_word(window, position) != KM_HTTP_WORD('H', 'T', 'T', 'P', '/', '1', '.', '1') ||
	    (word & 0xff) != ' ' || (word >> 32 & 0xff) != ' ' || one - 1 > 8 || two > 9 || three > 9)
		return 0;
	end = km_http_value_end(window->bytes, KM_HTTP_WINDOW_MASK, position + 13 - window->begin, 6) +
	      window->begin;
	if ((km_http_window_word(window, end) & KM_HTTP_FIRST(2)) != 0x0a0d)
		return 0;
	window->response.status = one * 100 + two * 10 + three;
	window->response.step = KM_RESPONSE_LINE;
	return end + 2;
}

/* The number that begins here; the position behind it and its line's end, or 0. */
static __always_inline __u64 km_response_quick_number(struct km_http_window *window, __u64 position)
{
	__u64 number = 0;
	__u32 i;

	for (i = 0; i < KM_RESPONSE_MAX_DIGITS + 1; i++) {
		__u64 byte = km_http_window_byte(window, position + i);

		if (!km_http_is_digit(byte))
			break;
		number = number * 10 + (byte - '0');
	}
	position += i;
	if (!i || i > KM_RESPONSE_MAX_DIGITS || window->response.flags & KM_RESPONSE_SIZED ||
	    (km_http_window_word(window, position) & KM_HTTP_FIRST(2)) != 0x0a0d)
		return 0;
	window->response.flags |= KM_RESPONSE_SIZED;
	window->response.body.remaining = number;
	return position + 2;
}

/* The same for the one option that nearly all have. */
static __always_inline __u64 km_response_quick_option(struct km_http_window *window, __u64 position,
						      bool coding)
{
	__u64 word = km_http_window_word(window, position) | KM_HTTP_LOWER;
	__u64 length;
	__u16 flags;

	if (coding) {
		if ((word & KM_HTTP_FIRST(7)) != KM_HTTP_WORD('c', 'h', 'u', 'n', 'k', 'e', 'd', 0) ||
		    window->response.flags & KM_RESPONSE_CODED)
			return 0;
		flags = KM_RESPONSE_CODED | KM_RESPONSE_CHUNKS;
		length = 7;
	} else if ((word & KM_HTTP_FIRST(5)) == KM_HTTP_WORD('c', 'l', 'o', 's', 'e', 0, 0, 0)) {
		flags = KM_RESPONSE_CLOSE;
		length = 5;
	} else if (word == KM_HTTP_WORD('k', 'e', 'e', 'p', '-', 'a', 'l', 'i') &&
		   ((km_http_window_word(window, position + 8) | KM_HTTP_LOWER) & KM_HTTP_FIRST(2)) ==
			   KM_HTTP_WORD('v', 'e', 0, 0, 0, 0, 0, 0)) {
		flags = KM_RESPONSE_KEEP;
		length = 10;
	} else {
		return 0;
	}
	position += length;
	if ((km_http_window_word(window, position) & KM_HTTP_FIRST(2)) != 0x0a0d)
		return 0;
	window->response.flags |= flags;
	return position + 2;
}

/* The same for the rest of a line that does not matter. */
__noinline __u64 km_response_quick_skip(__u64 position)
{
	struct km_http_window *window = km_http_get_window();
	__u64 end;

	if (!window)
		return 0;
	end = km_http_value_end(window->bytes, KM_HTTP_WINDOW_MASK, position - window->begin,
				KM_RESPONSE_WORDS) +
	      window->begin;
	return (km_http_window_word(window, end) & KM_HTTP_FIRST(2)) == 0x0a0d ? end + 2 : 0;
}

/* The same for the line of a field that may matter. */
__noinline __u64 km_response_quick_line(__u64 position)
{
	struct km_http_window *window = km_http_get_window();
	__u64 first, second, length, end, value;

	if (!window)
		return 0;
	first = km_http_window_word(window, position) | KM_HTTP_LOWER;
	end = km_http_token_end(window->bytes, KM_HTTP_WINDOW_MASK, position - window->begin, 4) +
	      window->begin;
	length = end - position;
	if (!length || km_http_window_byte(window, end) != ':')
		return 0;
	value = end + 1;
	if (km_http_window_byte(window, value) == ' ')
		value += 1;
	second = km_http_window_word(window, position + 8) | KM_HTTP_LOWER;
	if (first == KM_HTTP_WORD('c', 'o', 'n', 't', 'e', 'n', 't', '-') && length == 14 &&
	    (second & KM_HTTP_FIRST(6)) == KM_HTTP_WORD('l', 'e', 'n', 'g', 't', 'h', 0, 0))
		return km_response_quick_number(window, value);
	if (first == KM_HTTP_WORD('c', 'o', 'n', 'n', 'e', 'c', 't', 'i') && length == 10 &&
	    (second & KM_HTTP_FIRST(2)) == KM_HTTP_WORD('o', 'n', 0, 0, 0, 0, 0, 0))
		return km_response_quick_option(window, value, false);
	if (first == KM_HTTP_WORD('t', 'r', 'a', 'n', 's', 'f', 'e', 'r') && length == 17 &&
	    second == KM_HTTP_WORD('-', 'e', 'n', 'c', 'o', 'd', 'i', 'n') &&
	    (km_http_window_byte(window, position + 16) | 0x20) == 'g')
		return km_response_quick_option(window, value, true);
	return km_response_quick_skip(value);
}

#endif
