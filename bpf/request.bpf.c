// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What a spliced socket sends. Everything passes. */
#include "km_types.h"
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

/* A spliced connection as its client sees it. */
struct km_flow_key {
	__be32 client[KM_ADDR_WORDS];
	__be32 server[KM_ADDR_WORDS];
	__be16 client_port;
	__be16 server_port;
};

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 65536);
	__type(key, struct km_flow_key);
	__type(value, __u32);
} km_sock SEC(".maps");

/* clang-format off */
#define KM_ROUTE_TABLES(bits, entries)                                                                       \
	struct {                                                                                             \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                                    \
		__uint(max_entries, entries);                                                                \
		__type(key, __u32);                                                                          \
		__array(values, struct {                                                                     \
			__uint(type, BPF_MAP_TYPE_ARRAY);                                                    \
			__uint(max_entries, 1);                                                              \
			__uint(key_size, sizeof(__u32));                                                     \
			__uint(value_size, 1 << bits);                                                       \
		});                                                                                          \
	} km_route_##bits SEC(".maps")
/* clang-format on */

KM_ROUTE_TABLES(14, 4096);
KM_ROUTE_TABLES(22, 64);

SEC("sk_msg")
int km_request(struct sk_msg_md *msg)
{
	__u32 zero = 0;
	void *small = bpf_map_lookup_elem(&km_route_14, &zero);
	void *large = bpf_map_lookup_elem(&km_route_22, &zero);

	if (small && large)
		bpf_map_lookup_elem(small, &zero);
	return SK_PASS;
}
