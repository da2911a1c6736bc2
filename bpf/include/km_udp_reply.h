/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Who an answer is shown as, for datagrams that were balanced one by one. */
#ifndef KM_UDP_REPLY_H
#define KM_UDP_REPLY_H

#include "km_types.h"
#include <bpf/bpf_helpers.h>

/* LRU on purpose: a datagram's answer is awaited for seconds, not for ever. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct km_udp_reply_key);
	__type(value, struct km_udp_reply);
} km_udp_reply SEC(".maps");

#endif
