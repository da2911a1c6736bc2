/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A message of a client's socket: its flow, and where in it the message begins. What a program's functions
 * pass to each other. */
#ifndef KM_MESSAGE_H
#define KM_MESSAGE_H

#include "km_decide.h"
#include "km_flow.h"
#include "km_addr.h"

struct km_message {
	struct km_flow_key key;
	__u32 seq;     /* of the message's first byte */
	__u32 seen;    /* pseudo number up to which the client has received */
	__u32 busy;    /* what was sent before is not all acknowledged, or not answered */
	__u32 pending; /* the request before has not reached TC: KM_FLOW_KICK, _SWITCH or _ECHO */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KM_ROUTE_SLOTS);
	__type(key, __u32);
	__type(value, struct km_message);
} km_message SEC(".maps");

#define KM_MSG_FIND(otherwise)                                                                               \
	struct km_message *message = bpf_map_lookup_elem(&km_message, &slot);                                \
	struct km_decision *d = km_decision_slot(slot);                                                      \
	struct km_route_scratch *scratch = km_route_slot(slot);                                              \
	struct km_flow *f;                                                                                   \
                                                                                                             \
	if (!message || !d || !scratch)                                                                      \
		return otherwise;                                                                            \
	f = bpf_map_lookup_elem(&km_flow, &message->key);                                                    \
	if (!f)                                                                                              \
	return otherwise

/* Not inlined: the compiler would merge the two families' reads into arithmetic on the context pointer. */
static __noinline int km_msg_key4(struct sk_msg_md *m, struct km_flow_key *key)
{
	if (!m || !key)
		return 0;
	km_addr_from4(key->client, m->local_ip4);
	km_addr_from4(key->server, m->remote_ip4);
	return 0;
}

static __noinline int km_msg_key6(struct sk_msg_md *m, struct km_flow_key *key)
{
	if (!m || !key)
		return 0;
	key->client[0] = m->local_ip6[0];
	key->client[1] = m->local_ip6[1];
	key->client[2] = m->local_ip6[2];
	key->client[3] = m->local_ip6[3];
	key->server[0] = m->remote_ip6[0];
	key->server[1] = m->remote_ip6[1];
	key->server[2] = m->remote_ip6[2];
	key->server[3] = m->remote_ip6[3];
	return 0;
}

static __always_inline void km_msg_key(struct sk_msg_md *m, struct km_flow_key *key)
{
	if (m->family == KM_AF_INET)
		km_msg_key4(m, key);
	else
		km_msg_key6(m, key);
	key->client_port = bpf_htons(m->local_port);
	key->server_port = bpf_htons((__u16)bpf_ntohl(m->remote_port));
}

#endif
