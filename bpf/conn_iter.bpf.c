// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The live connections of enrolled workloads, read on demand: one struct km_event for each (iterator, 5.9).
 */
#include "km_kernel.h"
#include "km_addr.h"
#include "km_conn.h"
#include <linux/in.h>

char _license[] SEC("license") = "Dual BSD/GPL";

SEC("iter/bpf_sk_storage_map")
int km_conn_iter(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock *sk = ctx->sk;
	struct km_conn *conn = ctx->value;
	struct km_event event = {};
	struct tcp_sock *tcp;
	__u16 family;
	__u8 state;

	if (!sk || !conn)
		return 0;
	if (conn->protocol != IPPROTO_TCP || (conn->flags & KM_CONN_CLOSED))
		return 0;
	state = sk->__sk_common.skc_state;
	if (state == BPF_TCP_SYN_SENT || state == BPF_TCP_CLOSE)
		return 0;
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp)
		return 0;
	family = sk->__sk_common.skc_family;
	if (family == KM_AF_INET) {
		km_addr_from4(event.local_addr, sk->__sk_common.skc_rcv_saddr);
	} else {
		event.local_addr[0] = sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[0];
		event.local_addr[1] = sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[1];
		event.local_addr[2] = sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[2];
		event.local_addr[3] = sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[3];
	}
	event.local_port = bpf_htons(sk->__sk_common.skc_num);
	event.time_ns = bpf_ktime_get_ns();
	event.start_ns = conn->start_ns;
	event.source = conn->source;
	event.destination = conn->destination;
	event.cluster = conn->cluster;
	event.sent_bytes =
		km_bytes_sent(tcp, conn->direction == KM_DIRECTION_OUTBOUND, state == BPF_TCP_FIN_WAIT2);
	event.received_bytes = km_bytes_received(tcp);
	km_addr_copy(event.asked_addr, conn->asked_addr);
	km_addr_copy(event.real_addr, conn->real_addr);
	event.asked_port = conn->asked_port;
	event.real_port = conn->real_port;
	event.direction = conn->direction;
	event.retransmits = tcp->total_retrans;
	event.srtt_us = tcp->srtt_us >> 3;
	event.state = state;
	bpf_seq_write(ctx->meta->seq, &event, sizeof(event));
	return 0;
}
