/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A router says that a packet of a half is too large (RFC 1191, RFC 8201). It quotes the packet as it was on
 * the wire; the client's TCP knows it by other addresses, ports and numbers. What routers say of unreachable
 * hosts is not passed on: TCP only notes it, and a half that cannot be opened has its time-out.
 */
#ifndef KM_ICMP_H
#define KM_ICMP_H

#include "km_rewrite.h"
#include "km_splice.h"

/* linux/icmp.h needs the C library. Both headers are 8 bytes, with the checksum in the third and fourth. */
#define KM_ICMP_BYTES	    8
#define KM_ICMP_CHECK	    2
#define KM_ICMP_UNREACHABLE 3
#define KM_ICMP_FRAG_NEEDED 4
#define KM_ICMP6_TOO_BIG    2

/* The quoted IP header, and the 8 bytes of TCP behind it that a router has to quote at least. */
struct km_quote4 {
	struct iphdr ip;
	__be16 ports[2];
	__be32 seq;
};

struct km_quote6 {
	struct ipv6hdr ip;
	__be16 ports[2];
	__be32 seq;
};

/* Reads which half a packet was of into w->wire; its number, or false. */
static __always_inline bool km_read_quote(struct __sk_buff *skb, struct km_work *w)
{
	__u8 kind[2], protocol;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		const __u32 icmp = ETH_HLEN + sizeof(struct iphdr);
		struct km_quote4 *quote = (struct km_quote4 *)w->options;

		if (bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct iphdr, protocol), &protocol, 1) ||
		    protocol != IPPROTO_ICMP || bpf_skb_load_bytes(skb, icmp, kind, 2) ||
		    kind[0] != KM_ICMP_UNREACHABLE || kind[1] != KM_ICMP_FRAG_NEEDED ||
		    bpf_skb_load_bytes(skb, icmp + KM_ICMP_BYTES, quote, sizeof(*quote)))
			return false;
		if (quote->ip.protocol != IPPROTO_TCP || quote->ip.ihl != 5)
			return false;
		km_addr_from4(w->wire.client, quote->ip.saddr);
		km_addr_from4(w->wire.server, quote->ip.daddr);
		w->wire.client_port = quote->ports[0];
		w->wire.server_port = quote->ports[1];
		w->p.ip6 = 0;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		const __u32 icmp = ETH_HLEN + sizeof(struct ipv6hdr);
		struct km_quote6 *quote = (struct km_quote6 *)w->options;

		if (bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, nexthdr), &protocol, 1) ||
		    protocol != IPPROTO_ICMPV6 || bpf_skb_load_bytes(skb, icmp, kind, 2) ||
		    kind[0] != KM_ICMP6_TOO_BIG ||
		    bpf_skb_load_bytes(skb, icmp + KM_ICMP_BYTES, quote, sizeof(*quote)))
			return false;
		if (quote->ip.nexthdr != IPPROTO_TCP)
			return false;
		__builtin_memcpy(w->wire.client, &quote->ip.saddr, 16);
		__builtin_memcpy(w->wire.server, &quote->ip.daddr, 16);
		w->wire.client_port = quote->ports[0];
		w->wire.server_port = quote->ports[1];
		w->p.ip6 = 1;
	} else {
		return false;
	}
	return true;
}

/* Puts the changed quote, which stands 64 bytes behind the old one, into the packet. */
static __always_inline int km_write_quote(struct __sk_buff *skb, struct km_work *w)
{
	__be32 *old = (__be32 *)w->options, *new = (__be32 *)(w->options + 64);
	__s64 sum;

	if (w->p.ip6) {
		const __u32 icmp = ETH_HLEN + sizeof(struct ipv6hdr);

		sum = bpf_csum_diff(old, sizeof(struct km_quote6), new, sizeof(struct km_quote6), 0);
		if (bpf_l4_csum_replace(skb, icmp + KM_ICMP_CHECK, 0, sum, 0))
			return -1;
		return bpf_skb_store_bytes(skb, icmp + KM_ICMP_BYTES, new, sizeof(struct km_quote6), 0);
	} else {
		const __u32 icmp = ETH_HLEN + sizeof(struct iphdr);

		sum = bpf_csum_diff(old, sizeof(struct km_quote4), new, sizeof(struct km_quote4), 0);
		if (bpf_l4_csum_replace(skb, icmp + KM_ICMP_CHECK, 0, sum, 0))
			return -1;
		return bpf_skb_store_bytes(skb, icmp + KM_ICMP_BYTES, new, sizeof(struct km_quote4), 0);
	}
}

/* A packet that is no TCP, on its way to a client. */
__noinline int km_from_router(struct __sk_buff *skb)
{
	struct km_work *w = km_worked();
	struct km_wire *wire;
	struct km_half *half;
	struct km_flow *f;

	if (!w || !km_read_quote(skb, w))
		return KM_WAY_PASS;
	wire = bpf_map_lookup_elem(&km_wire, &w->wire);
	if (!wire || wire->state != KM_WIRE_LIVE)
		return KM_WAY_PASS;
	w->key = wire->flow;
	f = bpf_map_lookup_elem(&km_flow, &w->key);
	if (!f || f->current != wire->half)
		return KM_WAY_PASS;
	half = &f->half[f->current & (KM_HALVES - 1)];
	__builtin_memcpy(w->options + 64, w->options, 64);
	if (w->p.ip6) {
		struct km_quote6 *quote = (struct km_quote6 *)(w->options + 64);

		__builtin_memcpy(&quote->ip.daddr, w->key.server, 16);
		quote->ports[0] = w->key.client_port;
		quote->ports[1] = w->key.server_port;
		quote->seq = bpf_htonl(bpf_ntohl(quote->seq) + half->seq_shift);
	} else {
		struct km_quote4 *quote = (struct km_quote4 *)(w->options + 64);
		__u64 sum = (__u16)~quote->ip.check;

		sum += (__u32)~quote->ip.daddr;
		quote->ip.daddr = w->key.server[3];
		sum += quote->ip.daddr;
		quote->ip.check = ~km_fold16(sum);
		quote->ports[0] = w->key.client_port;
		quote->ports[1] = w->key.server_port;
		quote->seq = bpf_htonl(bpf_ntohl(quote->seq) + half->seq_shift);
	}
	return km_write_quote(skb, w) ? km_failed() : KM_WAY_CLIENT;
}

#endif
