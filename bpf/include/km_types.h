/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the kernel and the daemon share. The TypeScript codecs in src/kernel/gen are made from the BTF of
 * these types; nothing is declared twice. Addresses are 16 bytes in network order, IPv4 as ::ffff:a.b.c.d.
 * Ids are 64-bit hashes of names, so that a daemon that starts anew finds the same ids without a file of its
 * own.
 */
#ifndef KM_TYPES_H
#define KM_TYPES_H

#include <linux/types.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#define KM_ADDR_WORDS 4
#define KM_AF_INET    2
#define KM_AF_INET6   10

enum km_policy {
	KM_POLICY_RANDOM = 0,
	KM_POLICY_ROUND_ROBIN = 1,
	KM_POLICY_LEAST_REQUEST = 2, /* of two random endpoints the one with fewer open requests */
	KM_POLICY_MAGLEV = 3,	     /* the slot that a hash of the request names (Eisenbud et al. 2016) */
};

/* What KM_POLICY_MAGLEV hashes; a request that lacks it gets a random slot. */
enum km_hash {
	KM_HASH_NONE = 0,
	KM_HASH_SOURCE = 1, /* the client's address */
	KM_HASH_HEADER = 2,
	KM_HASH_COOKIE = 3,
};

#define KM_HASH_NAME_MAX 64

/* What a listener does with the bytes of a TCP connection. */
enum km_listener_mode {
	KM_LISTENER_TCP = 0,	/* balance it in connect() */
	KM_LISTENER_HTTP = 1,	/* route each HTTP/1.1 request; anything else is answered with 400 */
	KM_LISTENER_DETECT = 2, /* the first bytes tell: HTTP as above, anything else is balanced as it is */
};

enum km_direction {
	KM_DIRECTION_OUTBOUND = 0,
	KM_DIRECTION_INBOUND = 1,
};

/* How a connection or request ended or why it was refused; user space writes them as Envoy's response flags.
 * Append only. */
enum km_reason {
	KM_REASON_NONE = 0,
	KM_REASON_NO_ENDPOINT = 1,    /* UH: the listener's cluster has no usable endpoint */
	KM_REASON_CONNECT_FAILED = 2, /* UF: the endpoint refused or did not answer */
	KM_REASON_NO_ROUTE = 3,	      /* NR: no virtual host or no route of it takes the request */
	KM_REASON_NO_CLUSTER = 4,     /* NC: the route's cluster is not there */
	KM_REASON_FAULT = 5,	      /* FI: a fault was asked for */
	KM_REASON_CLIENT_GONE = 6,    /* DC: the client closed before the answer was complete */
	KM_REASON_ENDPOINT_GONE = 7,  /* UC: the endpoint closed before the answer was complete */
	KM_REASON_BAD_REQUEST = 8,    /* DPE: the head is no HTTP/1.1 (RFC 9112) */
	KM_REASON_OVERFLOW = 9,	      /* UO: no room for another connection to an endpoint */
};

/* Indices of km_counters. Append only: numbers are never used again for something else. */
enum km_counter {
	KM_COUNTER_REFUSED_NO_ENDPOINT = 0, /* connections and datagrams refused, no usable endpoint */
	KM_COUNTER_ENDPOINT_RETRIED = 1, /* a slot named an endpoint that is going away; another was taken */
	KM_COUNTER_EVENT_LOST = 2,	 /* km_event was full: an access-log line is missing */
	KM_COUNTER_TRAFFIC_LOST = 3,	 /* km_traffic was full: a connection is missing from the metrics */
	KM_COUNTER_STORAGE_FAILED = 4,	 /* no memory for a socket's record: balanced, not observed */
	KM_COUNTER_UDP_REPLY_LOST = 5,	 /* km_udp_reply could not be written: the datagram was refused */
	KM_COUNTER_FLOW_FULL = 6,	 /* km_flow was full: a connection to an HTTP service was reset */
	KM_COUNTER_WIRE_FULL = 7,	 /* no port was free towards an endpoint */
	KM_COUNTER_BYPASSED = 8, /* bytes that did not pass the parser (TCP Fast Open, …): connection reset */
	KM_COUNTER_KICKS = 9,	 /* kicks that TC saw */
	KM_COUNTER_SWITCHES = 10,      /* requests that went to another endpoint than the one before */
	KM_COUNTER_HELD = 11,	       /* requests that waited for the answer before (pipelining) */
	KM_COUNTER_SYN_RETRIED = 12,   /* SYNs sent again or to another endpoint */
	KM_COUNTER_STALE_TUPLE = 13,   /* an endpoint still knew the tuple: reset, and tried again */
	KM_COUNTER_PACKET_FAILED = 14, /* a packet could not be written */
	KM_COUNTER_BEHIND_KICK = 15,   /* bytes that came too early were dropped; TCP sends them again */
	KM_COUNTER_SCRATCH_BUSY = 16,  /* too many requests at once on one CPU */
	KM_COUNTER_OVERTAKEN = 17,     /* bytes of a body were dropped that others should have come before */
	KM_COUNTER_ANSWER_UNCHANGED = 18, /* packets of an answer whose head could not be changed: dropped */
	KM_COUNTER_MAX = 19,
};

enum km_conn_flags {
	KM_CONN_REWRITTEN = 1,	 /* asked and real differ: getpeername and recvmsg show asked */
	KM_CONN_CLOSED = 2,	 /* counted as closed; a socket can pass TCP_CLOSE twice */
	KM_CONN_UDP_REPLIES = 4, /* datagrams were rewritten one by one: look in km_udp_reply */
	KM_CONN_HTTP = 8,	 /* spliced: counted by request, not by connection */
};

/* A destination that the mesh serves. addr all zero (or ::ffff:0.0.0.0) is a listener on every address. */
struct km_listener_key {
	__be32 addr[KM_ADDR_WORDS];
	__be16 port;
	__u8 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 pad;
};

/* cluster 0: the listener is going away and counts as absent. Written in place (BPF_F_LOCK), never replaced.
 */
struct km_listener {
	struct bpf_spin_lock lock;
	__u32 mode;    /* enum km_listener_mode */
	__u64 cluster; /* for what no route table decides: TCP, and HTTP without a table */
	__u32 routes;  /* number of the route table (KM_ROUTE_HANDLE); 0: every request goes to cluster */
	__u32 pad;
};

/* A cluster is a run of slots in km_slot. Written in place (BPF_F_LOCK): a reader sees the old run or the new
 * one. */
struct km_cluster {
	struct bpf_spin_lock lock;
	__u32 first;		  /* index of the first slot */
	__u32 slots;		  /* how many; 0: no usable endpoint */
	__u32 policy;		  /* enum km_policy */
	__u32 affinity_s;	  /* sessionAffinity ClientIP: seconds, 0 is none */
	__u32 connect_timeout_ms; /* until another endpoint is tried; 0: KM_CONNECT_TIMEOUT_MS */
	__u64 digest;		  /* hash over the slots, for the daemon that adopts them */
	__u8 hash;		  /* enum km_hash, for KM_POLICY_MAGLEV */
	__u8 hash_name_length;
	__u8 per_connection; /* 1: the requests of a connection stay on the endpoint of the first */
	__u8 pad[5];
	char hash_name[KM_HASH_NAME_MAX]; /* of the header (lower case) or the cookie */
};

#define KM_CONNECT_TIMEOUT_MS 10000

struct km_cluster_stats {
	__u64 next;    /* round robin: slots handed out so far */
	__u64 refused; /* no usable endpoint */
};

/* One cell of the alias table (Vose 1991) of a random cluster, or one step of a round-robin sequence. */
struct km_slot {
	__u64 endpoint;
	__u64 alias;
	__u32 threshold; /* a 32-bit random number below or at it takes endpoint, above it alias */
	__u32 pad;
};

/* Written in place (BPF_F_LOCK): the address of an id never changes, usable and workload may. */
struct km_endpoint {
	struct bpf_spin_lock lock;
	__u32 pad0;
	__be32 addr[KM_ADDR_WORDS];
	__be16 port;
	__u8 usable; /* 0: takes no new connection and is deleted after a grace period */
	__u8 pad[5];
	__u64 cluster;
	__u64 workload; /* 0: not known */
};

/* Closed connections only for bytes, duration and retransmits; km_conn_iter has the live ones. */
struct km_endpoint_stats {
	__u64 udp_connected; /* UDP sockets connected to it; they have no close */
	__u64 closed;
	__u64 failed;
	__u64 sent_bytes; /* client to endpoint */
	__u64 received_bytes;
	__u64 retransmits;
	__u64 duration_us;
	__u64 datagrams; /* sendmsg that went to it without a connection */
	__u32 srtt_us;	 /* moving average over closed connections, 1/8 a step as in RFC 6298 */
	__u32 active;	 /* HTTP requests that wait for their answer's end */
	__u64 requests;	 /* HTTP requests that were sent to it */
};

/* An enrolled network namespace, found by its cookie. */
struct km_enrolment {
	__u64 workload;
	/* Ports that the namespace gives to no socket by itself (outside net.ipv4.ip_local_port_range): those
	 * of spliced connections on the wire, host order. 0 ports: no HTTP. */
	__u16 wire_first;
	__u16 wire_count;
	__u32 pad;
};

struct km_address_key {
	__be32 addr[KM_ADDR_WORDS];
};

struct km_affinity_key {
	__u64 cluster;
	__u64 netns;
};

struct km_affinity {
	__u64 endpoint;
	__u64 used_ns;
};

/* Who the answer of an endpoint is shown as, for datagrams sent without connect(). */
struct km_udp_reply_key {
	__u64 socket; /* bpf_get_socket_cookie */
	__be32 addr[KM_ADDR_WORDS];
	__be16 port;
	__u8 pad[6];
};

struct km_udp_reply {
	__be32 addr[KM_ADDR_WORDS];
	__be16 port;
	__u8 pad[2];
};

/* The record of one socket, freed with it. */
struct km_conn {
	__u64 source;
	__u64 destination;
	__u64 cluster;
	__u64 endpoint;
	__be32 asked_addr[KM_ADDR_WORDS];
	__be32 real_addr[KM_ADDR_WORDS];
	__be16 asked_port;
	__be16 real_port;
	__u8 protocol;
	__u8 direction; /* enum km_direction */
	__u8 flags;	/* enum km_conn_flags */
	__u8 reason;	/* enum km_reason */
	__u64 start_ns; /* CLOCK_MONOTONIC at connect() or at accept's handshake */
	__u64 netns;	/* KM_CONN_HTTP: as in km_enrolment */
	__u16 wire_first;
	__u16 wire_count;
	__u8 mode; /* enum km_listener_mode */
	__u8 pad[3];
};

struct km_traffic_key {
	__u64 source;	   /* workload, 0 unknown */
	__u64 destination; /* workload, 0 unknown */
	__u64 cluster;	   /* 0: no listener matched */
	__u8 direction;
	__u8 reason;
	__u8 pad[6];
};

/*
 * Counted when a connection closes, all at once: a count at the opening as well would cost two more look-ups.
 * What is open now is in km_conn_iter; opened = closed + open.
 */
struct km_traffic {
	__u64 closed;
	__u64 failed;
	__u64 sent_bytes; /* as the socket's owner sees it */
	__u64 received_bytes;
	__u64 retransmits;
	__u64 duration_us;
};

/* One finished or refused connection (km_event) or one live one (km_conn_iter). */
struct km_event {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u64 start_ns;
	__u64 source;
	__u64 destination;
	__u64 cluster;
	__u64 sent_bytes;
	__u64 received_bytes;
	__be32 local_addr[KM_ADDR_WORDS];
	__be32 asked_addr[KM_ADDR_WORDS];
	__be32 real_addr[KM_ADDR_WORDS];
	__be16 local_port;
	__be16 asked_port;
	__be16 real_port;
	__u8 direction;
	__u8 reason;
	__u32 retransmits;
	__u32 srtt_us;
	__u8 state; /* TCP state number; of the last state before TCP_CLOSE for a finished one */
	__u8 pad[3];
	__u32 pad2;
};

/* HTTP requests between two workloads. */
struct km_requests_key {
	__u64 source;
	__u64 destination; /* workload, 0 unknown */
	__u64 cluster;	   /* 0: none was chosen */
	__u16 status;
	__u8 reason; /* enum km_reason */
	__u8 pad[5];
};

/* Upper bounds of the histogram's buckets are Istio's; the last one has none. */
#define KM_DURATION_BUCKETS 20

struct km_requests {
	__u64 count;
	__u64 request_bytes; /* heads and bodies, as they went to the endpoint */
	__u64 response_bytes;
	__u64 duration_us;
	__u64 buckets[KM_DURATION_BUCKETS]; /* each request once, not cumulative */
};

#define KM_EVENT_METHOD_MAX 8
#define KM_EVENT_HOST_MAX   64
#define KM_EVENT_PATH_MAX   128

/* One answered HTTP request (km_request_event). */
struct km_request_event {
	__u64 time_ns; /* CLOCK_MONOTONIC, at the answer's end */
	__u64 duration_ns;
	__u64 source;
	__u64 destination;
	__u64 cluster;
	__u64 endpoint;
	__u64 request_bytes;
	__u64 response_bytes;
	__u64 generation; /* of the route table that route and virtual_host are numbers of */
	__be32 client_addr[KM_ADDR_WORDS];
	__be32 asked_addr[KM_ADDR_WORDS];
	__be32 real_addr[KM_ADDR_WORDS]; /* the endpoint's; all zero: answered here */
	__be16 client_port;
	__be16 asked_port;
	__be16 real_port;
	__u16 status;
	__u32 route; /* index in its virtual host */
	__u32 virtual_host;
	__u8 reason;
	__u8 has_route; /* route and virtual_host mean something */
	__u8 host_length;
	__u8 path_length; /* bytes kept here; the path may be longer */
	__u8 path_cut;
	__u8 pad[3];
	char method[KM_EVENT_METHOD_MAX]; /* cut, filled up with zeros */
	char host[KM_EVENT_HOST_MAX];
	char path[KM_EVENT_PATH_MAX];
};

/* Of a route table (by its generation) and a workload that sends requests. */
struct km_source_key {
	__u64 generation;
	__u64 workload;
};

/* Which of the table's predicates hold for the workload. Written in place (BPF_F_LOCK). */
struct km_source {
	struct bpf_spin_lock lock;
	__u32 pad;
	__u64 bits[4]; /* KM_ROUTE_SOURCES */
};

/* What km_route_places is asked, and its answer. */
struct km_route_question {
	__u32 handle; /* of a route table */
	__u32 places; /* how many from there on are looked at, at most 64 */
	__u64 generation;
	__u64 taken; /* a bit a place */
};

/* What a listener does; cluster 0: none serves the destination. */
struct km_found_listener {
	__u64 cluster;
	__u32 mode; /* enum km_listener_mode */
	__u32 routes;
};

/* Switches that take effect at once. */
struct km_config {
	__u32 access_log; /* write km_event */
	__u32 monitoring; /* keep km_traffic and km_endpoint_stats */
	__u32 inbound;	  /* observe accepted connections too */
	__u32 requests;	  /* write km_request_event */
	/* Packets between pods of this machine may go from device to device: a number that changes when what
	 * allowed it has changed; 0: they may not (docs/adr/017-short-cut.md). */
	__u32 short_cut;
	/* Ports that halves have, of all namespaces, in host order; none: last 0. */
	__u16 wire_first;
	__u16 wire_last;
	__u32 tables;  /* another number after each change of km_listener; 0: look each time */
	__u32 unknown; /* keep the addresses that nobody knows (km_unknown) */
};

#endif
