/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Clients whose own namespace has the hooks, such as the machine's: their packets have been routed to the
 * service's address before they come to us, so those to an endpoint have to find their device anew.
 */
#ifndef KM_INSIDE_H
#define KM_INSIDE_H

#include "km_rewrite.h"

/* Asks the routes for the way to w->to: device and MAC addresses. False where the machine does not forward
 * packets, which is what these routes are for, or where the neighbour is not known yet. */
static __always_inline int km_ask_routes(struct __sk_buff *skb, const struct km_work *w,
					 struct bpf_fib_lookup *fib)
{
	fib->family = w->p.ip6 ? KM_AF_INET6 : KM_AF_INET;
	fib->l4_protocol = IPPROTO_TCP;
	fib->ifindex = skb->ifindex;
	if (w->p.ip6) {
		__builtin_memcpy(fib->ipv6_src, w->to.from, 16);
		__builtin_memcpy(fib->ipv6_dst, w->to.to, 16);
	} else {
		fib->ipv4_src = w->to.from[3];
		fib->ipv4_dst = w->to.to[3];
	}
	return bpf_fib_lookup(skb, fib, sizeof(*fib), 0);
}

/* The device by which a packet to w->to leaves; where the machine forwards nothing, the one that it is at. */
__noinline __u32 km_leaves_by(struct __sk_buff *skb)
{
	struct km_work *w = km_worked();
	struct bpf_fib_lookup fib = {};
	int found;

	if (!w)
		return skb->ifindex;
	found = km_ask_routes(skb, w, &fib);
	if (found == BPF_FIB_LKUP_RET_SUCCESS || found == BPF_FIB_LKUP_RET_NO_NEIGH)
		return fib.ifindex;
	return skb->ifindex;
}

/* Sends a copy of the packet to w->to by the routes. 0: they do not say how. */
__noinline int km_clone_by_route(struct __sk_buff *skb)
{
	struct km_work *w = km_worked();
	struct bpf_fib_lookup fib = {};
	__u8 kept[2 * ETH_ALEN];

	if (!w || km_ask_routes(skb, w, &fib) != BPF_FIB_LKUP_RET_SUCCESS ||
	    bpf_skb_load_bytes(skb, 0, kept, sizeof(kept)) ||
	    bpf_skb_store_bytes(skb, 0, fib.dmac, ETH_ALEN, 0) ||
	    bpf_skb_store_bytes(skb, ETH_ALEN, fib.smac, ETH_ALEN, 0))
		return 0;
	w->cloning = true;
	bpf_clone_redirect(skb, fib.ifindex, 0);
	w->cloning = false;
	bpf_skb_store_bytes(skb, 0, kept, sizeof(kept), 0);
	return 1;
}

#endif
