/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * How the parsers of packets (TC) read a payload: through a window of it, that is copied out of the packet,
 * which may be 512 KiB in many pieces. Behind the window stand eight bytes of zero, so that no scan runs past
 * it. Programs of TC do not interrupt each other on a CPU: one window does for all of them.
 */
#ifndef KM_HTTP_WINDOW_H
#define KM_HTTP_WINDOW_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "km_http.h"
#include "km_http_scan.h"

#define KM_HTTP_WINDOW_MASK 1023

struct km_http_window {
	struct km_response response; /* that is being read */
	__u32 offset;		     /* of the payload in the packet */
	__u32 length;		     /* of the payload */
	__u32 position;		     /* in the payload, of the next byte to be read */
	__u32 begin;		     /* positions that the window has */
	__u32 end;
	__u32 pad;
	__u8 bytes[KM_HTTP_WINDOW_MASK + 1 + 16];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct km_http_window);
} km_http_window SEC(".maps");

static __always_inline struct km_http_window *km_http_get_window(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&km_http_window, &zero);
}

/* Byte and word at a position of the payload. */
static __always_inline __u64 km_http_window_byte(const struct km_http_window *window, __u64 position)
{
	return km_http_byte_at(window->bytes, KM_HTTP_WINDOW_MASK, position - window->begin);
}

static __always_inline __u64 km_http_window_word(const struct km_http_window *window, __u64 position)
{
	return km_http_word_at(window->bytes, KM_HTTP_WINDOW_MASK, position - window->begin);
}

/* Makes the window begin at the position, `size` (1 to 512) bytes long if there are so many. Returns 0 when
 * the packet cannot be read. */
__noinline int km_http_fill(struct __sk_buff *skb, __u32 size)
{
	struct km_http_window *window = km_http_get_window();
	__u64 count, last;

	if (!window || window->position >= window->length)
		return 0;
	count = window->length - window->position;
	if (count > size)
		count = size;
	last = count - 1;
	asm volatile("" : "+r"(last));
	last &= KM_HTTP_WINDOW_MASK >> 1;
	asm volatile("" : "+r"(last));
	window->begin = window->position;
	window->end = window->position + last + 1;
	if (bpf_skb_load_bytes(skb, window->offset + window->position, window->bytes, last + 1))
		return 0;
	*(km_http_word *)(window->bytes + last + 1) = 0;
	return 1;
}

/* Begins a payload. */
static __always_inline void km_http_begin(struct km_http_window *window, __u32 offset, __u32 length)
{
	window->offset = offset;
	window->length = length;
	window->position = 0;
	window->begin = 0;
	window->end = 0;
}

#endif
