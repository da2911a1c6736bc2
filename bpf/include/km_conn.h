/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The record of a socket: made in connect() or when a connection is accepted, freed with the socket. */
#ifndef KM_CONN_H
#define KM_CONN_H

#include "km_types.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct km_conn);
} km_conn SEC(".maps");

#endif
