/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The hash of a request for Maglev: over the header, the cookie or the client's address that the request's
 * cluster names. Works on the parsed request in a scratch slot, whose fields of km_route_walk() it uses for
 * its own state: not while the request is being decided.
 */
#ifndef KM_REQUEST_HASH_H
#define KM_REQUEST_HASH_H

#include "km_balance.h"
#include "km_route_scratch.h"

/* Bytes that one call of km_hash_block() or km_cookie_block() looks at. */
#define KM_HASH_BLOCK  64
#define KM_HASH_BLOCKS (KM_ROUTE_MAX_HEAD / KM_HASH_BLOCK)

static __always_inline __u8 km_hash_byte(const struct km_route_scratch *scratch, __u64 offset)
{
	return scratch->bytes[offset & (KM_ROUTE_MAX_HEAD - 1)];
}

/* Looks at the first of so many bytes. */
__noinline __u32 km_hash_block(__u32 slot, __u32 offset, __u32 length, __u32 hash)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u32 i;

	if (!scratch)
		return hash;
	for (i = 0; i < KM_HASH_BLOCK; i++) {
		if (i >= length)
			break;
		hash = km_hash_step(hash, km_hash_byte(scratch, offset + i));
	}
	return hash;
}

/* Goes on with a hash over a piece of the head. */
__noinline __u32 km_hash_text(__u32 slot, __u32 offset, __u32 length, __u32 hash)
{
	__u32 i;

	for (i = 0; i < KM_HASH_BLOCKS; i++) {
		__u32 at = i * KM_HASH_BLOCK;

		if (at >= length)
			break;
		hash = km_hash_block(slot, offset + at, length - at, hash);
	}
	return hash;
}

/* Whether a header has the name that the cluster hashes. */
__noinline int km_hash_names(__u32 slot, __u64 cluster_id, __u32 header)
{
	struct km_cluster *cluster = bpf_map_lookup_elem(&km_cluster, &cluster_id);
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_route_range name;
	__u32 i;

	if (!cluster || !scratch)
		return 0;
	name = scratch->request.headers[header & (KM_ROUTE_MAX_HEADERS - 1)].name;
	if (name.length != cluster->hash_name_length)
		return 0;
	for (i = 0; i < KM_HASH_NAME_MAX; i++) {
		__u8 byte;

		if (i >= name.length)
			break;
		byte = km_hash_byte(scratch, name.offset + i);
		if (byte >= 'A' && byte <= 'Z')
			byte |= 0x20;
		if (byte != (__u8)cluster->hash_name[i])
			return 0;
	}
	return 1;
}

/* Where km_cookie_step() is. */
enum km_cookie_state {
	KM_COOKIE_NAME = 0, /* in a name, or ahead of one */
	KM_COOKIE_SKIP = 1, /* in another cookie */
	KM_COOKIE_VALUE = 2,
	KM_COOKIE_DONE = 3,
};

/*
 * Takes the next byte of a list of cookies (RFC 6265 §4.2.1). The state is in memory, read anew for each
 * byte: the verifier would follow each value of it through the loop.
 */
static __always_inline void km_cookie_step(struct km_route_scratch *scratch, const struct km_cluster *cluster,
					   __u8 byte)
{
	volatile __u32 *state = &scratch->state;
	volatile __u32 *matched = &scratch->position;
	volatile __u32 *hash = &scratch->remaining;
	__u32 length = cluster->hash_name_length;
	__u32 now = *state;
	__u64 at = *matched;

	if (now == KM_COOKIE_DONE)
		return;
	if (byte == ';') {
		*state = now == KM_COOKIE_VALUE ? KM_COOKIE_DONE : KM_COOKIE_NAME;
		*matched = 0;
	} else if (now == KM_COOKIE_VALUE) {
		*hash = km_hash_step(*hash, byte);
	} else if (now == KM_COOKIE_NAME && !(at == 0 && (byte == ' ' || byte == '\t'))) {
		if (at == length)
			*state = byte == '=' ? KM_COOKIE_VALUE : KM_COOKIE_SKIP;
		else if (byte == (__u8)cluster->hash_name[at & (KM_HASH_NAME_MAX - 1)])
			*matched = at + 1;
		else
			*state = KM_COOKIE_SKIP;
	}
}

__noinline int km_cookie_block(__u32 slot, __u64 cluster_id, __u32 offset, __u32 length)
{
	struct km_cluster *cluster = bpf_map_lookup_elem(&km_cluster, &cluster_id);
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u32 i;

	if (!cluster || !scratch)
		return 0;
	for (i = 0; i < KM_HASH_BLOCK; i++) {
		if (i >= length)
			break;
		km_cookie_step(scratch, cluster, km_hash_byte(scratch, offset + i));
	}
	return 0;
}

/* Looks for the cluster's cookie in one header, if that is a list of cookies. */
__noinline int km_cookie_header(__u32 slot, __u64 cluster_id, __u32 header)
{
	struct km_cluster *cluster = bpf_map_lookup_elem(&km_cluster, &cluster_id);
	struct km_route_scratch *scratch = km_route_slot(slot);
	const char *cookie = "cookie";
	struct km_route_range text;
	__u32 offset, length, i;

	if (!cluster || !scratch)
		return 0;
	header &= KM_ROUTE_MAX_HEADERS - 1;
	text = scratch->request.headers[header].name;
#pragma unroll
	for (i = 0; i < 6; i++)
		if ((km_hash_byte(scratch, text.offset + i) | 0x20) != cookie[i])
			return 0;
	text = scratch->request.headers[header].value;
	offset = text.offset;
	length = text.length;
	for (i = 0; i < KM_HASH_BLOCKS; i++) {
		__u32 at = i * KM_HASH_BLOCK;

		if (at >= length)
			break;
		km_cookie_block(slot, cluster_id, offset + at, length - at);
	}
	km_cookie_step(scratch, cluster, ';');
	return 0;
}

/* Goes on with a hash over a header, if it is of the name; 0 begins. */
__noinline __u32 km_hash_value(__u32 slot, __u64 cluster_id, __u32 header, __u32 hash)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	struct km_route_range value;

	if (!scratch || !km_hash_names(slot, cluster_id, header))
		return hash;
	value = scratch->request.headers[header & (KM_ROUTE_MAX_HEADERS - 1)].value;
	/* Several of one name count as one text, joined with commas. */
	hash = hash ? km_hash_step(hash, ',') : KM_HASH_START;
	hash = km_hash_text(slot, value.offset, value.length, hash);
	return hash ? hash : 1;
}

__noinline __u32 km_hash_header(__u32 slot, __u64 cluster_id)
{
	struct km_cluster *cluster = bpf_map_lookup_elem(&km_cluster, &cluster_id);
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u32 hash = 0;
	__u32 i;

	if (!cluster || !scratch)
		return 0;
	for (i = 0; i < KM_ROUTE_MAX_HEADERS; i++) {
		if (i >= scratch->request.header_count)
			break;
		if (scratch->request.headers[i].name.length == cluster->hash_name_length)
			hash = km_hash_value(slot, cluster_id, i, hash);
	}
	return hash ? km_hash_end(hash) : 0;
}

__noinline __u32 km_hash_cookie(__u32 slot, __u64 cluster_id)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u32 i;

	if (!scratch)
		return 0;
	scratch->state = KM_COOKIE_NAME;
	scratch->position = 0;
	scratch->remaining = KM_HASH_START;
	for (i = 0; i < KM_ROUTE_MAX_HEADERS; i++) {
		if (i >= scratch->request.header_count)
			break;
		if (scratch->request.headers[i].name.length == sizeof("cookie") - 1)
			km_cookie_header(slot, cluster_id, i);
	}
	return scratch->state == KM_COOKIE_DONE ? km_hash_end(scratch->remaining) : 0;
}

/*
 * What km_pick_endpoint() is to be given for the request in a scratch slot; 0 when the cluster hashes
 * nothing, or the request lacks it. `source` is km_hash_addr() of the client. Calls four
 * functions deep.
 */
static __always_inline __u32 km_hash_of_request(__u32 slot, __u64 cluster_id,
						const struct km_cluster *cluster, __u32 source)
{
	__u32 kind;

	if (cluster->policy != KM_POLICY_MAGLEV)
		return 0;
	kind = cluster->hash;
	if (kind == KM_HASH_HEADER)
		return km_hash_header(slot, cluster_id);
	if (kind == KM_HASH_COOKIE)
		return km_hash_cookie(slot, cluster_id);
	return kind == KM_HASH_SOURCE ? source : 0;
}

#endif
