/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What the parsers of HTTP/1.1 (RFC 9112) say: of a request's head, of a response, of a chunked body. */
#ifndef KM_HTTP_H
#define KM_HTTP_H

#include <linux/types.h>
#include "km_route.h"

/* What the first bytes of a message are. */
enum km_http_verdict {
	KM_HTTP_COMPLETE = 0,	/* a valid head of an HTTP/1.0 or 1.1 request */
	KM_HTTP_INCOMPLETE = 1, /* the beginning of one */
	KM_HTTP_BAD = 2,	/* 400: malformed or ambiguous */
	KM_HTTP_TOO_LONG =
		3, /* 431: longer than KM_ROUTE_MAX_HEAD, or more headers than KM_ROUTE_MAX_HEADERS */
	KM_HTTP_VERSION = 4, /* 505: HTTP/2.0 and the like in a request line */
	KM_HTTP_PREFACE = 5, /* HTTP/2 without an upgrade (RFC 9113 §3.4) */
	KM_HTTP_TLS = 6,     /* a TLS handshake record */
	KM_HTTP_OTHER =
		7, /* no HTTP: the first bytes are no method (only said of a connection's first bytes) */
};

enum km_http_body {
	KM_BODY_NONE = 0,
	KM_BODY_LENGTH = 1,
	KM_BODY_CHUNKED = 2,
	KM_BODY_UNTIL_CLOSE = 3, /* responses only */
};

enum km_http_flags {
	KM_HTTP_CLOSE = 1, /* the connection ends with this exchange: `connection: close`, or HTTP/1.0 without
			      keep-alive */
	KM_HTTP_EXPECT = 2,  /* expect: 100-continue */
	KM_HTTP_UPGRADE = 4, /* asks for another protocol */
	KM_HTTP_CONNECT = 8, /* CONNECT: what follows a 2xx is not HTTP */
	KM_HTTP_HEAD = 16,   /* HEAD: the answer has no body */
	KM_HTTP_VERSION_10 = 32,
};

/* A request's head. Which fields it has is in struct km_route_request. */
struct km_http_head {
	__u32 bytes; /* up to and with the empty line */
	__u16 flags; /* enum km_http_flags */
	__u8 body;   /* enum km_http_body */
	__u8 pad;
	__u64 content_length; /* with KM_BODY_LENGTH */
};

/* Fields that the head parser has met, and what it read of them. */
enum km_http_seen {
	KM_HTTP_SEEN_HOST = 1,
	KM_HTTP_SEEN_LENGTH = 2,
	KM_HTTP_SEEN_CODING = 4,  /* transfer-encoding: chunked */
	KM_HTTP_SEEN_CLOSE = 8,	  /* connection: close */
	KM_HTTP_SEEN_KEEP = 16,	  /* connection: keep-alive */
	KM_HTTP_SEEN_SWITCH = 32, /* connection: upgrade */
	KM_HTTP_SEEN_UPGRADE = 64,
	KM_HTTP_SEEN_EXPECT = 128,
};

/* What the functions of the head parser keep between them. */
struct km_http_parser {
	__u32 length;			 /* of the text */
	__u32 first;			 /* it is the beginning of a connection */
	__u32 seen;			 /* enum km_http_seen */
	__u32 query;			 /* where the query begins, 0: none */
	struct km_route_range authority; /* of the target, with port; length 0: none */
	struct km_route_range host;	 /* the Host field's value, with port */
};

/* Where in a chunked body (RFC 9112 §7.1) a walk stands. */
enum km_chunks_step {
	KM_CHUNKS_SIZE = 0,
	KM_CHUNKS_EXTENSION = 1,
	KM_CHUNKS_SIZE_LF = 2,
	KM_CHUNKS_DATA = 3,
	KM_CHUNKS_DATA_CR = 4,
	KM_CHUNKS_DATA_LF = 5,
	KM_CHUNKS_LINE = 6, /* a trailer, or the empty line */
	KM_CHUNKS_NAME = 7,
	KM_CHUNKS_VALUE = 8,
	KM_CHUNKS_LINE_LF = 9,
	KM_CHUNKS_END_LF = 10,
	KM_CHUNKS_DONE = 11,
	KM_CHUNKS_BAD = 12, /* stays so */
};

/* A chunked body so far; all zero: its beginning. */
struct km_chunks {
	__u64 remaining; /* bytes of the chunk that are to come; its size while that is read */
	__u32 line;	 /* bytes of extensions of the chunk, or of all trailers */
	__u8 step;	 /* enum km_chunks_step */
	__u8 digits;	 /* of the size */
	__u16 pad;
};

enum km_response_phase {
	KM_RESPONSE_HEAD = 0,
	KM_RESPONSE_LENGTH = 1,
	KM_RESPONSE_CHUNKED = 2,
	KM_RESPONSE_UNTIL_CLOSE = 3,
	KM_RESPONSE_OPAQUE = 4, /* 101, or 2xx to CONNECT: no HTTP any more */
	KM_RESPONSE_DONE = 5,
	KM_RESPONSE_UNKNOWN = 6, /* malformed; ends with the connection */
};

enum km_response_flags {
	KM_RESPONSE_NO_BODY = 1, /* the caller's: answers HEAD */
	KM_RESPONSE_TUNNEL = 2,	 /* the caller's: answers CONNECT */
	KM_RESPONSE_CLOSE = 4,	 /* the connection ends with this response */
	/* What the head has said so far. */
	KM_RESPONSE_KEEP = 8,
	KM_RESPONSE_VERSION_10 = 16,
	KM_RESPONSE_SIZED = 32,	  /* content-length */
	KM_RESPONSE_CODED = 64,	  /* transfer-encoding */
	KM_RESPONSE_CHUNKS = 128, /* whose last coding is chunked */
	KM_RESPONSE_PADDED = 256, /* spaces behind an option or a number */
};

/* A response so far; all zero but the caller's flags: its beginning. */
struct km_response {
	struct km_chunks body; /* remaining: of a body of known length, too */
	__u16 status;	       /* of the last head; 1xx until the final one is there */
	__u16 flags;	       /* enum km_response_flags */
	__u8 phase;	       /* enum km_response_phase */
	__u8 step;	       /* where in the head: enum km_response_step */
	__u8 index;	       /* bytes of the status line, the name or the option so far */
	__u8 left;	       /* what the name or the option may still be, a bit each */
	__u8 pad[8];
};

#endif
