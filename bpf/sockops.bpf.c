// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The life of an enrolled workload's TCP connection, counted when it opens and when it closes; nothing in
 * between. */
#include "km_kernel.h"
#include "km_flow_end.h"
#include "km_observe.h"
#include "km_workload.h"
#include <linux/in.h>
#include <linux/tcp.h>

char _license[] SEC("license") = "Dual BSD/GPL";

/* sock_ops programs can ask for their namespace from 6.1 on (5.15 upstream); without it inbound is not
 * observed. */
const volatile __u32 km_observe_inbound = 0;

static __always_inline void km_remote(struct bpf_sock_ops *ctx, __be32 addr[KM_ADDR_WORDS], __be16 *port)
{
	if (ctx->family == KM_AF_INET) {
		km_addr_from4(addr, ctx->remote_ip4);
	} else {
		addr[0] = ctx->remote_ip6[0];
		addr[1] = ctx->remote_ip6[1];
		addr[2] = ctx->remote_ip6[2];
		addr[3] = ctx->remote_ip6[3];
	}
	/* remote_port holds the port in network order in its upper half on little endian. */
	*port = bpf_htons((__u16)bpf_ntohl(ctx->remote_port));
}

static __always_inline void km_local(struct bpf_sock_ops *ctx, __be32 addr[KM_ADDR_WORDS], __be16 *port)
{
	if (ctx->family == KM_AF_INET) {
		km_addr_from4(addr, ctx->local_ip4);
	} else {
		addr[0] = ctx->local_ip6[0];
		addr[1] = ctx->local_ip6[1];
		addr[2] = ctx->local_ip6[2];
		addr[3] = ctx->local_ip6[3];
	}
	*port = bpf_htons((__u16)ctx->local_port);
}

/* The socket's last state before TCP_CLOSE tells how far it came. */
static __always_inline bool km_fin_acked(__u32 last_state)
{
	return last_state == BPF_TCP_FIN_WAIT2 || last_state == BPF_TCP_LAST_ACK ||
	       last_state == BPF_TCP_CLOSING || last_state == BPF_TCP_TIME_WAIT;
}

static __always_inline void km_closed(struct bpf_sock_ops *ctx, struct bpf_sock *sk, struct km_conn *conn,
				      __u32 last_state)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
	struct km_config *config = km_switches();
	bool established = last_state != BPF_TCP_SYN_SENT;
	__u64 now = bpf_ktime_get_ns();
	__u64 duration_us = (now - conn->start_ns) / KM_NS_PER_US;
	__u32 retransmits = ctx->total_retrans;
	__u32 srtt_us = ctx->srtt_us >> 3;
	struct km_endpoint_stats *stats;
	struct km_traffic *traffic;
	struct km_event *event;
	__u64 received = 0;
	__u64 sent = 0;

	conn->flags |= KM_CONN_CLOSED;
	if (!established) {
		conn->reason = KM_REASON_CONNECT_FAILED;
	} else if (tcp) {
		sent = km_bytes_sent(tcp, conn->direction == KM_DIRECTION_OUTBOUND, km_fin_acked(last_state));
		received = km_bytes_received(tcp);
	}
	if (config && config->monitoring) {
		stats = conn->endpoint ? bpf_map_lookup_elem(&km_endpoint_stats, &conn->endpoint) : NULL;
		if (stats) {
			__sync_fetch_and_add(established ? &stats->closed : &stats->failed, 1);
			__sync_fetch_and_add(&stats->sent_bytes, sent);
			__sync_fetch_and_add(&stats->received_bytes, received);
			if (retransmits)
				__sync_fetch_and_add(&stats->retransmits, retransmits);
			__sync_fetch_and_add(&stats->duration_us, duration_us);
			if (established)
				stats->srtt_us = stats->srtt_us ? stats->srtt_us - (stats->srtt_us >> 3) +
									  (srtt_us >> 3)
								: srtt_us;
		}
		traffic = km_traffic_of(conn, conn->reason);
		if (traffic) {
			__sync_fetch_and_add(established ? &traffic->closed : &traffic->failed, 1);
			__sync_fetch_and_add(&traffic->sent_bytes, sent);
			__sync_fetch_and_add(&traffic->received_bytes, received);
			if (retransmits)
				__sync_fetch_and_add(&traffic->retransmits, retransmits);
			__sync_fetch_and_add(&traffic->duration_us, duration_us);
		}
	}
	event = km_event_of(conn, now);
	if (!event)
		return;
	km_local(ctx, event->local_addr, &event->local_port);
	event->sent_bytes = sent;
	event->received_bytes = received;
	event->retransmits = retransmits;
	event->srtt_us = srtt_us;
	event->state = last_state;
	km_event_submit(event);
}

/*
 * A connection that an enrolled workload accepted. Only where it is asked for: the side that connects counts
 * it already, and to count it again costs another 1 % of a short connection.
 */
static __always_inline void km_accepted(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
	struct km_config *config = km_switches();
	struct km_enrolment *enrolment;
	struct km_address_key key = {};
	struct km_conn conn = {};
	__u64 *workload;
	__u64 netns;

	if (!config || !config->inbound)
		return;
	netns = bpf_get_netns_cookie(ctx);
	enrolment = bpf_map_lookup_elem(&km_enrolment, &netns);
	if (!enrolment)
		return;
	conn.direction = KM_DIRECTION_INBOUND;
	conn.protocol = IPPROTO_TCP;
	conn.start_ns = bpf_ktime_get_ns();
	conn.destination = enrolment->workload;
	km_remote(ctx, conn.real_addr, &conn.real_port);
	km_local(ctx, conn.asked_addr, &conn.asked_port);
	km_addr_copy(key.addr, conn.real_addr);
	workload = bpf_map_lookup_elem(&km_workload_address, &key);
	if (workload)
		conn.source = *workload;
	if (!bpf_sk_storage_get(&km_conn, sk, &conn, BPF_SK_STORAGE_GET_F_CREATE)) {
		km_count(KM_COUNTER_STORAGE_FAILED);
		return;
	}
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* Not inlined: the compiler would merge the two families' reads into arithmetic on the context pointer. */
static __noinline int km_flow_key4(struct bpf_sock_ops *ctx, struct km_flow_key *key)
{
	if (!ctx || !key)
		return 0;
	km_addr_from4(key->client, ctx->local_ip4);
	km_addr_from4(key->server, ctx->remote_ip4);
	return 0;
}

static __noinline int km_flow_key6(struct bpf_sock_ops *ctx, struct km_flow_key *key)
{
	if (!ctx || !key)
		return 0;
	key->client[0] = ctx->local_ip6[0];
	key->client[1] = ctx->local_ip6[1];
	key->client[2] = ctx->local_ip6[2];
	key->client[3] = ctx->local_ip6[3];
	key->server[0] = ctx->remote_ip6[0];
	key->server[1] = ctx->remote_ip6[1];
	key->server[2] = ctx->remote_ip6[2];
	key->server[3] = ctx->remote_ip6[3];
	return 0;
}

/*
 * A connection to an HTTP service: its flow is made when the SYN is built, which only a socket can cause, so
 * that packets alone never make state; it joins the sockhash when the handshake, which TC answers, is done.
 */
static __always_inline void km_spliced(struct bpf_sock_ops *ctx, struct km_conn *conn, __u32 op)
{
	struct km_flow_key key;
	struct km_flow *flow;
	int nodelay = 1;
	__u32 zero = 0;

	if (ctx->family == KM_AF_INET)
		km_flow_key4(ctx, &key);
	else
		km_flow_key6(ctx, &key);
	key.client_port = bpf_htons((__u16)ctx->local_port);
	key.server_port = bpf_htons((__u16)bpf_ntohl(ctx->remote_port));
	switch (op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		flow = bpf_map_lookup_elem(&km_flow_blank, &zero);
		if (!flow || bpf_map_update_elem(&km_flow, &key, flow, BPF_ANY)) {
			bpf_map_update_elem(&km_refused, &key, &zero, BPF_ANY);
			return;
		}
		flow = bpf_map_lookup_elem(&km_flow, &key);
		if (!flow)
			return;
		flow->current = KM_NO_HALF;
		flow->mode = conn->mode;
		flow->wire_first = conn->wire_first;
		flow->wire_count = conn->wire_count;
		flow->source = conn->source;
		flow->netns = conn->netns;
		bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
		return;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		bpf_sock_hash_update(ctx, &km_sock, &key, BPF_ANY);
		/*
		 * The answer to a kick sends what is queued, so a head goes ahead of a body that its program
		 * holds together with it (MSG_MORE). Nagle would then hold the body until the head is
		 * acknowledged, which a server puts off for 40 ms. Refused before Linux 6.1, which changes
		 * nothing else.
		 */
		bpf_setsockopt(ctx, IPPROTO_TCP, TCP_NODELAY, &nodelay, sizeof(nodelay));
		return;
	case BPF_SOCK_OPS_STATE_CB:
		/*
		 * The client has ended its direction: nothing is left to read. In a sockhash a recv() that
		 * waits for the answer would fail with EAGAIN when the endpoint acknowledges the FIN.
		 */
		if (ctx->args[1] != BPF_TCP_CLOSE) {
			bpf_map_delete_elem(&km_sock, &key);
			return;
		}
		flow = bpf_map_lookup_elem(&km_flow, &key);
		if (!flow)
			return;
		flow->closed_ns = bpf_ktime_get_ns();
		flow->flags |= KM_FLOW_CLOSED;
		if (flow->flags & KM_FLOW_DONE || !(flow->flags & KM_FLOW_SHAKEN))
			km_flow_delete(flow, &key);
		return;
	}
}

/*
 * Called some 13 times for a connection, whether it is ours or not, so it leaves as early as it can: of all
 * state changes only the one to TCP_CLOSE is looked at, and that the handshake was done is seen then; of HTTP
 * connections the one to TCP_FIN_WAIT1 too.
 */
SEC("sockops")
int km_sockops(struct bpf_sock_ops *ctx)
{
	struct km_conn *conn;
	struct bpf_sock *sk;
	__u32 op = ctx->op;

	if (op == BPF_SOCK_OPS_STATE_CB) {
		if (ctx->args[1] != BPF_TCP_CLOSE && ctx->args[1] != BPF_TCP_FIN_WAIT1)
			return 1;
	} else if (op != BPF_SOCK_OPS_TCP_CONNECT_CB && op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB &&
		   (!km_observe_inbound || op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)) {
		return 1;
	}
	sk = ctx->sk;
	if (!sk)
		return 1;
	if (km_observe_inbound && op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB) {
		km_accepted(ctx, sk);
		return 1;
	}
	conn = bpf_sk_storage_get(&km_conn, sk, NULL, 0);
	if (!conn)
		return 1;
	if (conn->flags & KM_CONN_HTTP) {
		km_spliced(ctx, conn, op);
		return 1;
	}
	if (op == BPF_SOCK_OPS_TCP_CONNECT_CB)
		bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
	else if (op == BPF_SOCK_OPS_STATE_CB && ctx->args[1] == BPF_TCP_CLOSE &&
		 !(conn->flags & KM_CONN_CLOSED))
		km_closed(ctx, sk, conn, ctx->args[0]);
	return 1;
}
