// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Calls the balancer with numbers that come in a packet, behind its first 14 bytes. */
#include "../include/km_request_hash.h"

#define KM_TEST_ETHERNET 14
#define KM_TEST_MAX_HEAD 8192

struct km_test_pick {
	__u64 cluster;
	__u64 netns;
	__u64 avoid;
	__u64 endpoint; /* the answer */
	__u32 hash;
	__u32 pad;
};

struct km_test_hash {
	__u64 cluster;
	__u32 source;
	__u32 pad;
};

SEC("tc")
int km_test_pick(struct __sk_buff *skb)
{
	struct km_test_pick call;

	if (bpf_skb_load_bytes(skb, KM_TEST_ETHERNET, &call, sizeof(call)))
		return -1;
	call.endpoint = km_pick_endpoint(call.cluster, call.netns, call.hash, call.avoid);
	bpf_skb_store_bytes(skb, KM_TEST_ETHERNET, &call, sizeof(call), 0);
	return 0;
}

/* struct km_test_hash, struct km_route_request, the head's bytes. */
SEC("tc")
int km_test_hash(struct __sk_buff *skb)
{
	const __u32 request = KM_TEST_ETHERNET + sizeof(struct km_test_hash);
	const __u32 head = request + sizeof(struct km_route_request);
	struct km_route_scratch *scratch = km_route_slot(0);
	struct km_test_hash call;
	struct km_cluster *cluster;
	__u64 length;

	if (!scratch || bpf_skb_load_bytes(skb, KM_TEST_ETHERNET, &call, sizeof(call)))
		return -1;
	if (bpf_skb_load_bytes(skb, request, &scratch->request, sizeof(scratch->request)))
		return -1;
	length = (__u64)skb->len - head;
	if (length) {
		length -= 1;
		asm volatile("" : "+r"(length));
		length &= KM_TEST_MAX_HEAD - 1;
		asm volatile("" : "+r"(length));
		if (bpf_skb_load_bytes(skb, head, scratch->bytes, length + 1))
			return -1;
	}
	cluster = bpf_map_lookup_elem(&km_cluster, &call.cluster);
	return cluster ? km_hash_of_request(0, call.cluster, cluster, call.source) : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
