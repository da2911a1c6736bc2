/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The end of a flow: its ports and its record go. */
#ifndef KM_FLOW_END_H
#define KM_FLOW_END_H

#include "km_addr.h"
#include "km_flow.h"

/*
 * Who an endpoint sees: the client. One in the client's own pod sees the service: a pod drops packets that
 * come from outside with its own address, and would answer such a one by itself (kube-proxy masquerades for
 * that).
 */
static __always_inline const __be32 *km_wire_client(const struct km_flow_key *key, const struct km_half *half)
{
	return half->flags & KM_HALF_BACK ? key->server : key->client;
}

static __always_inline void km_wire_key(struct km_flow_key *wire, const struct km_flow_key *key,
					const struct km_half *half)
{
	km_addr_copy(wire->client, km_wire_client(key, half));
	km_addr_copy(wire->server, half->addr);
	wire->client_port = half->wire_port;
	wire->server_port = half->port;
}

static __always_inline void km_wire_release(const struct km_flow_key *key, const struct km_half *half)
{
	struct km_flow_key wire;

	km_wire_key(&wire, key, half);
	bpf_map_delete_elem(&km_wire, &wire);
}

/* Forgets a flow and its ports. */
static __noinline __attribute__((unused)) int km_flow_delete(struct km_flow *f, const struct km_flow_key *key)
{
	struct km_flow_key copy;
	__u32 i;

	if (!f || !key)
		return 0;
	copy = *key;
	for (i = 0; i < KM_HALVES; i++) {
		struct km_half *half = &f->half[i];

		if (half->state != KM_HALF_FREE)
			km_wire_release(&copy, half);
		half->state = KM_HALF_FREE;
	}
	if (f->flags & KM_FLOW_ANSWERS)
		bpf_map_delete_elem(&km_answers, &copy);
	bpf_map_delete_elem(&km_flow, &copy);
	return 0;
}

#endif
