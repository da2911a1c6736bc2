/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The state of a spliced connection: one client connection that TC rewriting carries over one or more
 * connections of its own to endpoints, its halves (docs/adr/013-splice.md).
 *
 * Sequence numbers are in host order. Two spaces meet at the client: `seq` counts what the client sends, the
 * pseudo space what it receives. A half has its own two. At the client's sequence number `base` the current
 * half took over:
 *     seq - seq_shift = what the half counts of the client     ack + ack_shift = what it counts of itself
 *
 * Who writes: sockops makes and ends a flow; sk_msg, under the client's socket lock, writes what a request
 * asks for (kick_*, boundary, req_end, next, a chosen half); the packets that come from the client write
 * base, current and the shifts; the packets from endpoints write rcv_nxt, window and the answer's state. What
 * one reads of the other is in order, because a packet only comes after what it answers.
 */
#ifndef KM_FLOW_H
#define KM_FLOW_H

#include "km_types.h"
#include "km_http.h"
#include <bpf/bpf_helpers.h>

#define KM_HALVES	 8 /* endpoints that a client connection is open to at once */
#define KM_NO_HALF	 0xff
#define KM_HALF_AHEAD	 0    /* the one that is opened before the first request (km_ahead.h) */
#define KM_WINDOW_SCALE	 4    /* of the windows that a client is shown: up to 1 MiB, in steps of 16 bytes */
#define KM_MAX_GATE	 8960 /* bytes of a kick: one segment of a jumbo frame */
#define KM_MIN_GATE	 512
#define KM_NS_PER_MS	 1000000ULL
#define KM_FLOW_GRACE_NS 60000000000ULL

#define km_before(a, b) ((__s32)((a) - (b)) < 0)
#define km_after(a, b)	((__s32)((a) - (b)) > 0)

/* A client's connection to a service (km_flow, km_sock), or to an endpoint on the wire (km_wire). */
struct km_flow_key {
	__be32 client[KM_ADDR_WORDS];
	__be32 server[KM_ADDR_WORDS];
	__be16 client_port;
	__be16 server_port;
};

enum km_half_state {
	KM_HALF_FREE = 0,
	KM_HALF_CHOSEN = 1,	/* has an endpoint and a port, and no SYN yet */
	KM_HALF_CONNECTING = 2, /* SYN sent */
	KM_HALF_OPEN = 3,
};

enum km_half_flags {
	KM_HALF_FIN_SEEN = 1, /* the endpoint has closed its side */
	KM_HALF_FIN_SENT = 2, /* the client has */
	KM_HALF_BACK = 4,     /* the endpoint is in the client's own pod (km_is_back) */
};

struct km_half {
	__be32 addr[KM_ADDR_WORDS];
	__be16 port;
	__be16 wire_port; /* the client's, as the endpoint sees it */
	__u8 state;	  /* enum km_half_state */
	__u8 flags;	  /* enum km_half_flags */
	__u8 scale;	  /* of the windows that the endpoint announces */
	__u8 retries;	  /* other endpoints that may still be tried */
	__u32 seq_shift;
	__u32 ack_shift;
	__u32 snd_nxt; /* behind the last byte that it was sent; its initial number while connecting */
	__u32 rcv_nxt; /* behind the last byte that it sent */
	__u32 acked;   /* up to here the client has acknowledged it */
	__u32 una;     /* up to here it has acknowledged the client */
	__u32 window;  /* bytes that it takes */
	__u32 used;    /* the flow's count of requests when it got the last one */
	__u32 timeout_ms;
	__u32 device; /* of the endpoint, where it can be reached past the stack (0: nowhere); of a client
			 inside, by which the half leaves */
	__u64 syn_ns; /* first SYN */
	__u64 endpoint;
	__u64 cluster;
	__u64 destination; /* workload that serves the endpoint */
};

enum km_flow_flags {
	KM_FLOW_SHAKEN = 1,	/* the client's SYN was answered */
	KM_FLOW_KICK = 2,	/* a kick is on its way: [kick_seq, kick_end) */
	KM_FLOW_SWITCH = 4,	/* from `boundary` on the half is `target` */
	KM_FLOW_ECHO = 8,	/* [echo_seq, echo_end) is a local reply: turned back to the client */
	KM_FLOW_CLOSE = 16,	/* after it the connection ends: what the client sends is dropped */
	KM_FLOW_OPAQUE = 32,	/* pinned: not HTTP any more, or never was */
	KM_FLOW_CHUNKED = 64,	/* the request's body ends where km_chunks says */
	KM_FLOW_NO_SCALE = 128, /* the client scales no windows */
	KM_FLOW_NO_SACK = 256,
	KM_FLOW_CLOSED = 512,	 /* the client's socket is closed */
	KM_FLOW_DONE = 1024,	 /* nothing is left to carry */
	KM_FLOW_FIN_SENT = 2048, /* a local reply's FIN was sent to the client */
	KM_FLOW_CLIENT_FIN = 4096,
	KM_FLOW_INSIDE = 8192,	 /* the client's own namespace has the hooks (km_inside.h) */
	KM_FLOW_REFUSED = 16384, /* no endpoint could be reached: 503 was sent */
	KM_FLOW_ECHOING = 32768, /* the reply has begun: echo_ack is set */
	KM_FLOW_ANSWERS = 65536, /* some route of the table changes the heads of answers */
	KM_FLOW_AHEAD = 131072,	 /* the client gets its SYN-ACK when KM_HALF_AHEAD is open */
};

/* One request and its answer. */
struct km_exchange {
	__u64 start_ns;
	__u64 cluster;
	__u64 endpoint;
	__u64 destination; /* workload */
	__u64 generation;  /* of the route table */
	__u32 request_bytes;
	__u32 rcv_start; /* the half's number at which the answer starts */
	__u32 route;
	__u32 virtual_host;
	__u16 status;
	__u8 reason;
	__u8 active; /* counted among the active requests of its endpoint */
	__u8 has_route;
	__u8 flags; /* enum km_http_flags of the request */
	__u8 host_length;
	__u8 path_length;
	__u8 path_cut;
	__u8 lost;     /* its end cannot be seen: the client's next request tells it */
	__u8 has_text; /* km_exchange_text belongs to it */
	__u8 edits;    /* 1 + index in km_answers of how its answer's head is changed; 0: it is not */
	__u8 pad[4];
};

/* What events tell of a request beside that: kept only while somebody wants them (km_config.requests). */
struct km_exchange_text {
	char method[KM_EVENT_METHOD_MAX];
	char host[KM_EVENT_HOST_MAX];
	char path[KM_EVENT_PATH_MAX];
};

#define KM_ANSWER_UNITS 64  /* a power of two */
#define KM_ANSWER_ROOM	520 /* bytes that an answer's head may get longer by, and more */

/* How the head of an answer is changed: a copy of struct km_answer (km_action.h). */
struct km_answer_edits {
	__u32 names;
	__u32 bytes;
	__u64 units[KM_ANSWER_UNITS]; /* hashes of names, then the text */
};

/* Of a flow whose requests have such answers: of the one that comes, and of the request that waits. */
struct km_answers {
	struct km_answer_edits edits[2];
};

struct km_flow {
	__u32 flags;  /* enum km_flow_flags */
	__u8 current; /* half that carries the client's bytes; KM_NO_HALF: none */
	__u8 target;  /* half of the kick or the switch */
	__u8 client_scale;
	__u8 mode;	      /* enum km_listener_mode */
	__u16 gate;	      /* the client's segment size: window between requests, length of a kick */
	__u16 mss;	      /* that the client announced */
	__be16 client_window; /* as in its last packet */
	__u16 wire_first;
	__u16 wire_count;
	__u8 left;    /* the socket is in no sockhash any more */
	__u8 stopped; /* not 0: what comes behind `req_end` was never decided, and never will be (km_stop) */
	__u32 isn;    /* of the pseudo space */
	__u32 base;
	__u32 kick_seq;
	__u32 kick_end;
	__u32 kick_got;
	__u32 boundary;
	__u32 req_end;
	__u32 echo_seq;
	__u32 echo_end;
	__u32 echo_ack; /* pseudo number of the reply's first byte */
	__u32 fin_seq;	/* pseudo number of our own FIN (KM_FLOW_FIN_SENT) */
	__u32 requests;
	__u32 asked;	  /* requests that were given a half */
	__u32 answered;	  /* of those */
	__u32 kick_after; /* `asked` before the kick's request and those that joined it */
	__u64 source;	  /* workload */
	__u64 netns;
	__u64 closed_ns;
	struct km_response answer;
	struct km_chunks chunks; /* of the request's body */
	__u32 answer_seq; /* the half's number up to which the answer was read; of its end once that is known
			   */
	__u32 chunks_seq; /* the client's number up to which the body was read */
	__u32 reading;	  /* a CPU follows the body now (km_walk) */
	__u32 device;	  /* of the client, where it can be reached past the stack; 0: nowhere */
	__u32 short_cut;  /* km_config's when the devices were learned */
	__u32 tables;	  /* km_config's when `listening` was looked up */
	struct km_found_listener listening;
	__u32 held;  /* bytes of a message are held back in the socket */
	__u32 fence; /* counted up to order what is written before and read after */
	struct km_exchange now;
	struct km_exchange next;
	struct km_exchange_text now_text;
	struct km_exchange_text next_text;
	/* The half's numbers, and by how much longer the head is for the client (km_answer_edit.h). Behind
	 * edit_end the half's ack_shift holds; before it the client counts edit_more less. 0: that is all
	 * over. */
	__u32 head_seq; /* where the answer's head begins */
	__u32 edit_seq;
	__u32 edit_end;
	__u16 edit_more;
	__u8 edited;  /* the head came, and edit_end is its end */
	__u8 shifted; /* what comes behind it counts edit_more more */
	__u8 edit_tries;
	__u8 following; /* a CPU follows the answer now (km_walk) */
	__u8 pad2[2];
	struct km_half victim; /* a half that makes room: it gets a FIN with the next kick */
	struct km_half half[KM_HALVES];
};

enum km_wire_state {
	KM_WIRE_LIVE = 0,
	KM_WIRE_CLOSING = 1, /* we sent a FIN first: acknowledge the endpoint's */
	KM_WIRE_CLOSED = 2,  /* we answered its FIN with ours: repeat that */
};

/* The connection behind the port that an endpoint sees. Outlives the flow until the endpoint has closed too.
 */
struct km_wire {
	struct km_flow_key flow;
	__u8 half;
	__u8 state;  /* enum km_wire_state */
	__u8 inside; /* KM_FLOW_INSIDE */
	__u8 pad;
	__u64 closing_ns;
};

/* Never evicted: a full table answers new connections with RST (KM_COUNTER_FLOW_FULL). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct km_flow_key);
	__type(value, struct km_flow);
} km_flow SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct km_flow_key);
	__type(value, struct km_wire);
} km_wire SEC(".maps");

/*
 * Connections to HTTP services for which km_flow had no room: their SYN is answered with RST. Not that of
 * every SYN without a flow: a pod that is just joining or leaving the mesh has programs at its device while
 * its connections are none of theirs.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct km_flow_key);
	__type(value, __u32);
} km_refused SEC(".maps");

/* A record goes with its flow. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct km_flow_key);
	__type(value, struct km_answers);
} km_answers SEC(".maps");

/* The sockets whose messages km_request reads. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 65536);
	__type(key, struct km_flow_key);
	__type(value, __u32);
} km_sock SEC(".maps");

/* A value of zeros to insert: too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct km_flow);
} km_flow_blank SEC(".maps");

#endif
