// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Steps the route engine over a request that comes as a packet: 14 bytes that begin with the table's handle,
 * the id of the workload that sends, struct km_route_request, the head's bytes. */
#include "../include/km_action.h"
#include "../include/km_route_engine.h"

#define KM_TEST_ETHERNET 14
#define KM_TEST_MAX_HEAD 4096

/* BTF for the parts of the blob, which the test compares with the compiler's numbers. */
struct km_test_blob_parts {
	struct km_route_header header;
	struct km_route_virtual_host virtual_host;
	struct km_route_lookup lookup;
	struct km_route_names names;
	enum km_route_field field;
	enum km_route_status status;
	struct km_action action;
	struct km_split split;
	struct km_edit edit;
	enum km_action_kind action_kind;
	enum km_edit_kind edit_kind;
	struct km_answer answer; /* the last: its units have no number */
};

const volatile struct km_test_blob_parts km_test_parts = {};

static __always_inline __u32 km_test_handle(struct __sk_buff *skb)
{
	__u32 handle = 0;

	bpf_skb_load_bytes(skb, 0, &handle, sizeof(handle));
	return handle;
}

/* Leaves struct km_route_result in front of the packet, behind its first 14 bytes. */
SEC("tc")
int km_test_route(struct __sk_buff *skb)
{
	const __u32 head = KM_TEST_ETHERNET + sizeof(struct km_route_request);
	struct km_route_scratch *scratch = km_route_slot(0);
	struct km_route_result result;
	__u64 length;

	if (!scratch || km_test_parts.header.magic)
		return -1;
	if (bpf_skb_load_bytes(skb, 4, &scratch->workload, sizeof(scratch->workload)))
		return -1;
	if (bpf_skb_load_bytes(skb, KM_TEST_ETHERNET, &scratch->request, sizeof(scratch->request)))
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
	km_route_decide(0, km_test_handle(skb));
	result = scratch->result;
	bpf_skb_store_bytes(skb, KM_TEST_ETHERNET, &result, sizeof(result), 0);
	return result.status;
}

/* Decides the request that user space put into the scratch slot of this CPU. */
SEC("tc")
int km_test_route_slot(struct __sk_buff *skb)
{
	return km_route_decide(0, km_test_handle(skb));
}

/* What a test run costs by itself. */
SEC("tc")
int km_test_nothing(struct __sk_buff *skb)
{
	return km_test_handle(skb);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
