// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Runs the HTTP parsers over texts that come as packets, behind 14 bytes that tell what to do. */
#include "../include/km_http_head.h"

#define KM_TEST_ETHERNET 14

/* BTF for what the tests read out of packets and slots. */
struct km_test_http_parts {
	enum km_http_verdict verdict;
	enum km_http_body body;
	enum km_http_flags flags;
};

const volatile struct km_test_http_parts km_test_http_parts = {};

/* The head in the scratch slot of this CPU; the packet says its length, and whether it is a connection's
 * beginning. */
SEC("tc")
int km_test_http_slot(struct __sk_buff *skb)
{
	__u32 words[2] = {};

	bpf_skb_load_bytes(skb, 0, words, sizeof(words));
	return km_http_head(0, words[0], words[1]);
}

/* What a test run costs by itself. */
SEC("tc")
int km_test_http_nothing(struct __sk_buff *skb)
{
	__u32 words[2] = {};

	bpf_skb_load_bytes(skb, 0, words, sizeof(words));
	return words[0];
}

/* The head is the packet: its first four bytes say whether it is a connection's beginning. Leaves struct
 * km_http_head and struct km_route_request in its place. */
SEC("tc")
int km_test_http_head(struct __sk_buff *skb)
{
	struct km_route_scratch *scratch = km_route_slot(0);
	struct km_http_head head;
	__u32 first = 0;
	__u64 length;
	int verdict;

	if (!scratch || km_test_http_parts.verdict)
		return -1;
	bpf_skb_load_bytes(skb, 0, &first, sizeof(first));
	length = (__u64)skb->len - KM_TEST_ETHERNET;
	if (length > KM_ROUTE_MAX_HEAD)
		return -1;
	if (length) {
		__u64 last = length - 1;

		asm volatile("" : "+r"(last));
		last &= KM_ROUTE_MAX_HEAD - 1;
		asm volatile("" : "+r"(last));
		if (bpf_skb_load_bytes(skb, KM_TEST_ETHERNET, scratch->bytes, last + 1))
			return -1;
	}
	verdict = km_http_head(0, length, first);
	head = scratch->head;
	if (bpf_skb_change_tail(skb, KM_TEST_ETHERNET + sizeof(head) + sizeof(scratch->request), 0))
		return -1;
	bpf_skb_store_bytes(skb, KM_TEST_ETHERNET, &head, sizeof(head), 0);
	bpf_skb_store_bytes(skb, KM_TEST_ETHERNET + sizeof(head), &scratch->request, sizeof(scratch->request),
			    0);
	return verdict;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
