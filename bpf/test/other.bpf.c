// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Says otherwise than maps.bpf.c about a map and a struct of the same names. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct km_test_counter {
	__u64 packets;
	__u64 errors;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct km_test_counter);
} km_test_array SEC(".maps");

SEC("tc")
int km_test_other(struct __sk_buff *skb)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&km_test_array, &key) ? 1 : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
