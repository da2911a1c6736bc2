/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The kick: a segment of zeros in front of a request, which waits behind it (docs/adr/013-splice.md). */
#ifndef KM_KICK_H
#define KM_KICK_H

#include "km_flow.h"
#include "km_route_scratch.h"

/* Fills the kick, which is memory of the kernel's, with zeros: a packet socket of the pod may see it. */
__noinline int km_blank_part(struct sk_msg_md *m, __u32 from)
{
	__u64 at = from;
	__u8 *data, *end;
	int i;

	data = m->data;
	asm volatile("" : "+r"(data)::"memory");
	end = m->data_end;
	asm volatile("" : "+r"(end)::"memory");
	for (i = 0; i < 1024 / 32; i++) {
		__u64 *to;

		km_route_opaque(at);
		if (at > KM_MAX_GATE)
			return 0;
		to = (__u64 *)(data + at);
		if ((void *)(to + 4) > (void *)end)
			return 0;
		to[0] = 0;
		to[1] = 0;
		to[2] = 0;
		to[3] = 0;
		at += 32;
	}
	return 1;
}

__noinline int km_push_kick(struct sk_msg_md *m, __u32 bytes)
{
	__u32 at = 0;
	int i;

	if (bpf_msg_push_data(m, 0, bytes, 0) || bpf_msg_pull_data(m, 0, bytes, 0))
		return -1;
	for (i = 0; i < KM_MAX_GATE / 1024 + 1; i++) {
		if (!km_blank_part(m, at))
			break;
		at += 1024;
	}
	return 0;
}

#endif
