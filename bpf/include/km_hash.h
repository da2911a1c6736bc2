/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Hashes for Maglev: 32 bits, never 0, which means that there is nothing to hash. */
#ifndef KM_HASH_H
#define KM_HASH_H

#include "km_types.h"

#define KM_HASH_START 2166136261U /* FNV-1a (Fowler, Noll, Vo) */
#define KM_HASH_PRIME 16777619U

static __always_inline __u32 km_hash_step(__u32 hash, __u8 byte)
{
	return (hash ^ byte) * KM_HASH_PRIME;
}

/* Spreads the last bytes over all bits (the end of MurmurHash3): FNV's low bits alone choose a slot badly. */
static __always_inline __u32 km_hash_end(__u32 hash)
{
	hash ^= hash >> 16;
	hash *= 0x85ebca6bU;
	hash ^= hash >> 13;
	hash *= 0xc2b2ae35U;
	hash ^= hash >> 16;
	return hash ? hash : 1;
}

static __always_inline __u32 km_hash_number(__u64 number)
{
	return km_hash_end((__u32)number ^ (__u32)(number >> 32) * KM_HASH_PRIME);
}

/* Of a client's address. */
static __always_inline __u32 km_hash_addr(const __be32 addr[KM_ADDR_WORDS])
{
	__u32 hash = KM_HASH_START;

	hash = (hash ^ addr[0]) * KM_HASH_PRIME;
	hash = (hash ^ addr[1]) * KM_HASH_PRIME;
	hash = (hash ^ addr[2]) * KM_HASH_PRIME;
	hash = (hash ^ addr[3]) * KM_HASH_PRIME;
	return km_hash_end(hash);
}

#endif
