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

enum km_policy {
	KM_POLICY_RANDOM = 0,
	KM_POLICY_ROUND_ROBIN = 1,
};

enum km_direction {
	KM_DIRECTION_OUTBOUND = 0,
	KM_DIRECTION_INBOUND = 1,
};

/* How a connection ended or why it was refused; user space writes them as Envoy's response flags. Append
 * only. */
enum km_reason {
	KM_REASON_NONE = 0,
	KM_REASON_NO_ENDPOINT = 1,    /* UH: the listener's cluster has no usable endpoint */
	KM_REASON_CONNECT_FAILED = 2, /* UF: the endpoint refused or did not answer */
};

/* Indices of km_counters. Append only: numbers are never used again for something else. */
enum km_counter {
	KM_COUNTER_REFUSED_NO_ENDPOINT = 0, /* connections and datagrams refused, no usable endpoint */
	KM_COUNTER_ENDPOINT_RETRIED = 1, /* a slot named an endpoint that is going away; another was taken */
	KM_COUNTER_EVENT_LOST = 2,	 /* km_event was full: an access-log line is missing */
	KM_COUNTER_TRAFFIC_LOST = 3,	 /* km_traffic was full: a connection is missing from the metrics */
	KM_COUNTER_STORAGE_FAILED = 4,	 /* no memory for a socket's record: balanced, not observed */
	KM_COUNTER_UDP_REPLY_LOST = 5,	 /* km_udp_reply could not be written: the datagram was refused */
	KM_COUNTER_MAX = 6,
};

enum km_conn_flags {
	KM_CONN_REWRITTEN = 1,	 /* asked and real differ: getpeername and recvmsg show asked */
	KM_CONN_CLOSED = 2,	 /* counted as closed; a socket can pass TCP_CLOSE twice */
	KM_CONN_UDP_REPLIES = 4, /* datagrams were rewritten one by one: look in km_udp_reply */
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
	__u32 pad;
	__u64 cluster;
};

/* A cluster is a run of slots in km_slot. Written in place (BPF_F_LOCK): a reader sees the old run or the new
 * one. */
struct km_cluster {
	struct bpf_spin_lock lock;
	__u32 first;	  /* index of the first slot */
	__u32 slots;	  /* how many; 0: no usable endpoint */
	__u32 policy;	  /* enum km_policy */
	__u32 affinity_s; /* sessionAffinity ClientIP: seconds, 0 is none */
	__u32 pad;
	__u64 digest; /* hash over the slots, for the daemon that adopts them */
};

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
	__u32 pad;
};

/* An enrolled network namespace, found by its cookie. */
struct km_enrolment {
	__u64 workload;
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

/* Switches that take effect at once. */
struct km_config {
	__u32 access_log; /* write km_event */
	__u32 monitoring; /* keep km_traffic and km_endpoint_stats */
	__u32 inbound;	  /* observe accepted connections too */
	__u32 pad;
};

#endif
