/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which scratch slot an sk_msg program may use. From 5.12 on such programs can preempt each other on one CPU;
 * each takes a slot of its CPU and gives it back.
 *
 * A slot is taken by adding one to its count and finding one there: whoever comes while it is held finds
 * more, and two who come at once may both go on to the next slot, but never both have it. A spin lock would
 * cost four times as much, and programs of sockhashes may not preempt one another often.
 */
#ifndef KM_SCRATCH_H
#define KM_SCRATCH_H

#include "km_counters.h"
#include "km_route_scratch.h"

struct km_slots {
	__u64 taken[KM_ROUTE_SLOTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct km_slots);
} km_slots SEC(".maps");

static __always_inline struct km_slots *km_slots_here(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&km_slots, &zero);
}

/*
 * A slot, or KM_ROUTE_SLOTS when all are taken. A function of its own, so that the verifier reads what comes
 * then once, and not once for each slot.
 */
__noinline __u32 km_slot_take(void)
{
	struct km_slots *slots = km_slots_here();
	__u32 slot;

	if (!slots)
		return KM_ROUTE_SLOTS;
	for (slot = 0; slot < KM_ROUTE_SLOTS; slot++) {
		__u64 *taken = &slots->taken[slot];

		__sync_fetch_and_add(taken, 1);
		if (*(volatile __u64 *)taken == 1)
			return slot;
		__sync_fetch_and_add(taken, -1);
	}
	return KM_ROUTE_SLOTS;
}

static __always_inline void km_slot_give(__u32 slot)
{
	struct km_slots *slots = km_slots_here();

	km_route_opaque(slot);
	if (slots)
		__sync_fetch_and_add(&slots->taken[slot & (KM_ROUTE_SLOTS - 1)], -1);
}

#endif
