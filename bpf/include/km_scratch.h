/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which scratch slot an sk_msg program may use. From 5.12 on such programs can preempt each other on one CPU;
 * each takes a slot of its CPU and gives it back. Below 5.12 slot 0 is always free.
 */
#ifndef KM_SCRATCH_H
#define KM_SCRATCH_H

#include "km_counters.h"
#include "km_route_engine.h"

#define KM_MAX_CPUS 1024

struct km_slots {
	struct bpf_spin_lock lock;
	__u32 taken; /* a bit a slot */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KM_MAX_CPUS);
	__type(key, __u32);
	__type(value, struct km_slots);
} km_slots SEC(".maps");

/* A slot, or KM_ROUTE_SLOTS when all are taken. */
static __always_inline __u32 km_slot_take(void)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct km_slots *slots = bpf_map_lookup_elem(&km_slots, &cpu);
	__u32 taken, slot;

	if (!slots)
		return KM_ROUTE_SLOTS;
	bpf_spin_lock(&slots->lock);
	taken = slots->taken;
	slot = !(taken & 1) ? 0 : !(taken & 2) ? 1 : !(taken & 4) ? 2 : !(taken & 8) ? 3 : KM_ROUTE_SLOTS;
	if (slot < KM_ROUTE_SLOTS)
		slots->taken = taken | 1 << slot;
	bpf_spin_unlock(&slots->lock);
	return slot;
}

static __always_inline void km_slot_give(__u32 slot)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct km_slots *slots = bpf_map_lookup_elem(&km_slots, &cpu);

	if (!slots || slot >= KM_ROUTE_SLOTS)
		return;
	bpf_spin_lock(&slots->lock);
	slots->taken &= ~(1 << slot);
	bpf_spin_unlock(&slots->lock);
}

#endif
