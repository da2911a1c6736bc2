// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Replaces the heads of messages as each message's first bytes ask for. */
#include "../include/km_msg_copy.h"

#define KM_TEST_MAGIC 0x4b4d5347

enum km_test_mode {
	KM_TEST_REPLACE = 0,
	KM_TEST_APART = 1,  /* as when there is no memory to join the new head */
	KM_TEST_BEFORE = 2, /* as where pop_data does not reach the message's end */
};

/* Stands at a message's beginning. */
struct km_test_ask {
	__u32 magic;
	__u32 mode;
	__u32 head_bytes;
	__u32 out_bytes; /* of the new head, which is the old one over and over */
	__u32 whole;	 /* bytes that must be there before anything is done */
};

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, __u64);
} km_test_sockets SEC(".maps");

enum km_test_count {
	KM_TEST_RUNS = 0,
	KM_TEST_CORKED = 1,
	KM_TEST_REPLACED = 2,
	KM_TEST_FAILED = 3,
	KM_TEST_JOINED = 4, /* heads that came in more than one element */
	KM_TEST_COUNTS = 5,
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KM_TEST_COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} km_test_counts SEC(".maps");

static __always_inline void km_test_count(__u32 index)
{
	__u64 *count = bpf_map_lookup_elem(&km_test_counts, &index);

	if (count)
		__sync_fetch_and_add(count, 1);
}

SEC("sockops")
int km_test_sockops(struct bpf_sock_ops *ops)
{
	__u64 cookie;

	if (ops->op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
		return 1;
	cookie = bpf_get_socket_cookie(ops);
	bpf_sock_hash_update(ops, &km_test_sockets, &cookie, BPF_ANY);
	return 1;
}

static __always_inline int km_test_replace(struct sk_msg_md *m, const struct km_test_ask *ask)
{
	struct km_out *out = km_out_slot(0);
	__u32 head = ask->head_bytes;
	__u32 left = ask->out_bytes;
	int i;

	if (!out)
		return -1;
	out->bytes = 0;
	for (i = 0; i < 128 && left; i++) {
		__u32 part = left < head ? left : head;

		if (km_out_long_head(0, 0, part))
			return -1;
		left -= part;
	}
	if (ask->mode == KM_TEST_REPLACE)
		return km_msg_replace_head(m, 0, head);
	if (ask->mode == KM_TEST_BEFORE) {
		if (bpf_msg_push_data(m, 0, ask->out_bytes, 0) || bpf_msg_pop_data(m, 0, head, 0))
			return -1;
		return km_msg_write(m, 0, 0, ask->out_bytes);
	}
	if (ask->out_bytes <= head || bpf_msg_push_data(m, 0, ask->out_bytes - head, 0))
		return -1;
	return km_msg_write_apart(m, 0, ask->out_bytes - head, ask->out_bytes);
}

SEC("sk_msg")
int km_test_msg(struct sk_msg_md *m)
{
	struct km_route_scratch *scratch = km_route_slot(0);
	struct km_test_ask ask;
	__u64 data, end;

	km_test_count(KM_TEST_RUNS);
	if (!scratch || m->size < sizeof(ask))
		return SK_PASS;
	if (km_msg_read(m, 0, sizeof(ask)))
		return SK_DROP;
	__builtin_memcpy(&ask, scratch->bytes, sizeof(ask));
	if (ask.magic != KM_TEST_MAGIC)
		return SK_PASS;
	if (m->size < ask.whole) {
		km_test_count(KM_TEST_CORKED);
		bpf_msg_cork_bytes(m, ask.whole);
		return SK_PASS;
	}
	bpf_msg_cork_bytes(m, 0);
	bpf_msg_pull_data(m, 0, 1, 0);
	data = (__u64)m->data;
	asm volatile("" : "+r"(data)::"memory");
	if (km_msg_read(m, 0, ask.head_bytes)) {
		km_test_count(KM_TEST_FAILED);
		return SK_DROP;
	}
	end = (__u64)m->data;
	if (data != end)
		km_test_count(KM_TEST_JOINED);
	if (km_test_replace(m, &ask)) {
		km_test_count(KM_TEST_FAILED);
		return SK_DROP;
	}
	km_test_count(KM_TEST_REPLACED);
	return SK_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
