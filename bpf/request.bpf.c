// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Layer 7 in the client's socket: every message of a connection to an HTTP service passes here before TCP
 * sees it. A request's head is read, its route, cluster and endpoint are chosen, and the flow is told; the
 * packets (splice.bpf.c) do the rest. docs/adr/013-splice.md has the whole of it.
 */
#include "km_kernel.h"
#include "km_choose.h"
#include "km_describe.h"
#include "km_edit.h"
#include "km_http_head.h"
#include "km_kick.h"
#include "km_msg_copy.h"
#include "km_reply_action.h"
#include "km_scratch.h"
#include <linux/in.h>

char _license[] SEC("license") = "Dual BSD/GPL";

/* Puts a local reply in the message's place; TC turns it back. The text is in the slot. */
__noinline int km_reply_instead(struct sk_msg_md *m, __u32 slot, __u32 close)
{
	const struct km_out *out = km_out_slot(slot);
	__u32 bytes;

	KM_MSG_FIND(SK_DROP);
	if (!out)
		return SK_DROP;
	bytes = out->bytes;
	if (km_msg_replace_head(m, slot, m->size))
		return SK_DROP;
	f->next.status = d->status;
	f->next.reason = d->reason;
	f->next.request_bytes = scratch->head.bytes;
	km_exchange_count(f, &message->key, &f->next, &f->next_text, bytes);
	f->echo_seq = message->seq;
	f->echo_end = message->seq + bytes;
	f->req_end = f->echo_end;
	f->requests += 1;
	f->flags = (f->flags & ~(KM_FLOW_SWITCH | KM_FLOW_ECHOING | KM_FLOW_CHUNKED)) | KM_FLOW_ECHO |
		   (close ? KM_FLOW_CLOSE : 0);
	return SK_PASS;
}

/* Whether a reply of our own ends the connection: it stays when the whole request is in this message. */
static __always_inline __u32 km_closes(struct sk_msg_md *m, const struct km_route_scratch *scratch,
				       const struct km_decision *d)
{
	if (d->status == 400 || d->status == 431 || d->status == 505 || scratch->head.flags & KM_HTTP_CLOSE ||
	    scratch->head.body == KM_BODY_CHUNKED)
		return 1;
	if (scratch->head.body == KM_BODY_LENGTH)
		return scratch->head.bytes + scratch->head.content_length != m->size;
	return scratch->head.bytes != m->size;
}

/* A reply of our own. Inlined: nine frames of calls are too deep. */
static __always_inline int km_answer(struct sk_msg_md *m, __u32 slot)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_decision *d = km_decision_slot(slot);
	__u32 close;

	if (!scratch || !d)
		return SK_DROP;
	close = km_closes(m, scratch, d);
	if (d->kind == KM_DECIDED_STATUS && km_reply(slot, d->status, close))
		return SK_DROP;
	return km_reply_instead(m, slot, close);
}

/* Sends a request on its way to half `index`. */
static __noinline int km_forward(struct sk_msg_md *m, __u32 slot, __u32 index, struct km_flow *f,
				 const struct km_message *message)
{
	const struct km_route_scratch *scratch = km_route_slot(slot);
	const struct km_decision *d = km_decision_slot(slot);
	const struct km_out *out = km_out_slot(slot);
	__u32 head, gate, current;
	bool kick, ends, joins;
	struct km_half *half;
	__u64 total;

	if (!m || !f || !message || !scratch || !d)
		return SK_DROP;
	index &= KM_HALVES - 1;
	half = &f->half[index];
	head = scratch->head.bytes;
	if (d->edits) {
		if (!out || km_msg_replace_head(m, slot, head))
			return SK_DROP;
		head = out->bytes;
	}
	gate = f->gate;
	total = head;
	ends = true;
	if (scratch->head.body == KM_BODY_LENGTH)
		total += scratch->head.content_length;
	else if (scratch->head.body != KM_BODY_NONE)
		ends = false;
	current = f->current;
	joins = message->pending ||
		(message->busy && index == current && ends && !f->now.edits && !f->next.edits);
	if (message->busy)
		kick = !joins;
	else
		kick = half->state != KM_HALF_OPEN || !ends || total > gate ||
		       scratch->head.flags & (KM_HTTP_EXPECT | KM_HTTP_CONNECT | KM_HTTP_UPGRADE);
	f->requests += 1;
	if (!joins) {
		f->next.request_bytes = total;
		f->flags &= ~(KM_FLOW_ECHO | KM_FLOW_CHUNKED | KM_FLOW_SWITCH);
		f->target = index;
	}
	if (!kick) {
		f->req_end = message->seq + total;
		if (!joins) {
			if (index != current) {
				f->boundary = message->seq;
				f->flags |= KM_FLOW_SWITCH;
			}
			km_exchange_begin(f, &message->key, f->asked, half->rcv_nxt);
		}
		f->asked += 1;
		if (m->size > total)
			bpf_msg_apply_bytes(m, total);
		return SK_PASS;
	}
	if (km_push_kick(m, gate))
		return SK_DROP;
	f->kick_seq = message->seq;
	f->kick_end = message->seq + gate;
	f->kick_got = message->seq;
	/* Bodies of more than 2 GiB: the number would lie behind us. */
	f->req_end = f->kick_end + (total > 0x7fffffff ? 0x7fffffff : total);
	if (!ends) {
		__builtin_memset(&f->chunks, 0, sizeof(f->chunks));
		f->chunks_seq = f->req_end;
		f->flags |= KM_FLOW_CHUNKED;
	}
	f->kick_after = f->asked;
	f->flags |= KM_FLOW_KICK;
	f->asked += 1;
	bpf_msg_apply_bytes(m, gate);
	return SK_PASS;
}

/* Not HTTP: balanced once, and left alone from then on. */
static __always_inline void km_pass_through(struct sk_msg_md *m, struct km_route_scratch *scratch,
					    struct km_decision *d)
{
	d->kind = KM_DECIDED_FORWARD;
	d->cluster = d->listening.cluster;
	d->retries = KM_DEFAULT_RETRIES;
	d->edits = 0;
	d->answer_slot = 0;
	d->has_route = 0;
	scratch->head.flags = KM_HTTP_UPGRADE;
	scratch->head.body = KM_BODY_NONE;
	scratch->head.bytes = m->size;
}

/*
 * Decides, and makes the text that the route asks for: a changed head, a redirect, a reply. A table that was
 * replaced between the two is decided by anew.
 */
static __always_inline int km_decide_and_make(struct sk_msg_md *m, __u32 slot, struct km_listener_key *where)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_decision *d = km_decision_slot(slot);
	int made = 0;
	__u32 turn;

	if (!scratch || !d)
		return -1;
	for (turn = 0; turn < KM_ROUTE_MAX_RETRIES; turn++) {
		if (turn)
			km_find_listener(where, &d->listening);
		if (km_decide_request(slot))
			return -1;
		made = 0;
		if (d->kind == KM_DECIDED_FORWARD && d->edits)
			made = km_edit_head(slot, d->listening.routes, d->edits);
		else if (d->kind == KM_DECIDED_ACTION)
			made = km_reply_action(slot, d->listening.routes, d->action,
					       km_closes(m, scratch, d));
		if (!made && d->kind == KM_DECIDED_FORWARD && d->answer)
			made = km_take_answer(slot, d->listening.routes);
		if (made != KM_OUT_CHANGED)
			break;
	}
	return made ? km_decide_status(d, 503, KM_REASON_NO_ROUTE) : 0;
}

/* What the listener does that the flow asked for: looked up anew after a change of any. */
static __always_inline void km_listens(struct km_flow *f, const struct km_listener_key *where)
{
	struct km_config *config = km_switches();
	__u32 tables = config ? config->tables : 0;

	if (tables && f->tables == tables)
		return;
	km_find_listener(where, &f->listening);
	f->tables = tables;
}

/*
 * Bytes are about to be held back, and would be lost if the socket left the sockhash now (km_sock_leave).
 * False when it may: the answer to an upgrade has come meanwhile, so what the client sends is not HTTP.
 */
static __always_inline bool km_hold(struct km_flow *f)
{
	f->held = 1;
	__sync_fetch_and_add(&f->fence, 1);
	if (!(f->flags & KM_FLOW_OPAQUE))
		return true;
	f->held = 0;
	return false;
}

/*
 * Whether a request may go behind one that TC has not carried out yet: to the half that this one waits for,
 * whose kick or switch is for both. It must be plain, and of the same cluster.
 */
static __always_inline bool km_joins(const struct km_flow *f, const struct km_message *message,
				     const struct km_http_head *head, const struct km_decision *d)
{
	const struct km_half *half = &f->half[f->target & (KM_HALVES - 1)];

	if (message->pending & KM_FLOW_ECHO || d->kind != KM_DECIDED_FORWARD || d->answer_slot ||
	    f->next.edits)
		return false;
	if (half->state == KM_HALF_FREE || half->cluster != d->cluster)
		return false;
	if (head->body != KM_BODY_NONE && head->body != KM_BODY_LENGTH)
		return false;
	return !(head->flags & (KM_HTTP_EXPECT | KM_HTTP_CONNECT | KM_HTTP_UPGRADE)) &&
	       !((f->next.flags ^ head->flags) & KM_HTTP_HEAD);
}

/* The beginning of a request. */
static __always_inline int km_begin(struct sk_msg_md *m, __u32 slot, struct km_flow *f,
				    const struct km_flow_key *key, __u32 seq, __u32 seen, __u32 acked)
{
	struct km_message *message = bpf_map_lookup_elem(&km_message, &slot);
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_decision *d = km_decision_slot(slot);
	struct km_listener_key where = {.protocol = IPPROTO_TCP};
	__u32 size = m->size, length, opaque = 0;
	int verdict, index;

	if (!message || !scratch || !d)
		return SK_DROP;
	message->key = *key;
	message->seq = seq;
	message->seen = seen;
	message->busy = acked != seq || !km_owes_nothing(f, seen);
	message->pending = f->flags & (KM_FLOW_KICK | KM_FLOW_SWITCH | (acked != seq ? KM_FLOW_ECHO : 0));
	length = size > KM_ROUTE_MAX_HEAD ? KM_ROUTE_MAX_HEAD : size;
	if (km_msg_read(m, slot, length))
		return SK_DROP;
	verdict = km_http_head(slot, length, f->requests == 0);
	if (verdict == KM_HTTP_INCOMPLETE && size < KM_ROUTE_MAX_HEAD) {
		if (km_hold(f))
			bpf_msg_cork_bytes(m, size + 1);
		return SK_PASS;
	}
	km_addr_copy(where.addr, key->server);
	where.port = key->server_port;
	km_listens(f, &where);
	d->listening = f->listening;
	/* What no route decides is told as the service's own. */
	d->cluster = d->listening.cluster;
	d->has_route = 0;
	d->answer_slot = 0;
	switch (verdict) {
	case KM_HTTP_COMPLETE:
		scratch->workload = f->source;
		if (km_decide_and_make(m, slot, &where))
			return SK_DROP;
		break;
	case KM_HTTP_OTHER:
		if (f->mode == KM_LISTENER_HTTP) {
			km_decide_status(d, 400, KM_REASON_BAD_REQUEST);
			break;
		}
		/* fall through */
	case KM_HTTP_TLS:
	case KM_HTTP_PREFACE:
		km_pass_through(m, scratch, d);
		opaque = KM_FLOW_OPAQUE;
		break;
	case KM_HTTP_VERSION:
		km_decide_status(d, 505, KM_REASON_BAD_REQUEST);
		break;
	case KM_HTTP_BAD:
		km_decide_status(d, 400, KM_REASON_BAD_REQUEST);
		break;
	default:
		km_decide_status(d, 431, KM_REASON_BAD_REQUEST);
		break;
	}
	if (message->pending) {
		if (!opaque && km_joins(f, message, &scratch->head, d))
			return km_forward(m, slot, f->target, f, message);
		/* It would need a kick of its own: the connection ends behind the answers to those before. */
		f->stopped = 1;
		return SK_PASS;
	}
	km_describe(f, scratch, d, !opaque);
	if (d->kind == KM_DECIDED_FORWARD) {
		index = km_choose_half(slot, f, message, d);
		if (index < KM_HALVES) {
			verdict = km_forward(m, slot, index, f, message);
			f->flags |= opaque;
			return verdict;
		}
	}
	return opaque ? SK_DROP : km_answer(m, slot);
}

SEC("sk_msg")
int km_request(struct sk_msg_md *m)
{
	struct km_flow_key key = {};
	struct tcp_sock *tcp;
	struct km_flow *f;
	__u32 seq, seen, acked, slot, left;
	int verdict;

	km_msg_key(m, &key);
	f = bpf_map_lookup_elem(&km_flow, &key);
	if (!f)
		return SK_PASS;
	tcp = bpf_skc_to_tcp_sock(m->sk);
	if (!tcp)
		return SK_DROP;
	seq = tcp->write_seq;
	seen = tcp->rcv_nxt;
	acked = tcp->snd_una;
	/* What an earlier run asked for stays until it is taken back. */
	bpf_msg_apply_bytes(m, 0);
	bpf_msg_cork_bytes(m, 0);
	f->held = 0;
	if (f->flags & (KM_FLOW_OPAQUE | KM_FLOW_CLOSE) || f->stopped)
		return SK_PASS;
	if (f->requests) {
		if (f->flags & KM_FLOW_CHUNKED)
			return SK_PASS;
		if (km_before(seq, f->req_end)) {
			left = f->req_end - seq;
			if (m->size > left)
				bpf_msg_apply_bytes(m, left);
			return SK_PASS;
		}
		/* A message went by unread (the send before was cut short): TC does not let it pass. */
		if (seq != f->req_end)
			return SK_PASS;
	}
	slot = km_slot_take();
	if (slot >= KM_ROUTE_SLOTS) {
		km_count(KM_COUNTER_SCRATCH_BUSY);
		return SK_DROP;
	}
	verdict = km_begin(m, slot, f, &key, seq, seen, acked);
	km_slot_give(slot);
	return verdict;
}
