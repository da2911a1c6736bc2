/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Which network namespaces are under the mesh, and which workload an address belongs to. */
#ifndef KM_WORKLOAD_H
#define KM_WORKLOAD_H

#include "km_types.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, __u64); /* network namespace cookie */
	__type(value, struct km_enrolment);
} km_enrolment SEC(".maps");

/* Which workload an address belongs to: 0 or absent is unknown. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct km_address_key);
	__type(value, __u64);
} km_workload_address SEC(".maps");

/*
 * Addresses that enrolled workloads have asked for and nobody knows, with the time of the last connect(): a
 * control plane is asked for these where it is not asked for everything. Read and emptied by the daemon.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct km_address_key);
	__type(value, __u64);
} km_unknown SEC(".maps");

#endif
