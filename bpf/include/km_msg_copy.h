/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Bytes between a message on its way to TCP and a scratch slot, for sk_msg programs. The functions move and
 * join scatterlist elements: what the caller had read from data and data_end is stale after each of them.
 *
 * They are global functions with the context as an argument, which the verifier knows from 5.6 on, so that it
 * checks the loops once however often they are called. data and data_end are read with a barrier in between:
 * the compiler may make arithmetic on the context pointer of two reads.
 */
#ifndef KM_MSG_COPY_H
#define KM_MSG_COPY_H

#include "km_out.h"

/* Bytes that one step, and one call of km_msg_write_part(), copies. */
#define KM_MSG_STEP KM_OUT_STEP
#define KM_MSG_PART 1024

/* Reads the message's first bytes (1 to KM_ROUTE_MAX_HEAD) into scratch->bytes, and makes them one element.
 * Negative: the message is shorter, or there is no memory. */
__noinline int km_msg_read(struct sk_msg_md *m, __u32 slot, __u32 bytes)
{
	struct km_route_scratch *scratch = km_route_slot(slot);
	__u64 data, end, length = bytes;

	if (!scratch || length < 1 || length > KM_ROUTE_MAX_HEAD)
		return -1;
	data = (__u64)m->data;
	asm volatile("" : "+r"(data)::"memory");
	end = (__u64)m->data_end;
	asm volatile("" : "+r"(end)::"memory");
	if (end - data < length) {
		if (bpf_msg_pull_data(m, 0, bytes, 0))
			return -1;
		asm volatile("" ::: "memory");
		data = (__u64)m->data;
		asm volatile("" : "+r"(data)::"memory");
		end = (__u64)m->data_end;
		asm volatile("" : "+r"(end)::"memory");
		if (end - data < length)
			return -1;
	}
	length -= 1;
	km_route_opaque(length);
	length &= KM_ROUTE_MAX_HEAD - 1;
	km_route_opaque(length);
	/* A helper may not be given packet memory to read, but an address it may; bounds are checked above.
	 */
	return bpf_probe_read_kernel(scratch->bytes, length + 1, (const void *)data);
}

/* Copies up to KM_MSG_PART bytes of the text that was made (km_out.h), from `from` on, to the place `at` of
 * what was pulled. */
__noinline int km_msg_write_part(struct sk_msg_md *m, __u32 slot, __u32 from, __u32 at, __u32 bytes)
{
	const struct km_out *out = km_out_slot(slot);
	__u64 source = from, target = at, left = bytes;
	__u8 *data, *end;
	int i;

	if (!out)
		return -1;
	data = m->data;
	asm volatile("" : "+r"(data)::"memory");
	end = m->data_end;
	asm volatile("" : "+r"(end)::"memory");
	for (i = 0; i < KM_MSG_PART / KM_MSG_STEP && left >= KM_MSG_STEP; i++) {
		__u8 *to;

		km_route_opaque(target);
		km_route_opaque(source);
		if (target > KM_ROUTE_MAX_OUT || source > KM_ROUTE_MAX_OUT)
			return -1;
		to = data + target;
		if (to + KM_MSG_STEP > end)
			return -1;
		km_out_step(to, out->text + source);
		target += KM_MSG_STEP;
		source += KM_MSG_STEP;
		left -= KM_MSG_STEP;
	}
	for (i = 0; i < KM_MSG_STEP / 8 - 1 && left >= 8; i++) {
		__u8 *to;

		km_route_opaque(target);
		km_route_opaque(source);
		if (target > KM_ROUTE_MAX_OUT || source > KM_ROUTE_MAX_OUT)
			return -1;
		to = data + target;
		if (to + 8 > end)
			return -1;
		*(__u64 *)to = *(const __u64 *)(out->text + source);
		target += 8;
		source += 8;
		left -= 8;
	}
	for (i = 0; i < 7 && left; i++) {
		__u8 *to;

		km_route_opaque(target);
		km_route_opaque(source);
		if (target > KM_ROUTE_MAX_OUT || source > KM_ROUTE_MAX_OUT)
			return -1;
		to = data + target;
		if (to + 1 > end)
			return -1;
		*to = out->text[source];
		target++;
		source++;
		left--;
	}
	return left ? -1 : 0;
}

/* Makes bytes `from` to `from + bytes` of the message one element and copies those of the text there. */
__noinline int km_msg_write(struct sk_msg_md *m, __u32 slot, __u32 from, __u32 bytes)
{
	__u32 at = 0;
	int i;

	if (bpf_msg_pull_data(m, from, from + bytes, 0))
		return -1;
	for (i = 0; i < KM_ROUTE_MAX_OUT / KM_MSG_PART && bytes > KM_MSG_PART; i++) {
		if (km_msg_write_part(m, slot, from, at, KM_MSG_PART))
			return -1;
		from += KM_MSG_PART;
		at += KM_MSG_PART;
		bytes -= KM_MSG_PART;
	}
	if (bytes > KM_MSG_PART)
		return -1;
	return km_msg_write_part(m, slot, from, at, bytes);
}

/* The same for the first `first` bytes and the rest of `bytes`, which stay elements of their own. */
__noinline int km_msg_write_apart(struct sk_msg_md *m, __u32 slot, __u32 first, __u32 bytes)
{
	if (km_msg_write(m, slot, 0, first))
		return -1;
	return km_msg_write(m, slot, first, bytes - first);
}

/* A new element for the `bytes` that are to take the place of the message, which is old_bytes long: from 6.13
 * on pop_data may take all that is behind it, and nothing is copied. Negative when it may not; there is then
 * room for bytes - old_bytes before the old element. */
static __always_inline int km_msg_renew(struct sk_msg_md *m, __u32 old_bytes, __u32 bytes)
{
	if (bpf_msg_push_data(m, 0, bytes, 0))
		return -1;
	if (bpf_msg_pop_data(m, bytes, old_bytes, 0))
		return bpf_msg_pop_data(m, 0, old_bytes, 0);
	return 0;
}

/*
 * Makes the message's first old_bytes (which km_msg_read() has made one element) become the text that was
 * made. Negative: the message is not what it was and must be dropped.
 *
 * Room is made and taken at the very beginning: there no element need be split, whose offset would come out
 * wrong below 6.13.
 */
__noinline int km_msg_replace_head(struct sk_msg_md *m, __u32 slot, __u32 old_bytes)
{
	const struct km_out *out = km_out_slot(slot);
	__u32 bytes;

	if (!out)
		return -1;
	bytes = out->bytes;
	if (!bytes || bytes > KM_ROUTE_MAX_OUT)
		return -1;
	if (bytes < old_bytes && bpf_msg_pop_data(m, 0, old_bytes - bytes, 0))
		return -1;
	if (bytes > old_bytes) {
		/* A body in the head's element should stay with it: one element is one packet. */
		if (m->size == old_bytes) {
			if (km_msg_renew(m, old_bytes, bytes))
				return -1;
		} else if (bpf_msg_push_data(m, 0, bytes - old_bytes, 0)) {
			return -1;
		}
	}
	/* That takes memory for the whole of the old element, which may be up to 32 KiB: without it, two
	 * packets are better than none. */
	if (!km_msg_write(m, slot, 0, bytes))
		return 0;
	if (bytes <= old_bytes)
		return -1;
	return km_msg_write_apart(m, slot, bytes - old_bytes, bytes);
}

#endif
