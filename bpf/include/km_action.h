/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a route does: records in the blob of its route table (km_route.h), so that a request sees a route and
 * its action of one table. A route's 32-bit number is the unit of its km_action. Places are units of 8 bytes,
 * 0 is nowhere; texts are bytes from a unit on.
 */
#ifndef KM_ACTION_H
#define KM_ACTION_H

#include <linux/types.h>

#define KM_ACTION_MAX_SPLITS 64
#define KM_ACTION_MAX_EDITS  64
#define KM_ACTION_MAX_TEXT   4096 /* of one text */

enum km_action_kind {
	KM_ACTION_FORWARD = 0,
	KM_ACTION_REDIRECT = 1, /* status, and edits that make the Location of the request's own */
	KM_ACTION_REPLY =
		2, /* status, and a text that is the whole of head fields and body behind the status line */
};

struct km_action {
	__u8 kind;    /* enum km_action_kind */
	__u8 retries; /* other endpoints that are tried when one refuses the connection or does not answer */
	__u16 status; /* redirect, reply */
	__u32 abort_share; /* fault: of a million requests so many are answered with abort_status */
	__u16 abort_status;
	__u16 split_count;
	__u32 split_total; /* sum of the weights */
	__u32 splits;	   /* struct km_split[]: forward */
	__u32 edits;	   /* struct km_edits: redirect */
	__u32 text;	   /* reply: `name: value CRLF …` of fields without content-length; then body */
	__u32 fields_bytes;
	__u32 body_bytes;
	__u32 pad;
};

/* One of the clusters of a forward; a random number below `upto` and not below the one before takes it. */
struct km_split {
	__u64 cluster; /* 0: the route leads nowhere, answered with 500 */
	__u32 upto;
	__u32 edits;  /* struct km_edits of the route and of this cluster together; 0: none */
	__u32 answer; /* struct km_answer; 0: no route of the table changes answers */
	__u32 pad;
};

/*
 * How the heads of answers are changed: lines that go, by the hash of their name in lower case (FNV-1a), and
 * lines that are added behind all others. Both empty: this route changes nothing, but others of the table do.
 */
struct km_answer {
	__u32 names;
	__u32 bytes;   /* of the text */
	__u64 units[]; /* hashes, then the text; KM_ANSWER_UNITS (km_flow.h) at most */
};

enum km_edit_kind {
	KM_EDIT_REMOVE = 1, /* all headers of the name; text is the name, lower case */
	KM_EDIT_SET = 2,    /* the same, then add; text is the name in lower case, then `Name: value CRLF` */
	KM_EDIT_ADD = 3,    /* text is `Name: value CRLF` */
	KM_EDIT_HOST = 4,   /* the authority; text takes its place */
	KM_EDIT_PATH = 5,   /* text takes the place of the path; the query stays */
	KM_EDIT_PREFIX = 6, /* text takes the place of the path's first `prefix` bytes */
	/* The same by whole segments (Gateway API ReplacePrefixMatch): no double slash at the seam, and an
	 * empty path is `/`. text has no slash at its end. */
	KM_EDIT_SEGMENTS = 7,
	KM_EDIT_SCHEME = 8, /* redirect only: http or https */
	KM_EDIT_PORT = 9,   /* redirect only: text is digits; empty: none, whatever the request had */
	KM_EDIT_QUERY = 10, /* redirect only: the query is stripped */
};

struct km_edit {
	__u8 kind;
	__u8 pad;
	__u16 name_bytes; /* of SET and REMOVE */
	__u16 text_bytes; /* behind the name */
	__u16 prefix;
	__u32 text; /* name, directly followed by text */
	__u32 pad2;
};

/* Removals are done before additions, whatever their order here (Envoy's HeaderParser). */
struct km_edits {
	__u32 count;
	__u32 pad;
	struct km_edit edits[];
};

#endif
