/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* TCP packets at TC: what hooks work on, and reading of headers and options. km_rewrite.h changes them. */
#ifndef KM_PACKET_H
#define KM_PACKET_H

#include "km_addr.h"
#include "km_flow.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>

#define KM_TCP_FIN 0x01
#define KM_TCP_SYN 0x02
#define KM_TCP_RST 0x04
#define KM_TCP_PSH 0x08
#define KM_TCP_ACK 0x10
/* Where they stand in the header. */
#define KM_TCP_FLAGS_AT 13

#define KM_IP_MORE_OR_OFFSET 0x3fff
#define KM_TTL		     64
#define KM_SYN_OPTIONS	     12

/* A packet as it was read. Numbers in host order, ports in network order. */
struct km_packet {
	__be32 from[KM_ADDR_WORDS];
	__be32 to[KM_ADDR_WORDS];
	__be16 from_port;
	__be16 to_port;
	__u32 seq;
	__u32 ack;
	__u32 payload; /* bytes */
	__u16 window;
	__u8 flags;
	__u8 header; /* bytes of the TCP header */
	__u8 tcp;    /* its offset */
	__u8 ip6;
	__be16 check; /* of the IPv4 header */
};

/* What a packet is made into. */
struct km_segment {
	__be32 from[KM_ADDR_WORDS];
	__be32 to[KM_ADDR_WORDS];
	__be16 from_port;
	__be16 to_port;
	__u32 seq;
	__u32 ack;
	__u16 window;
	__u8 flags;
	__u8 syn; /* has the options of a SYN */
	__u16 mss;
	__u8 scale; /* 0xff: none */
	__u8 sack;
	__u8 back; /* to an endpoint in the client's own pod */
};

/* MSS, window scale and SACK-permitted of a SYN. */
struct km_syn {
	__u16 mss;
	__u8 scale; /* 0xff: none */
	__u8 sack;
};

/* A TCP header with the options of a SYN. */
struct km_header {
	__be16 ports[2];
	__be32 seq;
	__be32 ack;
	__u8 offset;
	__u8 flags;
	__be16 window;
	__be16 check;
	__be16 urgent;
	__u8 options[KM_SYN_OPTIONS];
};

/* What km_translate() writes, in one piece: the end of the IP header and the beginning of the TCP header. */
struct km_rewrite4 {
	__u16 pad;
	__be16 check; /* from here on it is written */
	__be32 addresses[2];
	__be16 ports[2];
	__be32 seq;
	__be32 ack;
	__u8 offset;
	__u8 flags;
	__be16 window;
};

struct km_rewrite6 {
	__be32 addresses[8];
	__be16 ports[2];
	__be32 seq;
	__be32 ack;
	__u8 offset;
	__u8 flags;
	__be16 window;
};

/*
 * What a hook works on: the packet as it is, what it becomes, and whose it is. Per CPU, because TC programs
 * of one CPU do not interrupt each other, and because global functions, which the verifier checks once
 * instead of at each call, take no pointers on 5.10.
 */
struct km_work {
	struct km_packet p;
	struct km_segment to;
	struct km_syn syn;
	struct km_flow_key key; /* of the flow */
	struct km_flow_key wire;
	__u32 from_client;
	__u32 outside;		 /* the client is behind the device */
	__u32 device;		 /* to hand the packet over to; 0: it takes its way */
	__u32 cloning;		 /* a copy is being sent: hooks that it meets at once leave it alone */
	__u8 options[128];	 /* TCP options, followed by zeros */
	struct km_header before; /* km_make() */
	struct km_header after;
	struct km_rewrite4 rewrite4; /* km_translate() */
	struct km_rewrite6 rewrite6;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct km_work);
} km_work SEC(".maps");

static __always_inline struct km_work *km_worked(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&km_work, &zero);
}

/* One's complement sums (RFC 1071) in 64 bits; km_fold() makes 32 of them, as the helpers take. */
static __always_inline __u64 km_sum(__u64 sum, __u32 word)
{
	return sum + word;
}

static __always_inline __u32 km_fold32(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	return sum;
}

static __always_inline __u16 km_fold16(__u64 sum)
{
	__u32 folded = km_fold32(sum);

	folded = (folded & 0xffff) + (folded >> 16);
	folded = (folded & 0xffff) + (folded >> 16);
	return folded;
}

static __always_inline __u64 km_sum_addr(__u64 sum, const __be32 addr[KM_ADDR_WORDS], bool ip6)
{
	if (ip6) {
		sum += addr[0];
		sum += addr[1];
		sum += addr[2];
	}
	return sum + addr[3];
}

static __always_inline __u64 km_unsum_addr(__u64 sum, const __be32 addr[KM_ADDR_WORDS], bool ip6)
{
	if (ip6) {
		sum += (__u32)~addr[0];
		sum += (__u32)~addr[1];
		sum += (__u32)~addr[2];
	}
	return sum + (__u32)~addr[3];
}

/* Reads a TCP packet over Ethernet; false for anything else, for fragments, and behind IP options or
 * extension headers, which a local TCP does not send. */
static __always_inline bool km_packet_read(struct __sk_buff *skb, struct km_packet *p)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct tcphdr *tcp;
	__u32 l4, bytes;

	if ((void *)(eth + 1) + sizeof(struct iphdr) > end) {
		if (bpf_skb_pull_data(skb, ETH_HLEN + sizeof(struct iphdr) + sizeof(struct tcphdr)))
			return false;
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
		eth = data;
		if ((void *)(eth + 1) + sizeof(struct iphdr) > end)
			return false;
	}
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = (void *)(eth + 1);

		if (ip->protocol != IPPROTO_TCP || ip->ihl != 5 ||
		    ip->frag_off & bpf_htons(KM_IP_MORE_OR_OFFSET))
			return false;
		l4 = ETH_HLEN + sizeof(*ip);
		bytes = bpf_ntohs(ip->tot_len);
		bytes = bytes ? bytes - sizeof(*ip) : skb->len - l4;
		km_addr_from4(p->from, ip->saddr);
		km_addr_from4(p->to, ip->daddr);
		p->check = ip->check;
		p->ip6 = 0;
		tcp = (void *)(ip + 1);
		if ((void *)(tcp + 1) > end) {
			if (bpf_skb_pull_data(skb, l4 + sizeof(*tcp)))
				return false;
			data = (void *)(long)skb->data;
			end = (void *)(long)skb->data_end;
			tcp = data + ETH_HLEN + sizeof(*ip);
			if ((void *)(tcp + 1) > end)
				return false;
		}
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = (void *)(eth + 1);

		l4 = ETH_HLEN + sizeof(*ip);
		if ((void *)(ip + 1) + sizeof(*tcp) > end) {
			if (bpf_skb_pull_data(skb, l4 + sizeof(*tcp)))
				return false;
			data = (void *)(long)skb->data;
			end = (void *)(long)skb->data_end;
			ip = data + ETH_HLEN;
			if ((void *)(ip + 1) + sizeof(*tcp) > end)
				return false;
		}
		if (ip->nexthdr != IPPROTO_TCP)
			return false;
		bytes = bpf_ntohs(ip->payload_len);
		if (!bytes)
			bytes = skb->len - l4;
		__builtin_memcpy(p->from, &ip->saddr, sizeof(p->from));
		__builtin_memcpy(p->to, &ip->daddr, sizeof(p->to));
		p->ip6 = 1;
		tcp = (void *)(ip + 1);
	} else {
		return false;
	}
	p->tcp = l4;
	p->from_port = tcp->source;
	p->to_port = tcp->dest;
	p->seq = bpf_ntohl(tcp->seq);
	p->ack = bpf_ntohl(tcp->ack_seq);
	p->window = bpf_ntohs(tcp->window);
	p->flags = ((__u8 *)tcp)[KM_TCP_FLAGS_AT];
	p->header = tcp->doff * 4;
	p->payload = bytes - p->header;
	return p->header >= sizeof(*tcp) && bytes >= p->header;
}

#define KM_MAX_OPTIONS 40

/* Loads the packet's TCP options; false when there are none. */
static __always_inline bool km_load_options(struct __sk_buff *skb, struct km_work *w)
{
	__u64 length = w->p.header;

	if (length <= sizeof(struct tcphdr) || length > sizeof(struct tcphdr) + KM_MAX_OPTIONS)
		return false;
	length -= sizeof(struct tcphdr) + 1;
	asm volatile("" : "+r"(length));
	length &= 63;
	asm volatile("" : "+r"(length));
	__builtin_memset(w->options, 0, 64);
	return !bpf_skb_load_bytes(skb, w->p.tcp + sizeof(struct tcphdr), w->options, length + 1);
}

/* Options are at most so many; each turn of a walk over them is one. */
#define KM_OPTION_TURNS 20

/* Where the next option stands; 0: this was the last. */
static __always_inline __u64 km_next_option(const struct km_work *w, __u64 at)
{
	__u8 kind, size;

	at &= 63;
	kind = w->options[at];
	if (kind == 0)
		return 0;
	if (kind == 1)
		return at + 1;
	size = w->options[at + 1];
	return size < 2 ? 0 : at + size;
}

/* Adds `shift` to the edges of SACK blocks (RFC 2018), the only option of packets without timestamps. */
__noinline int km_shift_sack(struct __sk_buff *skb, __u32 shift)
{
	struct km_work *w = km_worked();
	__u64 at = 0;
	__u32 i, j, tcp;

	if (!w || !km_load_options(skb, w))
		return 0;
	tcp = w->p.tcp;
	for (i = 0; i < KM_OPTION_TURNS && w->options[at & 63] != 5; i++) {
		at = km_next_option(w, at);
		if (!at)
			return 0;
	}
	at &= 63;
	if (w->options[at] != 5)
		return 0;
	for (j = 0; j < 8; j++) {
		__u32 size = w->options[at + 1];
		__u32 place = tcp + sizeof(struct tcphdr) + at + 2 + j * 4;
		__be32 old, new, a, b;

		if (j * 4 + 2 >= size)
			return 0;
		if (bpf_skb_load_bytes(skb, place, &old, sizeof(old)))
			return -1;
		new = bpf_htonl(bpf_ntohl(old) + shift);
		a = old;
		b = new;
		/* An edge may stand at an odd offset: there its bytes count the other way round (RFC 1071).
		 */
		if ((place - tcp) & 1) {
			a = (old & 0x00ff00ff) << 8 | (old >> 8 & 0x00ff00ff);
			b = (new & 0x00ff00ff) << 8 | (new >> 8 & 0x00ff00ff);
		}
		if (bpf_l4_csum_replace(skb, tcp + offsetof(struct tcphdr, check), a, b, 4) ||
		    bpf_skb_store_bytes(skb, place, &new, sizeof(new), 0))
			return -1;
	}
	return 0;
}

/* Reads the options of a SYN into the work area. */
__noinline int km_read_syn(struct __sk_buff *skb)
{
	struct km_work *w = km_worked();
	struct km_syn *syn;
	__u64 at = 0;
	__u32 i;

	if (!w)
		return -1;
	syn = &w->syn;
	syn->mss = 536;
	syn->scale = 0xff;
	syn->sack = 0;
	if (!km_load_options(skb, w))
		return 0;
	for (i = 0; i < KM_OPTION_TURNS; i++) {
		__u8 kind = w->options[at & 63];

		if (kind == 2)
			syn->mss = w->options[(at & 63) + 2] << 8 | w->options[(at & 63) + 3];
		else if (kind == 3)
			syn->scale = w->options[(at & 63) + 2] > 14 ? 14 : w->options[(at & 63) + 2];
		else if (kind == 4)
			syn->sack = 1;
		at = km_next_option(w, at);
		if (!at)
			return 0;
	}
	return 0;
}

#endif
