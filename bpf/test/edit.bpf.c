// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Changes heads and makes answers of what user space put into scratch slot 0 of every CPU. Each program takes
 * its arguments from a packet, behind 16 bytes, and leaves behind them the CPU on which it ran, whose km_out
 * has the text. */
#include "../include/km_reply_action.h"

struct km_test_arguments {
	__u32 handle;
	__u32 unit; /* of edits or action */
	__u32 status;
	__u32 close;
};

/* BTF for what the test writes. */
struct km_test_records {
	struct km_route_scratch scratch;
	struct km_out out;
	struct km_action action;
	struct km_edit edit;
	enum km_edit_kind edit_kind;
	enum km_action_kind action_kind;
};

const volatile struct km_test_records *km_test_parts = 0;

#define KM_TEST_PLACE 16

static __always_inline void km_test_load(struct __sk_buff *skb, struct km_test_arguments *arguments)
{
	__u32 cpu = bpf_get_smp_processor_id();

	__builtin_memset(arguments, 0, sizeof(*arguments));
	if (km_test_parts)
		return;
	bpf_skb_load_bytes(skb, KM_TEST_PLACE, arguments, sizeof(*arguments));
	bpf_skb_store_bytes(skb, KM_TEST_PLACE + sizeof(*arguments), &cpu, sizeof(cpu), 0);
}

SEC("tc")
int km_test_edit(struct __sk_buff *skb)
{
	struct km_test_arguments arguments;

	km_test_load(skb, &arguments);
	return km_edit_head(0, arguments.handle, arguments.unit);
}

SEC("tc")
int km_test_reply(struct __sk_buff *skb)
{
	struct km_test_arguments arguments;

	km_test_load(skb, &arguments);
	return km_reply(0, arguments.status, arguments.close);
}

SEC("tc")
int km_test_reply_action(struct __sk_buff *skb)
{
	struct km_test_arguments arguments;

	km_test_load(skb, &arguments);
	return km_reply_action(0, arguments.handle, arguments.unit, arguments.close);
}

SEC("tc")
int km_test_connect_failed(struct __sk_buff *skb)
{
	struct km_test_arguments arguments;

	km_test_load(skb, &arguments);
	return km_reply_connect_failed(0);
}

/* Writes the answer straight into the packet. */
SEC("tc")
int km_test_copy_connect_failed(struct __sk_buff *skb)
{
	__u8 *data = (__u8 *)(long)skb->data;

	if (data + KM_TEST_PLACE + KM_CONNECT_FAILED_BYTES > (__u8 *)(long)skb->data_end)
		return -1;
	km_copy_connect_failed(data + KM_TEST_PLACE);
	return KM_CONNECT_FAILED_BYTES;
}

/* What a test run costs by itself. */
SEC("tc")
int km_test_nothing(struct __sk_buff *skb)
{
	struct km_test_arguments arguments;

	km_test_load(skb, &arguments);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
