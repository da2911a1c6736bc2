/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * When a client's socket leaves the sockhash km_sock, where km_request sees what it sends: when its
 * connection is not HTTP any more. Nothing is decided about it from then on, and its calls are the kernel's
 * own again.
 */
#ifndef KM_SOCKHASH_H
#define KM_SOCKHASH_H

#include "km_splice.h"

/* The socket stays while bytes are held back in it (km_hold in request.bpf.c), which would go with it. */
__noinline int km_sock_leave(void)
{
	KM_FIND_FLOW(0);
	__sync_fetch_and_add(&f->fence, 1);
	if (f->held)
		return 0;
	f->left = 1;
	bpf_map_delete_elem(&km_sock, &w->key);
	return 0;
}

/* Before a packet of the current half goes to the client. */
static __always_inline void km_sock_follow(const struct km_flow *f)
{
	if (f->flags & KM_FLOW_OPAQUE && !f->left)
		km_sock_leave();
}

#endif
