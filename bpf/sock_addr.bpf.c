// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Layer 4: decide in connect(). Attached at the cgroup root; a socket outside the enrolled network namespaces
 * costs one hash lookup and is left alone. A destination that no listener serves keeps its address. A
 * listener with no usable endpoint refuses at once.
 */
#include "km_balance.h"
#include "km_observe.h"
#include "km_udp_reply.h"
#include "km_workload.h"
#include <bpf/bpf_core_read.h>
#include <asm-generic/errno.h>
#include <linux/in.h>

char _license[] SEC("license") = "Dual BSD/GPL";

#define KM_ALLOW 1
#define KM_DENY	 0

enum km_verdict {
	KM_VERDICT_PASS,   /* not served by the mesh */
	KM_VERDICT_SPLICE, /* decided for each request: the address stays */
	KM_VERDICT_REWRITE,
	KM_VERDICT_REFUSE,
};

static __always_inline struct km_enrolment *km_enrolled(struct bpf_sock_addr *ctx, __u64 *netns)
{
	*netns = bpf_get_netns_cookie(ctx);
	return bpf_map_lookup_elem(&km_enrolment, netns);
}

/*
 * Make the system call fail with ECONNREFUSED. bpf_set_retval is there from 5.18; before, a refused call can
 * only fail with EPERM, so a connection is sent to port 0 of the loopback address instead, where nothing can
 * listen.
 */
static __always_inline int km_refuse(struct bpf_sock_addr *ctx, bool connecting, bool ip6)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_set_retval)) {
		bpf_set_retval(-ECONNREFUSED);
		return KM_DENY;
	}
	if (!connecting)
		return KM_DENY;
	ctx->user_port = 0;
	if (!ip6) { /* a constant: 5.10 refuses a connect4 program that only holds a write of user_ip6 */
		ctx->user_ip4 = bpf_htonl(0x7f000001);
	} else if (ctx->user_ip6[0] == 0 && ctx->user_ip6[1] == 0 && ctx->user_ip6[2] == KM_MAPPED_WORD) {
		ctx->user_ip6[3] = bpf_htonl(0x7f000001);
	} else {
		ctx->user_ip6[0] = 0;
		ctx->user_ip6[1] = 0;
		ctx->user_ip6[2] = 0;
		ctx->user_ip6[3] = bpf_htonl(1);
	}
	return KM_ALLOW;
}

/* Listener, cluster, endpoint; counts and logs a refusal. conn is filled but not stored. */
static __always_inline enum km_verdict km_decide(struct km_conn *conn, __u64 netns)
{
	struct km_listener_key key = {
		.port = conn->asked_port,
		.protocol = conn->protocol,
	};
	struct km_endpoint *endpoint;
	struct km_traffic *traffic;
	struct km_found_listener says;
	struct km_event *event;

	km_addr_copy(key.addr, conn->asked_addr);
	km_find_listener(&key, &says);
	conn->cluster = says.cluster;
	if (!says.cluster) {
		km_addr_copy(conn->real_addr, conn->asked_addr);
		conn->real_port = conn->asked_port;
		return KM_VERDICT_PASS;
	}
	if (says.mode != KM_LISTENER_TCP && conn->wire_count && conn->protocol == IPPROTO_TCP) {
		conn->mode = says.mode;
		conn->flags = KM_CONN_HTTP;
		return KM_VERDICT_SPLICE;
	}
	conn->endpoint = km_pick_endpoint(conn->cluster, netns, 0, 0);
	endpoint = conn->endpoint ? bpf_map_lookup_elem(&km_endpoint, &conn->endpoint) : NULL;
	if (endpoint && km_addr_is4(endpoint->addr) == km_addr_is4(conn->asked_addr)) {
		km_addr_copy(conn->real_addr, endpoint->addr);
		conn->real_port = endpoint->port;
		conn->destination = endpoint->workload;
		conn->flags = KM_CONN_REWRITTEN;
		return KM_VERDICT_REWRITE;
	}
	conn->reason = KM_REASON_NO_ENDPOINT;
	/* km_traffic is about TCP connections; refused datagrams are in km_cluster_stats. */
	traffic = conn->protocol == IPPROTO_TCP ? km_traffic_of(conn, KM_REASON_NO_ENDPOINT) : NULL;
	if (traffic)
		__sync_fetch_and_add(&traffic->failed, 1);
	event = km_event_of(conn, bpf_ktime_get_ns());
	if (event)
		km_event_submit(event);
	return KM_VERDICT_REFUSE;
}

static __always_inline void km_note_unknown(const struct km_address_key *key, __u64 now)
{
	struct km_config *config = km_switches();

	if (config && config->unknown)
		bpf_map_update_elem(&km_unknown, key, &now, BPF_ANY);
}

static __always_inline enum km_verdict km_connect(struct bpf_sock_addr *ctx, struct km_conn *conn)
{
	struct km_enrolment *enrolment;
	enum km_verdict verdict;
	struct km_conn *stored;
	struct bpf_sock *sk;
	__u64 netns;

	if (ctx->protocol != IPPROTO_TCP && ctx->protocol != IPPROTO_UDP)
		return KM_VERDICT_PASS;
	enrolment = km_enrolled(ctx, &netns);
	if (!enrolment)
		return KM_VERDICT_PASS;
	conn->source = enrolment->workload;
	conn->protocol = ctx->protocol;
	conn->netns = netns;
	conn->wire_first = enrolment->wire_first;
	conn->wire_count = enrolment->wire_count;
	conn->start_ns = bpf_ktime_get_ns();
	verdict = km_decide(conn, netns);
	if (verdict == KM_VERDICT_REFUSE)
		return verdict;
	if (verdict == KM_VERDICT_PASS) {
		struct km_address_key key;
		__u64 *workload;

		km_addr_copy(key.addr, conn->real_addr);
		workload = bpf_map_lookup_elem(&km_workload_address, &key);
		if (workload)
			conn->destination = *workload;
		else
			km_note_unknown(&key, conn->start_ns);
	}
	sk = ctx->sk;
	if (!sk)
		return verdict;
	stored = bpf_sk_storage_get(&km_conn, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (stored)
		*stored = *conn;
	else
		km_count(KM_COUNTER_STORAGE_FAILED);
	if (verdict == KM_VERDICT_REWRITE && conn->protocol == IPPROTO_UDP) {
		struct km_endpoint_stats *stats = bpf_map_lookup_elem(&km_endpoint_stats, &conn->endpoint);

		if (stats)
			__sync_fetch_and_add(&stats->udp_connected, 1);
	}
	return verdict;
}

SEC("cgroup/connect4")
int km_connect4(struct bpf_sock_addr *ctx)
{
	struct km_conn conn = {};
	enum km_verdict verdict;

	km_addr_from4(conn.asked_addr, ctx->user_ip4);
	conn.asked_port = (__be16)ctx->user_port;
	verdict = km_connect(ctx, &conn);
	if (verdict == KM_VERDICT_REFUSE)
		return km_refuse(ctx, true, false);
	if (verdict == KM_VERDICT_REWRITE) {
		ctx->user_ip4 = conn.real_addr[3];
		ctx->user_port = conn.real_port;
	}
	return KM_ALLOW;
}

SEC("cgroup/connect6")
int km_connect6(struct bpf_sock_addr *ctx)
{
	struct km_conn conn = {};
	enum km_verdict verdict;

	conn.asked_addr[0] = ctx->user_ip6[0];
	conn.asked_addr[1] = ctx->user_ip6[1];
	conn.asked_addr[2] = ctx->user_ip6[2];
	conn.asked_addr[3] = ctx->user_ip6[3];
	conn.asked_port = (__be16)ctx->user_port;
	verdict = km_connect(ctx, &conn);
	if (verdict == KM_VERDICT_REFUSE)
		return km_refuse(ctx, true, true);
	if (verdict == KM_VERDICT_REWRITE) {
		ctx->user_ip6[0] = conn.real_addr[0];
		ctx->user_ip6[1] = conn.real_addr[1];
		ctx->user_ip6[2] = conn.real_addr[2];
		ctx->user_ip6[3] = conn.real_addr[3];
		ctx->user_port = conn.real_port;
	}
	return KM_ALLOW;
}

/* A datagram with an address of its own: each is balanced, and its answer is remembered by the endpoint's
 * address. */
static __always_inline enum km_verdict km_sendmsg(struct bpf_sock_addr *ctx, struct km_conn *conn)
{
	struct km_udp_reply_key key = {};
	struct km_udp_reply reply = {};
	struct km_endpoint_stats *stats;
	struct km_enrolment *enrolment;
	enum km_verdict verdict;
	struct km_conn *stored;
	struct bpf_sock *sk;
	__u64 netns;

	enrolment = km_enrolled(ctx, &netns);
	if (!enrolment)
		return KM_VERDICT_PASS;
	conn->source = enrolment->workload;
	conn->protocol = IPPROTO_UDP;
	conn->start_ns = bpf_ktime_get_ns();
	verdict = km_decide(conn, netns);
	if (verdict == KM_VERDICT_REFUSE)
		return verdict;
	sk = ctx->sk;
	key.socket = bpf_get_socket_cookie(ctx);
	km_addr_copy(key.addr, conn->real_addr);
	key.port = conn->real_port;
	if (verdict == KM_VERDICT_PASS) {
		/* The application now asks for an endpoint itself: its answer is its own again. */
		stored = sk ? bpf_sk_storage_get(&km_conn, sk, NULL, 0) : NULL;
		if (stored && stored->flags & KM_CONN_UDP_REPLIES)
			bpf_map_delete_elem(&km_udp_reply, &key);
		return verdict;
	}
	stored = sk ? bpf_sk_storage_get(&km_conn, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE) : NULL;
	km_addr_copy(reply.addr, conn->asked_addr);
	reply.port = conn->asked_port;
	if (!stored || bpf_map_update_elem(&km_udp_reply, &key, &reply, BPF_ANY)) {
		km_count(KM_COUNTER_UDP_REPLY_LOST);
		return KM_VERDICT_REFUSE;
	}
	stored->protocol = IPPROTO_UDP;
	stored->flags |= KM_CONN_UDP_REPLIES;
	stats = bpf_map_lookup_elem(&km_endpoint_stats, &conn->endpoint);
	if (stats)
		__sync_fetch_and_add(&stats->datagrams, 1);
	return verdict;
}

SEC("cgroup/sendmsg4")
int km_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct km_conn conn = {};
	enum km_verdict verdict;

	km_addr_from4(conn.asked_addr, ctx->user_ip4);
	conn.asked_port = (__be16)ctx->user_port;
	verdict = km_sendmsg(ctx, &conn);
	if (verdict == KM_VERDICT_REFUSE)
		return km_refuse(ctx, false, false);
	if (verdict == KM_VERDICT_REWRITE) {
		ctx->user_ip4 = conn.real_addr[3];
		ctx->user_port = conn.real_port;
	}
	return KM_ALLOW;
}

SEC("cgroup/sendmsg6")
int km_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct km_conn conn = {};
	enum km_verdict verdict;

	conn.asked_addr[0] = ctx->user_ip6[0];
	conn.asked_addr[1] = ctx->user_ip6[1];
	conn.asked_addr[2] = ctx->user_ip6[2];
	conn.asked_addr[3] = ctx->user_ip6[3];
	conn.asked_port = (__be16)ctx->user_port;
	verdict = km_sendmsg(ctx, &conn);
	if (verdict == KM_VERDICT_REFUSE)
		return km_refuse(ctx, false, false);
	if (verdict == KM_VERDICT_REWRITE) {
		ctx->user_ip6[0] = conn.real_addr[0];
		ctx->user_ip6[1] = conn.real_addr[1];
		ctx->user_ip6[2] = conn.real_addr[2];
		ctx->user_ip6[3] = conn.real_addr[3];
		ctx->user_port = conn.real_port;
	}
	return KM_ALLOW;
}

/*
 * The address that a received datagram or getpeername() shows: what the application asked for. shown holds
 * the real one and is overwritten; false leaves it. Works for sockets whose workload has left the mesh since.
 */
static __always_inline bool km_show(struct bpf_sock_addr *ctx, bool received, __be32 shown[KM_ADDR_WORDS],
				    __be16 *port)
{
	struct km_udp_reply_key key = {};
	struct km_udp_reply *reply;
	struct km_conn *conn;
	struct bpf_sock *sk = ctx->sk;

	if (!sk)
		return false;
	conn = bpf_sk_storage_get(&km_conn, sk, NULL, 0);
	if (!conn)
		return false;
	if ((conn->flags & KM_CONN_REWRITTEN) && conn->real_port == *port &&
	    km_addr_equal(conn->real_addr, shown)) {
		km_addr_copy(shown, conn->asked_addr);
		*port = conn->asked_port;
		return true;
	}
	if (!received || !(conn->flags & KM_CONN_UDP_REPLIES))
		return false;
	key.socket = bpf_get_socket_cookie(ctx);
	km_addr_copy(key.addr, shown);
	key.port = *port;
	reply = bpf_map_lookup_elem(&km_udp_reply, &key);
	if (!reply)
		return false;
	km_addr_copy(shown, reply->addr);
	*port = reply->port;
	return true;
}

static __always_inline int km_show4(struct bpf_sock_addr *ctx, bool received)
{
	__be16 port = (__be16)ctx->user_port;
	__be32 addr[KM_ADDR_WORDS];

	km_addr_from4(addr, ctx->user_ip4);
	if (km_show(ctx, received, addr, &port)) {
		ctx->user_ip4 = addr[3];
		ctx->user_port = port;
	}
	return KM_ALLOW;
}

static __always_inline int km_show6(struct bpf_sock_addr *ctx, bool received)
{
	__be16 port = (__be16)ctx->user_port;
	__be32 addr[KM_ADDR_WORDS];

	addr[0] = ctx->user_ip6[0];
	addr[1] = ctx->user_ip6[1];
	addr[2] = ctx->user_ip6[2];
	addr[3] = ctx->user_ip6[3];
	if (km_show(ctx, received, addr, &port)) {
		ctx->user_ip6[0] = addr[0];
		ctx->user_ip6[1] = addr[1];
		ctx->user_ip6[2] = addr[2];
		ctx->user_ip6[3] = addr[3];
		ctx->user_port = port;
	}
	return KM_ALLOW;
}

SEC("cgroup/recvmsg4")
int km_recvmsg4(struct bpf_sock_addr *ctx)
{
	return km_show4(ctx, true);
}

SEC("cgroup/recvmsg6")
int km_recvmsg6(struct bpf_sock_addr *ctx)
{
	return km_show6(ctx, true);
}

SEC("cgroup/getpeername4")
int km_getpeername4(struct bpf_sock_addr *ctx)
{
	return km_show4(ctx, false);
}

SEC("cgroup/getpeername6")
int km_getpeername6(struct bpf_sock_addr *ctx)
{
	return km_show6(ctx, false);
}
