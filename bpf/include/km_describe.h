/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What is told of a request, and done with its answer: copied while its head and its table are at hand. */
#ifndef KM_DESCRIBE_H
#define KM_DESCRIBE_H

#include "km_config.h"
#include "km_exchange.h"
#include "km_message.h"
#include "km_out.h"

/* What is told of a request: copied while its head is at hand. */
static __noinline int km_describe_text(struct km_flow *f, const struct km_route_scratch *scratch)
{
	struct km_exchange_text *text;
	struct km_exchange *e;
	__u64 offset, length;

	if (!f || !scratch)
		return 0;
	e = &f->next;
	text = &f->next_text;
	offset = scratch->request.method.offset & (KM_ROUTE_MAX_HEAD - 1);
	*(__u64 *)text->method = *(__u64 *)(scratch->bytes + offset);
	length = scratch->request.method.length;
	if (length < 8)
		*(__u64 *)text->method &= (1ULL << (length * 8)) - 1;
	offset = scratch->request.host.offset & (KM_ROUTE_MAX_HEAD - 1);
	length = scratch->request.host.length;
	e->host_length = length > KM_EVENT_HOST_MAX ? KM_EVENT_HOST_MAX : length;
	bpf_probe_read_kernel(text->host, KM_EVENT_HOST_MAX, scratch->bytes + offset);
	offset = scratch->request.path.offset & (KM_ROUTE_MAX_HEAD - 1);
	length = scratch->request.path.length;
	e->path_cut = length > KM_EVENT_PATH_MAX;
	e->path_length = length > KM_EVENT_PATH_MAX ? KM_EVENT_PATH_MAX : length;
	bpf_probe_read_kernel(text->path, KM_EVENT_PATH_MAX, scratch->bytes + offset);
	return 0;
}

static __always_inline void km_describe(struct km_flow *f, const struct km_route_scratch *scratch,
					const struct km_decision *d, bool read)
{
	struct km_config *config = km_switches();
	struct km_exchange *e = &f->next;

	e->start_ns = bpf_ktime_get_ns();
	e->cluster = d->cluster;
	e->endpoint = 0;
	e->destination = 0;
	e->route = d->route;
	e->virtual_host = d->virtual_host;
	e->has_route = d->has_route;
	e->generation = *(__u64 *)scratch->generation;
	e->flags = scratch->head.flags;
	e->reason = KM_REASON_NONE;
	e->status = 0;
	e->request_bytes = 0;
	e->edits = d->answer_slot;
	e->has_text = read && config && config->requests;
	e->host_length = 0;
	e->path_length = 0;
	e->path_cut = 0;
	if (e->has_text)
		km_describe_text(f, scratch);
}

/* Copies how the answer's head is to be changed to the flow: the table may be another one when it comes. */
__noinline int km_take_answer(__u32 slot, __u32 handle)
{
	struct km_answer_edits *edits;
	struct km_answers *answers;
	struct km_route_blob blob;
	__u32 i, names, bytes, index;
	__u64 first;

	KM_MSG_FIND(KM_OUT_NO_ROOM);
	if (!km_route_same(scratch, handle, &blob))
		return KM_OUT_CHANGED;
	first = km_route_unit(&blob, d->answer);
	if (message->pending) {
		/* It has to wait (km_joins): both records are in use. */
		d->answer_slot = !!first;
		return 0;
	}
	f->flags |= KM_FLOW_ANSWERS;
	if (!first)
		return 0;
	/* The other one is of the answer before. */
	index = f->now.edits == 1;
	answers = bpf_map_lookup_elem(&km_answers, &message->key);
	if (!answers) {
		static const struct km_answers zero = {};

		bpf_map_update_elem(&km_answers, &message->key, &zero, BPF_NOEXIST);
		answers = bpf_map_lookup_elem(&km_answers, &message->key);
		if (!answers)
			return KM_OUT_NO_ROOM;
	}
	edits = &answers->edits[index];
	names = first;
	bytes = first >> 32;
	edits->names = names;
	edits->bytes = bytes;
	for (i = 0; i < KM_ANSWER_UNITS; i++) {
		if (i * 8 >= names * 8 + bytes)
			break;
		edits->units[i] = km_route_unit(&blob, (__u64)d->answer + 1 + i);
	}
	d->answer_slot = index + 1;
	return 0;
}

#endif
