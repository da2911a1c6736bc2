// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Wrong on purpose: the verifier must refuse a map value that was not checked for NULL. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} km_test_refused SEC(".maps");

SEC("tc")
int km_test_unchecked(struct __sk_buff *skb)
{
	__u32 key = skb->len;
	__u64 *value = bpf_map_lookup_elem(&km_test_refused, &key);

	return *value;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
