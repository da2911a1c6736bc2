/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Answers of our own. Each is a whole HTTP/1.1 response (RFC 9112) to the request in the scratch slot: the
 * body is left out for HEAD, and 204 and 304 have none, nor a length of one (RFC 9110 §6.4.1, §8.6). There is
 * no date: programs have no clock of the day.
 */
#ifndef KM_REPLY_H
#define KM_REPLY_H

#include "km_out.h"

/* The argument `close` of the functions below; with 1 alone it is a boolean. */
enum km_reply_flags {
	KM_REPLY_CLOSE = 1,    /* this answer is the connection's last */
	KM_REPLY_FAULT = 2,    /* the status was asked for by a fault: its own body */
	KM_REPLY_OVERFLOW = 4, /* 503 for want of room for a connection: its own body */
};

static __always_inline bool km_reply_without_body(__u32 status)
{
	return status < 200 || status == 204 || status == 304;
}

/* Appends a decimal number of up to six digits. */
static __always_inline int km_reply_number(struct km_out *out, __u32 number)
{
	__u32 digits = 1, i;
	__u64 word;

	word = '0' + number % 10;
	for (i = 0; i < 5; i++) {
		number /= 10;
		if (number) {
			word = word << 8 | ('0' + number % 10);
			digits += 1;
		}
	}
	return km_out_word(out, word, digits);
}

/* Begins an answer: status line and `server`. */
__noinline int km_reply_begin(__u32 slot, __u32 status)
{
	struct km_out *out = km_out_slot(slot);
	__u64 digits;
	__u32 i;

	if (!out)
		return KM_OUT_NO_ROOM;
	out->bytes = 0;
	digits = '0' + status / 100 % 10 + (('0' + status / 10 % 10) << 8) + (('0' + status % 10) << 16);
	if (km_out_literal(out, "HTTP/1.1 ") || km_out_word(out, digits | ' ' << 24, 4))
		return KM_OUT_NO_ROOM;
	/* The last is for those that have no phrase. */
	for (i = 0; i < KM_PHRASES - 1; i++) {
		if (km_phrases[i].status == status)
			break;
	}
	if (i >= KM_PHRASES)
		return KM_OUT_NO_ROOM;
	km_out_words(out, km_phrases[i].words, sizeof(km_phrases[i].words));
	out->bytes -= sizeof(km_phrases[i].words) - km_phrases[i].bytes;
	return km_out_literal(out, "\r\nserver: kmesh\r\n");
}

/* Ends an answer's head. A body of that many bytes is to follow. */
__noinline int km_reply_end(__u32 slot, __u32 status, __u32 body_bytes, __u32 close)
{
	struct km_out *out = km_out_slot(slot);

	if (!out)
		return KM_OUT_NO_ROOM;
	if (!km_reply_without_body(status)) {
		if (km_out_literal(out, "content-length: ") || km_reply_number(out, body_bytes) ||
		    km_out_word(out, KM_OUT_CRLF, 2))
			return KM_OUT_NO_ROOM;
	}
	if (close & KM_REPLY_CLOSE && km_out_literal(out, "connection: close\r\n"))
		return KM_OUT_NO_ROOM;
	return km_out_word(out, KM_OUT_CRLF, 2);
}

#define KM_REPLY_BODY(literal)                                                                               \
	do {                                                                                                 \
		if (!km_reply_without_body(status) && km_out_literal(out, "content-type: text/plain\r\n"))   \
			return KM_OUT_NO_ROOM;                                                               \
		if (km_reply_end(slot, status, sizeof(literal) - 1, close))                                  \
			return KM_OUT_NO_ROOM;                                                               \
		return body ? km_out_literal(out, literal) : 0;                                              \
	} while (0)

/* An answer of our own, with the text that Envoy has for it. */
__noinline int km_reply(__u32 slot, __u32 status, __u32 close)
{
	const struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_out *out = km_out_slot(slot);
	bool body;

	if (!scratch || !out || km_reply_begin(slot, status))
		return KM_OUT_NO_ROOM;
	body = !(scratch->head.flags & KM_HTTP_HEAD) && !km_reply_without_body(status);
	if (close & KM_REPLY_FAULT)
		KM_REPLY_BODY(KM_BODY_FAULT);
	if (close & KM_REPLY_OVERFLOW)
		KM_REPLY_BODY(KM_BODY_OVERFLOW);
	if (status == 503)
		KM_REPLY_BODY(KM_BODY_NO_ENDPOINT);
	if (status == 400)
		KM_REPLY_BODY("Bad Request");
	if (status == 431)
		KM_REPLY_BODY("Request Header Fields Too Large");
	if (status == 505)
		KM_REPLY_BODY("HTTP Version Not Supported");
	return km_reply_end(slot, status, 0, close);
}

/* The answer to a request for which no endpoint could be reached; the connection ends with it. */
__noinline int km_reply_connect_failed(__u32 slot)
{
	const struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_out *out = km_out_slot(slot);

	if (!scratch || !out)
		return KM_OUT_NO_ROOM;
	out->bytes = 0;
	if (km_out_words(out, km_connect_failed.words, KM_CONNECT_FAILED_BYTES))
		return KM_OUT_NO_ROOM;
	if (scratch->head.flags & KM_HTTP_HEAD)
		out->bytes = KM_CONNECT_FAILED_HEAD_BYTES;
	return 0;
}

#endif
