/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Texts of our own answers; they need no map, so that packet programs can have them too. */
#ifndef KM_REPLY_TEXT_H
#define KM_REPLY_TEXT_H

#include <linux/types.h>
#include <stddef.h>

/* A string as words, filled up with zeros. */
#define KM_TEXT_WORDS(bytes) (((bytes) + 7) / 8)
#define KM_TEXT(name, literal)                                                                               \
	static const union {                                                                                 \
		char text[KM_TEXT_WORDS(sizeof(literal)) * 8];                                               \
		__u64 words[KM_TEXT_WORDS(sizeof(literal))];                                                 \
	} name = {literal}

/* Envoy's texts, so that what looks for them finds them. */
#define KM_BODY_NO_ENDPOINT    "no healthy upstream"
#define KM_BODY_CONNECT_FAILED "upstream connect error or disconnect/reset before headers"
#define KM_BODY_OVERFLOW       KM_BODY_CONNECT_FAILED ". reset reason: overflow"
#define KM_BODY_FAULT	       "fault filter abort"

#define KM_CONNECT_FAILED_HEAD                                                                               \
	"HTTP/1.1 503 Service Unavailable\r\nserver: kmesh\r\ncontent-type: text/plain\r\n"                  \
	"content-length: 57\r\nconnection: close\r\n\r\n"
#define KM_CONNECT_FAILED_HEAD_BYTES (sizeof(KM_CONNECT_FAILED_HEAD) - 1) /* all that HEAD gets */
#define KM_CONNECT_FAILED_BYTES	     (sizeof(KM_CONNECT_FAILED_HEAD KM_BODY_CONNECT_FAILED) - 1)

_Static_assert(sizeof(KM_BODY_CONNECT_FAILED) - 1 == 57, "content-length of KM_CONNECT_FAILED_HEAD");
_Static_assert(KM_CONNECT_FAILED_BYTES <= 512, "fits a kick");

KM_TEXT(km_connect_failed, KM_CONNECT_FAILED_HEAD KM_BODY_CONNECT_FAILED);

/* Writes the KM_CONNECT_FAILED_BYTES of the answer to a request for which no endpoint could be reached. */
static __always_inline void km_copy_connect_failed(__u8 *to)
{
	__u32 i;

#pragma unroll
	for (i = 0; i < KM_CONNECT_FAILED_BYTES / 8; i++)
		((__u64 *)to)[i] = km_connect_failed.words[i];
#pragma unroll
	for (i = KM_CONNECT_FAILED_BYTES / 8 * 8; i < KM_CONNECT_FAILED_BYTES; i++)
		to[i] = km_connect_failed.text[i];
}

struct km_phrase {
	__u32 status;
	__u32 bytes;
	union {
		char text[32];
		__u64 words[4];
	};
};

#define KM_PHRASE(status, text)                                                                              \
	{                                                                                                    \
		status, sizeof(text) - 1,                                                                    \
		{                                                                                            \
			text                                                                                 \
		}                                                                                            \
	}

/* The IANA registry of HTTP status codes. */
static const struct km_phrase km_phrases[] = {
	KM_PHRASE(200, "OK"),
	KM_PHRASE(404, "Not Found"),
	KM_PHRASE(503, "Service Unavailable"),
	KM_PHRASE(400, "Bad Request"),
	KM_PHRASE(301, "Moved Permanently"),
	KM_PHRASE(302, "Found"),
	KM_PHRASE(303, "See Other"),
	KM_PHRASE(307, "Temporary Redirect"),
	KM_PHRASE(308, "Permanent Redirect"),
	KM_PHRASE(500, "Internal Server Error"),
	KM_PHRASE(201, "Created"),
	KM_PHRASE(202, "Accepted"),
	KM_PHRASE(203, "Non-Authoritative Information"),
	KM_PHRASE(204, "No Content"),
	KM_PHRASE(205, "Reset Content"),
	KM_PHRASE(206, "Partial Content"),
	KM_PHRASE(207, "Multi-Status"),
	KM_PHRASE(208, "Already Reported"),
	KM_PHRASE(226, "IM Used"),
	KM_PHRASE(300, "Multiple Choices"),
	KM_PHRASE(304, "Not Modified"),
	KM_PHRASE(305, "Use Proxy"),
	KM_PHRASE(401, "Unauthorized"),
	KM_PHRASE(402, "Payment Required"),
	KM_PHRASE(403, "Forbidden"),
	KM_PHRASE(405, "Method Not Allowed"),
	KM_PHRASE(406, "Not Acceptable"),
	KM_PHRASE(407, "Proxy Authentication Required"),
	KM_PHRASE(408, "Request Timeout"),
	KM_PHRASE(409, "Conflict"),
	KM_PHRASE(410, "Gone"),
	KM_PHRASE(411, "Length Required"),
	KM_PHRASE(412, "Precondition Failed"),
	KM_PHRASE(413, "Content Too Large"),
	KM_PHRASE(414, "URI Too Long"),
	KM_PHRASE(415, "Unsupported Media Type"),
	KM_PHRASE(416, "Range Not Satisfiable"),
	KM_PHRASE(417, "Expectation Failed"),
	KM_PHRASE(421, "Misdirected Request"),
	KM_PHRASE(422, "Unprocessable Content"),
	KM_PHRASE(423, "Locked"),
	KM_PHRASE(424, "Failed Dependency"),
	KM_PHRASE(425, "Too Early"),
	KM_PHRASE(426, "Upgrade Required"),
	KM_PHRASE(428, "Precondition Required"),
	KM_PHRASE(429, "Too Many Requests"),
	KM_PHRASE(431, "Request Header Fields Too Large"),
	KM_PHRASE(451, "Unavailable For Legal Reasons"),
	KM_PHRASE(501, "Not Implemented"),
	KM_PHRASE(502, "Bad Gateway"),
	KM_PHRASE(504, "Gateway Timeout"),
	KM_PHRASE(505, "HTTP Version Not Supported"),
	KM_PHRASE(506, "Variant Also Negotiates"),
	KM_PHRASE(507, "Insufficient Storage"),
	KM_PHRASE(508, "Loop Detected"),
	KM_PHRASE(510, "Not Extended"),
	KM_PHRASE(511, "Network Authentication Required"),
	KM_PHRASE(0, "Unknown"),
};

#define KM_PHRASES (sizeof(km_phrases) / sizeof(km_phrases[0]))

#endif
