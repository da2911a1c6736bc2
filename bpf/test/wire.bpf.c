// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* A bad wire for the lab: of a device's TCP packets some are lost, and some of those that go out are handed
 * to a process that sends them later (test/lab/clients/late.py), so that they overtake each other. What netem
 * does, where the kernel has none. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define KM_TEST_MILLION 1000000
#define KM_TEST_MARK	0x6b6d /* of packets that were late already */

struct km_test_wire {
	__u32 lose;   /* millionths */
	__u32 hold;   /* millionths; outgoing only */
	__u32 device; /* where held packets go: loopback */
	__u16 port;   /* either end's, host byte order; 0: any */
	__u16 pad;
};

struct km_test_wire_count {
	__u64 seen;
	__u64 lost;
	__u64 held;
};

/* 0: incoming, 1: outgoing */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct km_test_wire);
} km_test_wire SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct km_test_wire_count);
} km_test_wire_count SEC(".maps");

/* Offset of the TCP header, or 0. */
static __always_inline __u32 tcp_offset(struct __sk_buff *skb)
{
	struct ipv6hdr v6;
	struct iphdr v4;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, ETH_HLEN, &v4, sizeof(v4)) || v4.protocol != IPPROTO_TCP)
			return 0;
		return ETH_HLEN + v4.ihl * 4;
	}
	if (skb->protocol != bpf_htons(ETH_P_IPV6) || bpf_skb_load_bytes(skb, ETH_HLEN, &v6, sizeof(v6)))
		return 0;
	return v6.nexthdr == IPPROTO_TCP ? ETH_HLEN + sizeof(v6) : 0;
}

static __always_inline int wire(struct __sk_buff *skb, __u32 direction)
{
	struct km_test_wire *w = bpf_map_lookup_elem(&km_test_wire, &direction);
	struct km_test_wire_count *count = bpf_map_lookup_elem(&km_test_wire_count, &direction);
	__u32 offset = tcp_offset(skb), dice;
	__be16 ports[2];

	if (!w || !count || !offset || skb->mark == KM_TEST_MARK)
		return TC_ACT_UNSPEC;
	if (bpf_skb_load_bytes(skb, offset, ports, sizeof(ports)))
		return TC_ACT_UNSPEC;
	if (w->port && ports[0] != bpf_htons(w->port) && ports[1] != bpf_htons(w->port))
		return TC_ACT_UNSPEC;
	count->seen++;
	dice = bpf_get_prandom_u32() % KM_TEST_MILLION;
	if (dice < w->lose) {
		count->lost++;
		/* A packet that is shot on the way out is an error of the device, which the sender's TCP is
		 * told: it would try again without a loss. Stolen is lost. */
		return direction ? TC_ACT_STOLEN : TC_ACT_SHOT;
	}
	if (dice < w->lose + w->hold) {
		count->held++;
		return bpf_redirect(w->device, 0);
	}
	return TC_ACT_UNSPEC;
}

SEC("tc")
int km_test_wire_in(struct __sk_buff *skb)
{
	return wire(skb, 0);
}

SEC("tc")
int km_test_wire_out(struct __sk_buff *skb)
{
	return wire(skb, 1);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
