/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What is counted of a connection, and where: per pair of workloads, per endpoint, and one event for the
 * access log. */
#ifndef KM_OBSERVE_H
#define KM_OBSERVE_H

#include "km_addr.h"
#include "km_config.h"
#include "km_conn.h"
#include "km_counters.h"
#include "km_endpoint_stats.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct km_traffic_key);
	__type(value, struct km_traffic);
} km_traffic SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1048576); /* bytes */
} km_event SEC(".maps");

#define KM_NS_PER_US 1000

static __always_inline struct km_traffic *km_traffic_of(const struct km_conn *conn, __u8 reason)
{
	struct km_traffic_key key = {
		.source = conn->source,
		.destination = conn->destination,
		.cluster = conn->cluster,
		.direction = conn->direction,
		.reason = reason,
	};
	struct km_traffic *traffic = bpf_map_lookup_elem(&km_traffic, &key);
	struct km_traffic zero = {};

	if (traffic)
		return traffic;
	bpf_map_update_elem(&km_traffic, &key, &zero, BPF_NOEXIST);
	traffic = bpf_map_lookup_elem(&km_traffic, &key);
	if (!traffic)
		km_count(KM_COUNTER_TRAFFIC_LOST);
	return traffic;
}

/* An event filled with what the socket's record knows; the caller adds the rest and submits it. NULL: log is
 * off or full. */
static __always_inline struct km_event *km_event_of(const struct km_conn *conn, __u64 now)
{
	struct km_config *config = km_switches();
	struct km_event *event;

	if (!config || !config->access_log)
		return NULL;
	event = bpf_ringbuf_reserve(&km_event, sizeof(*event), 0);
	if (!event) {
		km_count(KM_COUNTER_EVENT_LOST);
		return NULL;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->time_ns = now;
	event->start_ns = conn->start_ns;
	event->source = conn->source;
	event->destination = conn->destination;
	event->cluster = conn->cluster;
	km_addr_copy(event->asked_addr, conn->asked_addr);
	km_addr_copy(event->real_addr, conn->real_addr);
	event->asked_port = conn->asked_port;
	event->real_port = conn->real_port;
	event->direction = conn->direction;
	event->reason = conn->reason;
	return event;
}

/* The daemon polls: a wake-up for each connection would cost more than the record. */
static __always_inline void km_event_submit(struct km_event *event)
{
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

#endif
