/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Where compiled route tables are. A blob is the one value of an array map inside km_route_N, whose values
 * all have one size; a table goes to the smallest that holds it. KMALLOC_MAX_SIZE limits a value to 4 MiB
 * below 5.15.
 */
#ifndef KM_ROUTE_TABLES_H
#define KM_ROUTE_TABLES_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

/* clang-format off */
#define KM_ROUTE_TABLES(bits, entries)                                                                       \
	struct {                                                                                             \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                                    \
		__uint(max_entries, entries);                                                                \
		__type(key, __u32);                                                                          \
		__array(values, struct {                                                                     \
			__uint(type, BPF_MAP_TYPE_ARRAY);                                                    \
			__uint(max_entries, 1);                                                              \
			__uint(key_size, sizeof(__u32));                                                     \
			__uint(value_size, 1 << bits);                                                       \
		});                                                                                          \
	} km_route_##bits SEC(".maps")
/* clang-format on */

KM_ROUTE_TABLES(14, 4096);
KM_ROUTE_TABLES(16, 1024);
KM_ROUTE_TABLES(18, 1024);
KM_ROUTE_TABLES(20, 256);
KM_ROUTE_TABLES(22, 64);

/* A table's number: the size of its blob in bits, and its place in km_route_N. */
#define KM_ROUTE_HANDLE(bits, index) ((bits) << 24 | (index))

/* A blob that the verifier knows the size of: units up to `mask` can be read. */
struct km_route_blob {
	const __u64 *units;
	__u64 mask;
};

#define KM_ROUTE_FIND(bits_)                                                                                 \
	case bits_:                                                                                          \
		inner = bpf_map_lookup_elem(&km_route_##bits_, &index);                                      \
		if (!inner)                                                                                  \
			return false;                                                                        \
		blob->units = bpf_map_lookup_elem(inner, &zero);                                             \
		blob->mask = (1 << (bits_ - 3)) - 1;                                                         \
		break

static __always_inline bool km_route_find(__u32 handle, struct km_route_blob *blob)
{
	__u32 index = handle & 0xffffff;
	__u32 zero = 0;
	void *inner;

	switch (handle >> 24) {
		KM_ROUTE_FIND(14);
		KM_ROUTE_FIND(16);
		KM_ROUTE_FIND(18);
		KM_ROUTE_FIND(20);
		KM_ROUTE_FIND(22);
	default:
		return false;
	}
	return blob->units;
}

static __always_inline __u64 km_route_unit(const struct km_route_blob *blob, __u64 unit)
{
	return blob->units[unit & blob->mask];
}

#endif
