/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Addresses as the tables hold them: 16 bytes in network order, IPv4 as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2).
 */
#ifndef KM_ADDR_H
#define KM_ADDR_H

#include "km_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define KM_MAPPED_WORD bpf_htonl(0x0000ffff)

static __always_inline void km_addr_from4(__be32 to[KM_ADDR_WORDS], __be32 ip4)
{
	to[0] = 0;
	to[1] = 0;
	to[2] = KM_MAPPED_WORD;
	to[3] = ip4;
}

static __always_inline void km_addr_copy(__be32 to[KM_ADDR_WORDS], const __be32 from[KM_ADDR_WORDS])
{
	to[0] = from[0];
	to[1] = from[1];
	to[2] = from[2];
	to[3] = from[3];
}

static __always_inline bool km_addr_is4(const __be32 a[KM_ADDR_WORDS])
{
	return a[0] == 0 && a[1] == 0 && a[2] == KM_MAPPED_WORD;
}

static __always_inline bool km_addr_equal(const __be32 a[KM_ADDR_WORDS], const __be32 b[KM_ADDR_WORDS])
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

static __always_inline bool km_addr_is_unspecified(const __be32 a[KM_ADDR_WORDS])
{
	return a[0] == 0 && a[1] == 0 && a[3] == 0 && (a[2] == 0 || a[2] == KM_MAPPED_WORD);
}

static __always_inline bool km_addr_is_loopback(const __be32 a[KM_ADDR_WORDS])
{
	if (km_addr_is4(a))
		return (a[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
	return a[0] == 0 && a[1] == 0 && a[2] == 0 && a[3] == bpf_htonl(1);
}

#endif
