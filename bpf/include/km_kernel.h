/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The few fields of kernel structures that the programs read, found on the running kernel by CO-RE
 * relocation. A whole vmlinux.h would tie the objects to one kernel's names; these have not moved
 * between 5.10 and 7.3.
 */
#ifndef KM_KERNEL_H
#define KM_KERNEL_H

#include <linux/types.h>
#include <stdbool.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct in6_addr {
	union {
		__be32 u6_addr32[4];
	} in6_u;
};

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	unsigned long skc_flags;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct sock {
	struct sock_common __sk_common;
};

struct tcp_sock {
	__u64 bytes_received;
	__u64 bytes_acked;
	__u32 total_retrans;
	__u32 write_seq;
	__u32 rcv_nxt;
	__u32 snd_una;
	__u32 srtt_us;
};

struct seq_file;
struct bpf_map;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
};

#pragma clang attribute pop

/* SOCK_DONE of enum sock_flags (include/net/sock.h): set by tcp_fin(), when the peer's FIN was received. */
#define KM_SOCK_DONE (1UL << 1)

/*
 * Bytes that the peer has acknowledged: bytes_acked counts the SYN of the side that connected as one, and
 * with fin_acked our FIN.
 */
static __always_inline __u64 km_bytes_sent(struct tcp_sock *tcp, bool connected, bool fin_acked)
{
	__u64 acked = tcp->bytes_acked;
	__u64 control = (connected ? 1 : 0) + (fin_acked ? 1 : 0);

	return acked > control ? acked - control : 0;
}

/* Bytes that the peer sent: bytes_received counts its FIN as one. */
static __always_inline __u64 km_bytes_received(struct tcp_sock *tcp)
{
	bool fin = ((struct sock *)tcp)->__sk_common.skc_flags & KM_SOCK_DONE;
	__u64 received = tcp->bytes_received;

	return received && fin ? received - 1 : received;
}

#endif
