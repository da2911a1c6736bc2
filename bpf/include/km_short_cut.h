/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Packets between two pods of one machine, handed from the one's device into the other's namespace, past the
 * machine's own stack (bpf_redirect_peer, 5.10). Only where the daemon has seen that nothing there would have
 * had a say: no netfilter, no queueing discipline, no other program (docs/adr/017-short-cut.md). Devices are
 * learned from the endpoint's SYN-ACK, which comes by the stack and so has passed its checks.
 */
#ifndef KM_SHORT_CUT_H
#define KM_SHORT_CUT_H

#include "km_config.h"
#include "km_flow.h"

#define KM_WIRE_LOWEST 1024 /* no half has a port below */

/* Host sides of enrolled pods' veths that packets may be handed over to. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, __u32); /* ifindex */
	__type(value, __u32);
} km_device SEC(".maps");

/* The device, if packets may be handed over to it; else 0. */
static __always_inline __u32 km_device_behind(__u32 ifindex)
{
	return bpf_map_lookup_elem(&km_device, &ifindex) ? ifindex : 0;
}

/* The device of the client, learned from its SYN. */
static __always_inline void km_learn_client(struct km_flow *f, __u32 ifindex)
{
	struct km_config *config = km_switches();

	if (!config || !config->short_cut)
		return;
	f->device = km_device_behind(ifindex);
	f->short_cut = f->device ? config->short_cut : 0;
}

/* What the flow learned still holds. */
static __always_inline bool km_may_cut(const struct km_flow *f)
{
	struct km_config *config = km_switches();

	return f->short_cut && config && config->short_cut == f->short_cut;
}

/* Whether a port may be one of a half. */
static __always_inline bool km_is_wire_port(__be16 port)
{
	struct km_config *config = km_switches();
	__u16 number = bpf_ntohs(port);

	return config && number >= config->wire_first && number <= config->wire_last;
}

/* Hands the packet over to what is behind a device. */
static __always_inline int km_hand_over(struct __sk_buff *skb, __u32 device)
{
	/* Addressed to a bridge that the device is a port of, it would not be taken. */
	if (skb->pkt_type)
		bpf_skb_change_type(skb, 0);
	return bpf_redirect_peer(device, 0);
}

#endif
