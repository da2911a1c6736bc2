/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A request and its answer: when it begins, where it goes, how it ends; counted once, at its end. */
#ifndef KM_EXCHANGE_H
#define KM_EXCHANGE_H

#include "km_balance.h"
#include "km_config.h"
#include "km_counters.h"
#include "km_flow.h"
#include "km_observe.h"
#include "km_walk.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 131072);
	__type(key, struct km_requests_key);
	__type(value, struct km_requests);
} km_requests SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4194304); /* bytes */
} km_request_event SEC(".maps");

static __always_inline void km_answer_begin(struct km_flow *f, __u32 rcv_start)
{
	__builtin_memset(&f->answer, 0, sizeof(f->answer));
	if (f->now.flags & KM_HTTP_HEAD)
		f->answer.flags = KM_RESPONSE_NO_BODY;
	if (f->now.flags & KM_HTTP_CONNECT)
		f->answer.flags |= KM_RESPONSE_TUNNEL;
	f->answer_seq = rcv_start;
}

/* Answers that the current half owes. A request behind a kick is not with it yet. */
static __always_inline __u32 km_owed(const struct km_flow *f)
{
	return (f->flags & KM_FLOW_KICK ? f->kick_after : f->asked) - f->answered;
}

/* The endpoint has a request. */
static __always_inline void km_exchange_active(struct km_exchange *e)
{
	__u64 endpoint = e->endpoint;
	struct km_endpoint_stats *stats = bpf_map_lookup_elem(&km_endpoint_stats, &endpoint);

	e->active = 1;
	if (stats) {
		__sync_fetch_and_add(&stats->active, 1);
		__sync_fetch_and_add(&stats->requests, 1);
	}
}

/* A half takes the request that waits. */
static __always_inline void km_exchange_moved(struct km_flow *f, const struct km_half *half)
{
	f->next.endpoint = half->endpoint;
	f->next.destination = half->destination;
}

/* Indices of Istio's bounds: 0.5, 1, 5, 10, 25, 50, 100, 250, 500 ms, 1, 2.5, 5, 10, 30, 60 s, 5, 10, 30 min,
 * 1 h. */
static __always_inline __u32 km_duration_bucket(__u64 us)
{
	if (us <= 10000)
		return us <= 1000 ? us > 500 : us <= 5000 ? 2 : 3;
	if (us <= 250000)
		return us <= 50000 ? (us <= 25000 ? 4 : 5) : us <= 100000 ? 6 : 7;
	if (us <= 5000000)
		return us <= 1000000 ? (us <= 500000 ? 8 : 9) : us <= 2500000 ? 10 : 11;
	if (us <= 60000000)
		return us <= 30000000 ? (us <= 10000000 ? 12 : 13) : 14;
	if (us <= 600000000)
		return us <= 300000000 ? 15 : 16;
	return us <= 1800000000ULL ? 17 : us <= 3600000000ULL ? 18 : 19;
}

static __noinline int km_exchange_count(struct km_flow *f, const struct km_flow_key *key,
					struct km_exchange *e, const struct km_exchange_text *text,
					__u64 response_bytes)
{
	struct km_config *config = km_switches();
	struct km_requests_key name = {};
	struct km_requests *row;
	__u64 now, us;

	if (!f || !key || !e || !text || !config)
		return 0;
	now = bpf_ktime_get_ns();
	us = (now - e->start_ns) / 1000;
	name.source = f->source;
	name.destination = e->destination;
	name.cluster = e->cluster;
	name.status = e->status;
	name.reason = e->reason;
	if (config->monitoring) {
		row = bpf_map_lookup_elem(&km_requests, &name);
		if (!row) {
			static const struct km_requests zero = {};

			bpf_map_update_elem(&km_requests, &name, &zero, BPF_NOEXIST);
			row = bpf_map_lookup_elem(&km_requests, &name);
		}
		if (row) {
			__u32 bucket = km_duration_bucket(us);

			__sync_fetch_and_add(&row->count, 1);
			__sync_fetch_and_add(&row->request_bytes, e->request_bytes);
			__sync_fetch_and_add(&row->response_bytes, response_bytes);
			__sync_fetch_and_add(&row->duration_us, us);
			if (bucket < KM_DURATION_BUCKETS)
				__sync_fetch_and_add(&row->buckets[bucket], 1);
		} else {
			km_count(KM_COUNTER_TRAFFIC_LOST);
		}
	}
	if (config->requests) {
		struct km_request_event *event = bpf_ringbuf_reserve(&km_request_event, sizeof(*event), 0);
		struct km_endpoint *endpoint;
		__u64 id = e->endpoint;

		if (!event) {
			km_count(KM_COUNTER_EVENT_LOST);
			return 0;
		}
		__builtin_memset(event, 0, sizeof(*event));
		event->time_ns = now;
		event->duration_ns = now - e->start_ns;
		event->source = f->source;
		event->destination = e->destination;
		event->cluster = e->cluster;
		event->endpoint = e->endpoint;
		event->request_bytes = e->request_bytes;
		event->response_bytes = response_bytes;
		event->generation = e->generation;
		km_addr_copy(event->client_addr, key->client);
		km_addr_copy(event->asked_addr, key->server);
		event->client_port = key->client_port;
		event->asked_port = key->server_port;
		endpoint = bpf_map_lookup_elem(&km_endpoint, &id);
		if (endpoint) {
			km_addr_copy(event->real_addr, endpoint->addr);
			event->real_port = endpoint->port;
		}
		event->status = e->status;
		event->route = e->route;
		event->virtual_host = e->virtual_host;
		event->reason = e->reason;
		event->has_route = e->has_route;
		event->host_length = e->host_length;
		event->path_length = e->path_length;
		event->path_cut = e->path_cut;
		if (e->has_text) {
			__builtin_memcpy(event->method, text->method, sizeof(event->method));
			__builtin_memcpy(event->host, text->host, sizeof(event->host));
			__builtin_memcpy(event->path, text->path, sizeof(event->path));
		}
		bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	}
	return 0;
}

/* Nothing more of an answer is to come, as far as anybody can tell. */
static __always_inline bool km_all_answered(const struct km_flow *f, const struct km_half *half)
{
	if (f->following)
		return false;
	if (!km_owed(f))
		return true;
	return f->now.lost &&
	       (f->answer.phase != KM_RESPONSE_LENGTH || !km_before(half->rcv_nxt, f->answer_seq));
}

/* The client has all of the answers that it asked for: `seen` is the pseudo number up to which it has
 * received. */
static __always_inline bool km_owes_nothing(const struct km_flow *f, __u32 seen)
{
	const struct km_half *half;

	if (f->current == KM_NO_HALF)
		return true;
	half = &f->half[f->current & (KM_HALVES - 1)];
	return km_all_answered(f, half) && seen + half->ack_shift == half->rcv_nxt;
}

static __always_inline void km_exchange_tell(struct km_flow *f, const struct km_flow_key *key,
					     __u64 response_bytes, __u32 status, __u32 reason)
{
	__u64 endpoint = f->now.endpoint;
	struct km_endpoint_stats *stats = bpf_map_lookup_elem(&km_endpoint_stats, &endpoint);

	f->now.status = status;
	f->now.reason = reason;
	if (stats && f->now.active)
		__sync_fetch_and_add(&stats->active, -1);
	f->now.active = 0;
	km_exchange_count(f, key, &f->now, &f->now_text, response_bytes);
}

/*
 * The answer is complete, or will never be (`reason`). Requests that were pipelined behind this one to the
 * same half are told as it was. The socket counts them up and this counts answers, on two CPUs at once: each
 * has a count of its own.
 */
static __noinline __attribute__((unused)) int km_exchange_end(struct km_flow *f,
							      const struct km_flow_key *key,
							      __u64 response_bytes, __u32 status,
							      __u32 reason)
{
	if (!f || !key || !km_owed(f))
		return 0;
	km_exchange_tell(f, key, response_bytes, status, reason);
	f->answered += 1;
	if (km_owed(f)) {
		f->now.start_ns = bpf_ktime_get_ns();
		km_exchange_active(&f->now);
	}
	return 0;
}

/* No answer that is owed comes any more; the first is told. */
static __noinline __attribute__((unused)) int
km_exchange_abandon(struct km_flow *f, const struct km_flow_key *key, __u64 response_bytes, __u32 reason)
{
	__u32 owed;

	if (!f || !key)
		return 0;
	owed = km_owed(f);
	if (!owed)
		return 0;
	f->answered += owed - 1;
	return km_exchange_end(f, key, response_bytes, f->answer.status,
			       f->now.lost ? KM_REASON_NONE : reason);
}

/* Where the head begins that is to be changed (km_answer_edit.h). Not at the end of the answer before: its
 * head may come again until the next request begins. */
static __always_inline void km_head_begin(struct km_flow *f, const struct km_flow_key *key, __u32 rcv_start)
{
	struct km_walk *walk = km_walk_of(key);

	if (!walk)
		return;
	bpf_spin_lock(&walk->lock);
	f->head_seq = rcv_start;
	f->edited = 0;
	f->shifted = 0;
	f->edit_tries = 0;
	walk->turns += 1;
	bpf_spin_unlock(&walk->lock);
}

/*
 * The request that waited goes to its endpoint now; what comes from there is its answer. `before` requests
 * came before it: the end of the last one's answer may not have been seen.
 */
static __noinline int km_exchange_begin(struct km_flow *f, const struct km_flow_key *key, __u32 before,
					__u32 rcv_start)
{
	if (!f || !key)
		return 0;
	if (f->answered != before) {
		km_exchange_tell(f, key, 0, f->answer.status, KM_REASON_NONE);
		f->answered = before;
	}
	f->now = f->next;
	if (f->now.has_text)
		f->now_text = f->next_text;
	f->now.lost = 0;
	f->now.rcv_start = rcv_start;
	if (f->flags & KM_FLOW_ANSWERS)
		km_head_begin(f, key, rcv_start);
	km_answer_begin(f, rcv_start);
	km_exchange_active(&f->now);
	return 0;
}

/* A request that was answered here. */
static __always_inline void km_exchange_refused(struct km_flow *f, const struct km_flow_key *key,
						__u16 status, __u8 reason)
{
	f->next.status = status;
	f->next.reason = reason;
	km_exchange_count(f, key, &f->next, &f->next_text, 0);
}

#endif
