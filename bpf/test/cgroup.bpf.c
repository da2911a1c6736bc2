// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Two connect hooks to switch between, a map shared by name with maps.bpf.c, and an iterator over socket
 * storage. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct km_test_event {
	__u32 number;
	__u32 length;
	__u64 cookie;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} km_test_array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct km_test_event);
} km_test_storage SEC(".maps");

struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
} __attribute__((preserve_access_index));

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	void *value;
} __attribute__((preserve_access_index));

static __always_inline int count(struct bpf_sock_addr *ctx, __u32 slot)
{
	__u64 *counter = bpf_map_lookup_elem(&km_test_array, &slot);
	struct km_test_event *stored;

	if (counter)
		__sync_fetch_and_add(counter, 1);
	stored = bpf_sk_storage_get(&km_test_storage, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (stored) {
		stored->number = slot;
		stored->cookie = bpf_get_netns_cookie(ctx);
	}
	return 1;
}

SEC("cgroup/connect4")
int km_test_first(struct bpf_sock_addr *ctx)
{
	return count(ctx, 1);
}

SEC("cgroup/connect4")
int km_test_second(struct bpf_sock_addr *ctx)
{
	return count(ctx, 2);
}

SEC("iter/bpf_sk_storage_map")
int km_test_dump(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct km_test_event *value = ctx->value;

	if (value)
		bpf_seq_write(ctx->meta->seq, value, sizeof(*value));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
