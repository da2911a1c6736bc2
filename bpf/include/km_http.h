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

/* STUBTYPES */
struct km_response {
	__u64 a[4];
};
struct km_chunks {
	__u64 a[2];
};
#endif
