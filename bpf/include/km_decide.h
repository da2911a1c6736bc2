/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* From a request's head to what is done with it: listener, route, action, cluster. */
#ifndef KM_DECIDE_H
#define KM_DECIDE_H

#include "km_action.h"
#include "km_balance.h"
#include "km_flow.h"
#include "km_route_engine.h"

#define KM_DEFAULT_RETRIES 2 /* other endpoints for a request that no route was written for */

enum km_decided {
	KM_DECIDED_FORWARD = 0,
	KM_DECIDED_STATUS = 1, /* a reply of our own: status and reason */
	KM_DECIDED_ACTION = 2, /* a redirect or a reply that the route's action says */
};

struct km_decision {
	struct km_found_listener listening;
	__u64 cluster;
	__u32 action; /* unit in the table's blob */
	__u32 edits;
	__u32 route;
	__u32 virtual_host;
	__u16 status;
	__u8 kind; /* enum km_decided */
	__u8 reason;
	__u8 retries;
	__u8 has_route;
	__u8 answer_slot; /* 1 + index in km_answers; 0: none */
	__u8 pad;
	__u32 answer; /* struct km_answer, 0: none */
	__u32 pad2;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KM_ROUTE_SLOTS);
	__type(key, __u32);
	__type(value, struct km_decision);
} km_decision SEC(".maps");

static __always_inline struct km_decision *km_decision_slot(__u32 slot)
{
	return bpf_map_lookup_elem(&km_decision, &slot);
}

static __always_inline int km_decide_status(struct km_decision *d, __u16 status, __u8 reason)
{
	d->kind = KM_DECIDED_STATUS;
	d->status = status;
	d->reason = reason;
	return 0;
}

/* Reads the action that was found. 1: the table changed meanwhile. */
__noinline int km_decide_action(__u32 slot, __u32 handle)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_decision *d = km_decision_slot(slot);
	__u64 first, second, third, fourth, fifth, unit;
	__u32 total, draw, splits, i, count;
	struct km_route_blob blob;

	if (!scratch || !d)
		return 0;
	if (!km_route_same(scratch, handle, &blob))
		return 1;
	d->route = scratch->result.route;
	d->virtual_host = scratch->result.virtual_host;
	d->has_route = 1;
	unit = scratch->result.action;
	d->action = unit;
	/* struct km_action: kind, retries, status, abort_share; abort_status, split_count, split_total;
	 * splits, edits. */
	first = km_route_unit(&blob, unit);
	second = km_route_unit(&blob, unit + 1);
	third = km_route_unit(&blob, unit + 2);
	d->retries = first >> 8;
	if (first >> 32 && bpf_get_prandom_u32() % KM_ROUTE_MILLION < first >> 32)
		return km_decide_status(d, second, KM_REASON_FAULT);
	d->status = first >> 16;
	if ((first & 0xff) != KM_ACTION_FORWARD) {
		d->kind = KM_DECIDED_ACTION;
		return 0;
	}
	d->kind = KM_DECIDED_FORWARD;
	splits = third;
	count = second >> 16 & 0xffff;
	total = second >> 32;
	draw = count > 1 && total ? bpf_get_prandom_u32() % total : 0;
	for (i = 0; i < KM_ACTION_MAX_SPLITS; i++) {
		fourth = km_route_unit(&blob, (__u64)splits + i * 3 + 1);
		if (draw < (__u32)fourth || i + 1 >= count)
			break;
	}
	i = (i & (KM_ACTION_MAX_SPLITS - 1)) * 3;
	d->cluster = km_route_unit(&blob, (__u64)splits + i);
	d->edits = fourth >> 32;
	fifth = km_route_unit(&blob, (__u64)splits + i + 2);
	d->answer = fifth;
	/* As Envoy's cluster_not_found_response_code for routes of the Gateway API. */
	if (!d->cluster) {
		d->cluster = d->listening.cluster;
		return km_decide_status(d, 500, KM_REASON_NO_CLUSTER);
	}
	return 0;
}

/* Decides the request in a scratch slot, whose flow asked for `listening`. The result is in the slot's
 * decision. Inlined: eight frames of calls are too deep. */
static __always_inline int km_decide_request(__u32 slot)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_decision *d = km_decision_slot(slot);
	__u32 routes, i;

	if (!scratch || !d)
		return -1;
	d->kind = KM_DECIDED_FORWARD;
	d->cluster = d->listening.cluster;
	d->retries = KM_DEFAULT_RETRIES;
	d->edits = 0;
	d->answer = 0;
	d->answer_slot = 0;
	d->reason = KM_REASON_NONE;
	d->has_route = 0;
	d->status = 0;
	routes = d->listening.routes;
	if (!d->cluster)
		return km_decide_status(d, 404, KM_REASON_NO_ROUTE);
	if (!routes)
		return 0;
	scratch->request.random = KM_ROUTE_NO_DRAW;
	for (i = 0; i < KM_ROUTE_MAX_RETRIES; i++) {
		int status = km_route_decide(slot, routes);

		if (status == KM_ROUTE_NO_VIRTUAL_HOST || status == KM_ROUTE_NO_ROUTE)
			return km_decide_status(d, 404, KM_REASON_NO_ROUTE);
		if (status != KM_ROUTE_FOUND)
			break;
		if (!km_decide_action(slot, routes))
			return 0;
	}
	return km_decide_status(d, 503, KM_REASON_NO_ROUTE);
}

#endif
