/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Decides a request by a compiled route table (km_route.h). What calls it fills the request and the head's
 * bytes into a scratch slot, calls km_route_decide() and reads the result there.
 *
 * The work is cut into global functions, which the verifier checks once each however often they are called,
 * and which keep their state in the scratch slot: so it passes from 5.10 on, where there is no bpf_loop and
 * where global functions take no pointers. Each of them looks the blob up anew. A table that is replaced
 * meanwhile shows by its generation, and the decision starts over: a request sees the old table or the new
 * one.
 */
#ifndef KM_ROUTE_ENGINE_H
#define KM_ROUTE_ENGINE_H

#include "km_route_lookup.h"
#include "km_route_sets.h"
#include "km_source.h"

#define KM_ROUTE_MAX_RETRIES 4

/* One attempt; false when the table changed meanwhile. */
__noinline int km_route_attempt(__u32 slot, __u32 handle)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 base, first, second, third;
	struct km_route_blob blob;
	__u32 host, i;
	int route;

	if (!scratch)
		return 1;
	scratch->result.status = KM_ROUTE_NO_TABLE;
	if (!km_route_find(handle, &blob))
		return 1;
	scratch->result.status = KM_ROUTE_BAD_TABLE;
	if (blob.units[0] != ((__u64)KM_ROUTE_VERSION << 32 | KM_ROUTE_MAGIC))
		return 1;
	*(__u64 *)scratch->generation = blob.units[1];
	scratch->changed = 0;
	/* unit 4 is virtual_hosts and source_count */
	if (blob.units[4] >> 32 && scratch->workload)
		km_source_bits(blob.units[1], scratch->workload, scratch->request.source);
	first = blob.units[3];
	scratch->state = first;
	scratch->classes = first >> 32;
	/* unit 2 is bytes and virtual_host_count, 3 host_start and host_classes */
	km_route_text(scratch, scratch->request.host);
	if (km_route_run(slot, handle) == KM_ROUTE_WALK_LOST)
		return 0;
	scratch->result.status = KM_ROUTE_NO_VIRTUAL_HOST;
	host = km_route_output(scratch, &blob);
	if (!host)
		return 1;
	scratch->result.virtual_host = host - 1;
	scratch->result.status = KM_ROUTE_NO_ROUTE;
	base = (__u32)blob.units[4] + (__u64)(host - 1) * 3;
	first = km_route_unit(&blob, base);
	second = km_route_unit(&blob, base + 1);
	third = km_route_unit(&blob, base + 2);
	scratch->lookups = first >> 32;
	scratch->lookup_count = second >> 32;
	scratch->summary_words = third;
	if (!(third >> 32))
		return 1;
	if ((__u32)first && km_route_names(slot, handle, first) == KM_ROUTE_WALK_LOST)
		return 0;
	for (i = 0; i < KM_ROUTE_MAX_LOOKUPS; i++) {
		if (i >= scratch->lookup_count)
			break;
		if (km_route_look(slot, handle, i) == KM_ROUTE_WALK_LOST)
			return 0;
	}
	route = km_route_first(slot, handle);
	if (scratch->changed)
		return 0;
	if (route < 0)
		return 1;
	third = km_route_unit(&blob, (__u64)(__u32)second + (route >> 1));
	scratch->result.route = route;
	scratch->result.action = third >> ((route & 1) << 5);
	scratch->result.status = KM_ROUTE_FOUND;
	return 1;
}

/* Decides the request in a scratch slot. Returns an enum km_route_status, which is in its result as well. */
__noinline int km_route_decide(__u32 slot, __u32 handle)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u32 i;

	if (!scratch)
		return KM_ROUTE_NO_TABLE;
	scratch->bytes[KM_ROUTE_COMMA] = ',';
	for (i = 0; i < KM_ROUTE_MAX_RETRIES; i++) {
		if (km_route_attempt(slot, handle))
			return scratch->result.status;
	}
	scratch->result.status = KM_ROUTE_CHANGED;
	return KM_ROUTE_CHANGED;
}

#endif
