// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* One map of each kind that Kmesh uses, and a TC program that writes some of them. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

enum km_test_colour {
	KM_TEST_COLOUR_RED,
	KM_TEST_COLOUR_GREEN,
	KM_TEST_COLOUR_BLUE = 7,
};

struct km_test_key {
	__be32 addr[4];
	__be16 port;
	__u8 protocol;
	__u8 pad;
};

struct km_test_part {
	__u16 low;
	__u16 high;
};

struct km_test_value {
	struct bpf_spin_lock lock;
	enum km_test_colour colour;
	__u64 bytes;
	__s64 delta;
	char name[16];
	__u8 mac[6];
	struct km_test_part parts[2];
	__u64 totals[2];
	_Bool ready;
};

struct km_test_counter {
	__u64 packets;
	__u32 errors;
};

struct km_test_event {
	__u32 number;
	__u32 length;
	__u64 cookie;
};

/* A key with padding in the middle: what the daemon leaves there decides whether it is found. */
struct km_test_gap_key {
	__u8 kind;
	__u64 id;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 100000);
	__type(key, struct km_test_key);
	__type(value, struct km_test_value);
} km_test_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, struct km_test_gap_key);
	__type(value, __u32);
} km_test_small SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} km_test_lru SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} km_test_array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct km_test_counter);
} km_test_percpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} km_test_percpu_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct km_test_event);
} km_test_storage SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} km_test_sockets SEC(".maps");

struct km_test_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, __u32);
	__array(values, struct km_test_inner);
} km_test_outer SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} km_test_ring SEC(".maps");

const volatile __u32 km_test_answer = 1;
const volatile __u64 km_test_big;
const volatile __u8 km_test_mode;

/* Writes a record whose length is the packet's first two bytes, and answers what it was told at load time. */
SEC("tc")
int km_test_record(struct __sk_buff *skb)
{
	static __u32 number;
	struct km_test_counter *counter;
	struct km_test_event *event;
	__u32 zero = 0;

	counter = bpf_map_lookup_elem(&km_test_percpu, &zero);
	if (!counter)
		return -1;
	counter->packets++;
	if (skb->len > 200)
		event = bpf_ringbuf_reserve(&km_test_ring, 300, 0);
	else
		event = bpf_ringbuf_reserve(&km_test_ring, sizeof(*event), 0);
	if (!event) {
		counter->errors++;
		return km_test_answer;
	}
	event->number = number++;
	event->length = skb->len;
	event->cookie = km_test_big + km_test_mode;
	/* Every fifth is thrown away: the reader must pass over it. */
	if (event->number % 5 == 4)
		bpf_ringbuf_discard(event, BPF_RB_NO_WAKEUP);
	else
		bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return km_test_answer;
}

/* A second program for links to be switched to. */
SEC("tc")
int km_test_count(struct __sk_buff *skb)
{
	__u32 one = 1;
	struct km_test_counter *counter = bpf_map_lookup_elem(&km_test_percpu, &one);

	if (counter)
		counter->packets++;
	return -1;
}

SEC("sk_msg")
int km_test_message(struct sk_msg_md *msg)
{
	return SK_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
