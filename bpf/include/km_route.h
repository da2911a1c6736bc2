/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A compiled route table: one immutable blob that src/compile/routes writes, and that the kernel
 * (km_route_engine.h) and src/compile/routes/interpret.ts read. Places are counted in units of 8 bytes from
 * the blob's start; 0 is nowhere. The order of the parts behind the header is the compiler's own affair.
 *
 * A state of an automaton is a place s. Of the units behind it, those whose low half is s are its own; the
 * high half says:
 *   s + 0       where bytes go that have no unit of their own; KM_ROUTE_SINK: the rest makes no difference
 *   s + 1       the output of a text that ends here
 *   s + 2 + c   where bytes of class c go; the class of each byte is in a table of 256
 * A state without the unit that is asked for and without s + 0 is left for the dead state: output 0.
 *
 * A set of routes of a virtual host of up to 64 routes is one unit. Of more: summary_words units whose bits
 * say which words of 64 routes are not empty; for each of them how many words come before its own (32 bits
 * each, filled up to a unit); the words that are not empty.
 */
#ifndef KM_ROUTE_H
#define KM_ROUTE_H

#include <linux/types.h>

#define KM_ROUTE_MAGIC	 0x54524d4b /* "KMRT" */
#define KM_ROUTE_VERSION 1
#define KM_ROUTE_SINK	 0x80000000U

#define KM_ROUTE_MAX_LOOKUPS 64
#define KM_ROUTE_MAX_NAMES   128 /* headers that a virtual host looks at */
#define KM_ROUTE_MAX_HEADERS 128 /* headers of a request; the parser answers 431 to more */
#define KM_ROUTE_MAX_SUMMARY 8	 /* 32 768 routes */
#define KM_ROUTE_MAX_HEAD    16384
#define KM_ROUTE_SOURCES     4 /* words of 64 predicates over the source */

enum km_route_slot {
	KM_ROUTE_SLOT_FALLBACK = 0,
	KM_ROUTE_SLOT_OUTPUT = 1,
	KM_ROUTE_SLOT_CLASSES = 2,
};

enum km_route_field {
	KM_ROUTE_FIELD_PATH = 0,
	KM_ROUTE_FIELD_METHOD = 1,
	KM_ROUTE_FIELD_QUERY = 2,
	KM_ROUTE_FIELD_RANDOM = 3, /* six decimal digits */
	KM_ROUTE_FIELD_HEADER = 4,
	KM_ROUTE_FIELD_SOURCE = 5,
};

struct km_route_header {
	__u32 magic;
	__u32 version;
	__u32 generation[2]; /* digest of the contents: tells tables apart */
	__u32 bytes;
	__u32 virtual_host_count;
	__u32 host_start; /* automaton over the host; its output is 1 + a virtual host */
	__u32 host_classes;
	__u32 virtual_hosts; /* struct km_route_virtual_host[] */
	__u32 source_count;  /* predicates over the source; 0: km_source is not looked at */
};

struct km_route_virtual_host {
	__u32 names;   /* struct km_route_names, 0 when no header is looked at */
	__u32 lookups; /* struct km_route_lookup[] */
	__u32 actions; /* __u32 of each route */
	__u32 lookup_count;
	__u32 summary_words; /* 0: sets are one unit */
	__u32 route_count;
};

/* A look at one field. Routes in `any` ask nothing of it; of the others, those stay that are in the set that
 * the automaton's output names. */
struct km_route_lookup {
	__u8 field; /* enum km_route_field */
	__u8 index; /* of the header's name or of the source's bit */
	__u16 pad;
	__u32 start;
	__u32 classes;
	__u32 any;
	__u32 absent;	 /* set for a field that is missing */
	__u32 unmatched; /* set for output 0 */
};

/* Headers that are looked at: an automaton over names whose output is 1 + the name's index. `filter` passes
 * few others: by length (0 from 64 on), the bits of the first letter's low five bits. */
struct km_route_names {
	__u32 start;
	__u32 classes;
	__u32 filter[64];
};

/* A piece of the request's head. */
struct km_route_range {
	__u16 offset;
	__u16 length;
};

struct km_route_header_field {
	struct km_route_range name;
	struct km_route_range value;
};

/* What the parser found. Offsets count in km_route_scratch.bytes. */
struct km_route_request {
	__u64 source[KM_ROUTE_SOURCES];
	__u32 random; /* 0 to 999 999 */
	__u32 header_count;
	struct km_route_range host; /* without port */
	struct km_route_range path; /* up to '?' or '#' */
	struct km_route_range query;
	struct km_route_range method;
	struct km_route_header_field headers[KM_ROUTE_MAX_HEADERS];
};

/* How a decision ended. */
enum km_route_status {
	KM_ROUTE_FOUND = 0,
	KM_ROUTE_NO_VIRTUAL_HOST = 1,
	KM_ROUTE_NO_ROUTE = 2,
	KM_ROUTE_NO_TABLE = 3,
	KM_ROUTE_BAD_TABLE = 4, /* not what this program reads, or damaged */
	KM_ROUTE_CHANGED = 5,	/* replaced again and again while it was read */
};

struct km_route_result {
	__u32 status; /* enum km_route_status */
	__u32 virtual_host;
	__u32 route;
	__u32 action;
};

#endif
