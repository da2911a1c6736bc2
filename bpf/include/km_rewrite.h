/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Giving TCP packets other headers, and making short ones of them. Checksums are changed by differences,
 * because a program cannot know whether the packet's is complete or left to the device (CHECKSUM_PARTIAL);
 * bpf_l4_csum_replace handles both. What is cut off must sum to zero or be summed.
 */
#ifndef KM_REWRITE_H
#define KM_REWRITE_H

#include "km_packet.h"

#define KM_FILL_TCP(new, p, to)                                                                              \
	do {                                                                                                 \
		(new)->ports[0] = (to)->from_port;                                                           \
		(new)->ports[1] = (to)->to_port;                                                             \
		(new)->seq = bpf_htonl((to)->seq);                                                           \
		(new)->ack = bpf_htonl((to)->ack);                                                           \
		(new)->offset = (p)->header << 2;                                                            \
		(new)->flags = (to)->flags;                                                                  \
		(new)->window = bpf_htons((to)->window);                                                     \
	} while (0)

/*
 * Gives a packet other addresses, ports, numbers, window and flags; its payload and options stay. Each helper
 * that changes a packet has its price, so all is written at once, and IPv4's own checksum, which is never
 * left to a device, is reckoned here.
 */
__noinline int km_translate(struct __sk_buff *skb)
{
	struct km_work *w = km_worked();
	const struct km_segment *to;
	const struct km_packet *p;
	__u64 addresses, words;
	__u32 tcp;

	if (!w)
		return -1;
	to = &w->to;
	p = &w->p;
	tcp = p->tcp;

	/* As words in network order: ports, numbers, and flags with window. */
	words = (__u32) ~((__u32)p->to_port << 16 | p->from_port);
	words += (__u32)~bpf_htonl(p->seq);
	words += (__u32)~bpf_htonl(p->ack);
	words += (__u32) ~(bpf_htonl(p->window) | (__u32)p->flags << 8);
	words += (__u32)to->to_port << 16 | to->from_port;
	words += bpf_htonl(to->seq);
	words += bpf_htonl(to->ack);
	words += bpf_htonl(to->window) | (__u32)to->flags << 8;
	addresses = km_unsum_addr(km_unsum_addr(0, p->from, p->ip6), p->to, p->ip6);
	addresses = km_sum_addr(km_sum_addr(addresses, to->from, p->ip6), to->to, p->ip6);
	if (bpf_l4_csum_replace(skb, tcp + offsetof(struct tcphdr, check), 0, km_fold32(words), 0))
		return -1;
	if (bpf_l4_csum_replace(skb, tcp + offsetof(struct tcphdr, check), 0, km_fold32(addresses),
				BPF_F_PSEUDO_HDR))
		return -1;
	if (p->ip6) {
		struct km_rewrite6 *new = &w->rewrite6;

		__builtin_memcpy(new->addresses, to->from, 16);
		__builtin_memcpy(new->addresses + 4, to->to, 16);
		KM_FILL_TCP(new, p, to);
		return bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, saddr), new, sizeof(*new),
					   0);
	} else {
		struct km_rewrite4 *new = &w->rewrite4;

		new->check = ~km_fold16(addresses + (__u16)~p->check);
		new->addresses[0] = to->from[3];
		new->addresses[1] = to->to[3];
		KM_FILL_TCP(new, p, to);
		return bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct iphdr, check), &new->check,
					   sizeof(*new) - offsetof(struct km_rewrite4, check), 0);
	}
}

static __always_inline int km_swap_mac(struct __sk_buff *skb)
{
	__u8 mac[2 * ETH_ALEN], swapped[2 * ETH_ALEN];

	if (bpf_skb_load_bytes(skb, 0, mac, sizeof(mac)))
		return -1;
	__builtin_memcpy(swapped, mac + ETH_ALEN, ETH_ALEN);
	__builtin_memcpy(swapped + ETH_ALEN, mac, ETH_ALEN);
	return bpf_skb_store_bytes(skb, 0, swapped, sizeof(swapped), 0);
}

/* The options of our SYNs: MSS, then SACK-permitted and window scale or no-operations. */
static __always_inline void km_syn_options(__u8 options[KM_SYN_OPTIONS], const struct km_segment *to)
{
	options[0] = 2;
	options[1] = 4;
	options[2] = to->mss >> 8;
	options[3] = to->mss & 0xff;
	options[4] = 1;
	options[5] = 1;
	options[6] = to->sack ? 4 : 1;
	options[7] = to->sack ? 2 : 1;
	options[8] = 1;
	options[9] = to->scale != 0xff ? 3 : 1;
	options[10] = to->scale != 0xff ? 3 : 1;
	options[11] = to->scale != 0xff ? to->scale : 1;
}

/*
 * Makes a packet without payload of this one: a SYN, an ACK, a RST. Its payload, if it had one, must sum to
 * zero unless the packet's checksum is left to the device. Updates p to what the packet is now, so that it
 * can be made into something else again.
 */
__noinline int km_make(struct __sk_buff *skb)
{
	struct km_work *w = km_worked();
	const struct km_segment *to;
	struct km_packet *p;
	struct km_header *old, *new;
	__u32 header, tcp;
	__u64 words, pseudo;
	__s64 sum = 0;

	if (!w)
		return -1;
	p = &w->p;
	to = &w->to;
	old = &w->before;
	new = &w->after;
	__builtin_memset(new, 0, sizeof(*new));
	tcp = p->tcp;
	if (km_load_options(skb, w))
		sum = bpf_csum_diff((__be32 *)w->options, KM_MAX_OPTIONS, NULL, 0, 0);
	if (bpf_skb_load_bytes(skb, tcp, old, sizeof(struct tcphdr)))
		return -1;
	new->ports[0] = to->from_port;
	new->ports[1] = to->to_port;
	new->seq = bpf_htonl(to->seq);
	new->ack = bpf_htonl(to->ack);
	header = sizeof(struct tcphdr);
	if (to->syn) {
		header += KM_SYN_OPTIONS;
		km_syn_options(new->options, to);
	}
	new->offset = header << 2;
	new->flags = to->flags;
	new->window = bpf_htons(to->window);
	{
		const __u32 *o = (const __u32 *)old;
		const __u32 *n = (const __u32 *)new;

		/* Word 4 is the checksum itself and the urgent pointer, which we never carry over. */
		words = (__u64)(__u32)~o[0] + (__u32)~o[1] + (__u32)~o[2] + (__u32)~o[3];
		words += (__u64)n[0] + n[1] + n[2] + n[3] + n[5] + n[6] + n[7];
		words += (__u16)~old->urgent;
		words += (__u32)sum;
	}
	pseudo = km_unsum_addr(km_unsum_addr(0, p->from, p->ip6), p->to, p->ip6);
	pseudo = km_sum_addr(km_sum_addr(pseudo, to->from, p->ip6), to->to, p->ip6);
	pseudo += (__u16)~bpf_htons(p->header + p->payload);
	pseudo += bpf_htons(header);
	if (bpf_skb_change_tail(skb, tcp + header, 0))
		return -1;
	/* The options were summed; their place is free. */
	if (p->ip6) {
		struct ipv6hdr *ip = (struct ipv6hdr *)w->options;

		if (bpf_skb_load_bytes(skb, ETH_HLEN, ip, sizeof(*ip)))
			return -1;
		ip->payload_len = bpf_htons(header);
		ip->hop_limit = KM_TTL;
		__builtin_memcpy(&ip->saddr, to->from, 16);
		__builtin_memcpy(&ip->daddr, to->to, 16);
		if (bpf_skb_store_bytes(skb, ETH_HLEN, ip, sizeof(*ip), BPF_F_INVALIDATE_HASH))
			return -1;
	} else {
		struct iphdr *ip = (struct iphdr *)w->options;
		const __u32 *words4 = (const __u32 *)ip;

		if (bpf_skb_load_bytes(skb, ETH_HLEN, ip, sizeof(*ip)))
			return -1;
		ip->tot_len = bpf_htons(sizeof(*ip) + header);
		ip->ttl = KM_TTL;
		ip->saddr = to->from[3];
		ip->daddr = to->to[3];
		ip->check = 0;
		ip->check = ~km_fold16((__u64)words4[0] + words4[1] + words4[2] + words4[3] + words4[4]);
		if (bpf_skb_store_bytes(skb, ETH_HLEN, ip, sizeof(*ip), BPF_F_INVALIDATE_HASH))
			return -1;
	}
	new->check = old->check;
	if (bpf_skb_store_bytes(skb, tcp, new, sizeof(struct tcphdr), 0))
		return -1;
	if (to->syn && bpf_skb_store_bytes(skb, tcp + sizeof(struct tcphdr), new->options, KM_SYN_OPTIONS, 0))
		return -1;
	if (bpf_l4_csum_replace(skb, tcp + offsetof(struct tcphdr, check), 0, km_fold32(words), 0))
		return -1;
	if (bpf_l4_csum_replace(skb, tcp + offsetof(struct tcphdr, check), 0, km_fold32(pseudo),
				BPF_F_PSEUDO_HDR))
		return -1;
	km_addr_copy(p->from, to->from);
	km_addr_copy(p->to, to->to);
	p->from_port = to->from_port;
	p->to_port = to->to_port;
	p->seq = to->seq;
	p->ack = to->ack;
	p->window = to->window;
	p->flags = to->flags;
	p->header = header;
	p->payload = 0;
	return 0;
}

/*
 * Writes the length of TCP header and payload, which was `before`, and what is summed of it, so that
 * km_translate() can go on from there. The payload's own sum is left alone.
 */
static __always_inline int km_change_length(struct __sk_buff *skb, struct km_packet *p, __u16 before,
					    __u16 after)
{
	const __u16 ip4 = sizeof(struct iphdr);
	__be16 old = bpf_htons(before), new = bpf_htons(after);

	if (bpf_l4_csum_replace(skb, p->tcp + offsetof(struct tcphdr, check), 0, (__u32) new + (__u16)~old,
				BPF_F_PSEUDO_HDR))
		return -1;
	if (p->ip6)
		return bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, payload_len), &new, 2, 0);
	old = bpf_htons(ip4 + before);
	new = bpf_htons(ip4 + after);
	if (bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct iphdr, tot_len), &new, 2, 0))
		return -1;
	if (bpf_l3_csum_replace(skb, ETH_HLEN + offsetof(struct iphdr, check), old, new, 2))
		return -1;
	return bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct iphdr, check), &p->check, sizeof(p->check));
}

/* Whether the checksum is left to the device: the field has the sum of the pseudo header then (RFC 9293
 * §3.1). */
static __always_inline bool km_sum_is_left(struct __sk_buff *skb, const struct km_packet *p)
{
	__u64 sum = bpf_htons(IPPROTO_TCP) + bpf_htons(p->header + p->payload);
	__u16 check;

	if (bpf_skb_load_bytes(skb, p->tcp + offsetof(struct tcphdr, check), &check, sizeof(check)))
		return false;
	return check == km_fold16(km_sum_addr(km_sum_addr(sum, p->from, p->ip6), p->to, p->ip6));
}

/*
 * Keeps `bytes` of the payload, and what one segment can have. Fails for a packet whose payload is summed
 * already: no local TCP behind a veth makes such, unless it was told to.
 */
__noinline int km_cut(struct __sk_buff *skb, __u32 bytes, __u32 mss)
{
	struct km_work *w = km_worked();
	__u32 header;
	__u8 flags;

	if (!w || !km_sum_is_left(skb, &w->p))
		return -1;
	if (bytes > mss)
		bytes = mss;
	if (bytes >= w->p.payload || bytes > 65535)
		return -1;
	header = w->p.header;
	if (bpf_skb_change_tail(skb, w->p.tcp + header + bytes, 0))
		return -1;
	if (km_change_length(skb, &w->p, header + w->p.payload, header + bytes))
		return -1;
	w->p.payload = bytes;
	w->p.flags &= ~KM_TCP_FIN;
	flags = w->p.flags;
	return bpf_skb_store_bytes(skb, w->p.tcp + KM_TCP_FLAGS_AT, &flags, sizeof(flags), 0);
}

#endif
