/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Switches of the daemon that take effect at once. */
#ifndef KM_CONFIG_H
#define KM_CONFIG_H

#include "km_types.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct km_config);
} km_config SEC(".maps");
static __always_inline struct km_config *km_switches(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&km_config, &zero);
}

#endif
