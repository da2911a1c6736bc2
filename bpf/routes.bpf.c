// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Says which route tables there are. Never attached: the daemon runs it by hand. A look-up by bpf(2) in a map
 * of maps waits for all readers below 6.8, some milliseconds each, and would copy the whole table.
 */
#include "km_route.h"
#include "km_route_tables.h"
#include "km_source.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* A table's generation; 0: there is none, all ones: it is not one that this version reads. */
__noinline __u64 km_route_generation(__u32 handle)
{
	struct km_route_blob blob;

	if (!km_route_find(handle, &blob))
		return 0;
	if (blob.units[0] != ((__u64)KM_ROUTE_VERSION << 32 | KM_ROUTE_MAGIC))
		return ~0ULL;
	return blob.units[1];
}

/* A function of its own: by a branch in the loop 5.10 would follow each value of the bits. */
__noinline __u32 km_route_is_there(__u32 handle)
{
	return km_route_generation(handle) != 0;
}

/* The packet is struct km_route_question. */
SEC("tc")
int km_route_places(struct __sk_buff *skb)
{
	struct km_route_question question;
	__u32 i;

	if (bpf_skb_load_bytes(skb, 0, &question, sizeof(question)))
		return -1;
	question.generation = km_route_generation(question.handle);
	question.taken = 0;
	for (i = 0; i < question.places && i < 64; i++)
		question.taken |= (__u64)km_route_is_there(question.handle + i) << i;
	return bpf_skb_store_bytes(skb, 0, &question, sizeof(question), 0);
}
