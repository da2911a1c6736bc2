// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Runs the HTTP parsers over texts that come as packets, behind 14 bytes that tell what to do. */
#include <linux/tcp.h>
#include "../include/km_http_head.h"
#include "../include/km_http_response.h"

#define KM_TEST_ETHERNET 14

/* What stands behind the Ethernet header of the packets of the last programs. */
struct km_test_stream {
	__u32 end;   /* where it ended, if it did */
	__u32 ended; /* 1 if it did */
	struct km_response response;
};

/* What km_test_http_traffic has seen. */
struct km_test_traffic {
	__u64 bytes;	 /* of payload */
	__u64 ends[4];	 /* of responses, in all of it */
	__u32 responses; /* that ended */
	__u32 largest;	 /* packet */
	__u32 sequence;	 /* number of the next byte */
	__u32 pad;
	struct km_response response;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct km_test_traffic);
} km_test_traffic SEC(".maps");

/* BTF for what the tests read out of packets and slots. */
struct km_test_http_parts {
	enum km_http_verdict verdict;
	enum km_http_body body;
	enum km_http_flags flags;
	enum km_response_phase phase;
	enum km_response_flags response_flags;
	enum km_chunks_step step;
	struct km_test_stream stream;
};

const volatile struct km_test_http_parts km_test_http_parts = {};

/* The head in the scratch slot of this CPU; the packet says its length, and whether it is a connection's
 * beginning. */
SEC("tc")
int km_test_http_slot(struct __sk_buff *skb)
{
	__u32 words[2] = {};

	bpf_skb_load_bytes(skb, 0, words, sizeof(words));
	return km_http_head(0, words[0], words[1]);
}

/* What a test run costs by itself. */
SEC("tc")
int km_test_http_nothing(struct __sk_buff *skb)
{
	__u32 words[2] = {};

	bpf_skb_load_bytes(skb, 0, words, sizeof(words));
	return words[0];
}

/* The head is the packet: its first four bytes say whether it is a connection's beginning. Leaves struct
 * km_http_head and struct km_route_request in its place. */
SEC("tc")
int km_test_http_head(struct __sk_buff *skb)
{
	struct km_route_scratch *scratch = km_route_slot(0);
	struct km_http_head head;
	__u32 first = 0;
	__u64 length;
	int verdict;

	if (!scratch || km_test_http_parts.verdict)
		return -1;
	bpf_skb_load_bytes(skb, 0, &first, sizeof(first));
	length = (__u64)skb->len - KM_TEST_ETHERNET;
	if (length > KM_ROUTE_MAX_HEAD)
		return -1;
	if (length) {
		__u64 last = length - 1;

		asm volatile("" : "+r"(last));
		last &= KM_ROUTE_MAX_HEAD - 1;
		asm volatile("" : "+r"(last));
		if (bpf_skb_load_bytes(skb, KM_TEST_ETHERNET, scratch->bytes, last + 1))
			return -1;
	}
	verdict = km_http_head(0, length, first);
	head = scratch->head;
	if (bpf_skb_change_tail(skb, KM_TEST_ETHERNET + sizeof(head) + sizeof(scratch->request), 0))
		return -1;
	bpf_skb_store_bytes(skb, KM_TEST_ETHERNET, &head, sizeof(head), 0);
	bpf_skb_store_bytes(skb, KM_TEST_ETHERNET + sizeof(head), &scratch->request, sizeof(scratch->request),
			    0);
	return verdict;
}

/* Follows a response over one packet: struct km_test_stream, which it writes back, then the payload. */
SEC("tc")
int km_test_http_response(struct __sk_buff *skb)
{
	const __u32 payload = KM_TEST_ETHERNET + sizeof(struct km_test_stream);
	struct km_test_stream stream;

	if (bpf_skb_load_bytes(skb, KM_TEST_ETHERNET, &stream, sizeof(stream)))
		return -1;
	stream.end = 0;
	stream.ended = km_response_advance(skb, payload, skb->len - payload, &stream.response, &stream.end);
	bpf_skb_store_bytes(skb, KM_TEST_ETHERNET, &stream, sizeof(stream), 0);
	return stream.response.phase;
}

/* Follows the payload from a response's beginning, whatever the packet says, and leaves the packet alone: for
 * measuring. */
SEC("tc")
int km_test_http_response_fresh(struct __sk_buff *skb)
{
	const __u32 payload = KM_TEST_ETHERNET + sizeof(struct km_test_stream);
	struct km_response response = {};
	__u32 end = 0;

	km_response_advance(skb, payload, skb->len - payload, &response, &end);
	return response.phase;
}

/* The same for a chunked body alone. */
SEC("tc")
int km_test_http_chunks(struct __sk_buff *skb)
{
	const __u32 payload = KM_TEST_ETHERNET + sizeof(struct km_test_stream);
	struct km_test_stream stream;

	if (bpf_skb_load_bytes(skb, KM_TEST_ETHERNET, &stream, sizeof(stream)))
		return -1;
	stream.end = 0;
	stream.ended =
		km_chunks_advance(skb, payload, skb->len - payload, &stream.response.body, &stream.end);
	bpf_skb_store_bytes(skb, KM_TEST_ETHERNET, &stream, sizeof(stream), 0);
	return stream.response.body.step;
}

/* Follows the responses of a server on port 8080 (IPv4, one connection); what is sent again is left out. */
SEC("tc")
int km_test_http_traffic(struct __sk_buff *skb)
{
	__u32 zero = 0, end = 0, payload, length, again, i;
	struct km_test_traffic *traffic;
	struct tcphdr tcp;

	traffic = bpf_map_lookup_elem(&km_test_traffic, &zero);
	if (!traffic || skb->protocol != __builtin_bswap16(0x0800) ||
	    bpf_skb_load_bytes(skb, KM_TEST_ETHERNET + 20, &tcp, sizeof(tcp)) ||
	    tcp.source != __builtin_bswap16(8080))
		return 0;
	if (skb->len > traffic->largest)
		traffic->largest = skb->len;
	if (tcp.syn)
		traffic->sequence = __builtin_bswap32(tcp.seq) + 1;
	payload = KM_TEST_ETHERNET + 20 + tcp.doff * 4;
	length = skb->len - payload;
	again = traffic->sequence - __builtin_bswap32(tcp.seq);
	if (again >= length)
		return 0;
	payload += again;
	length -= again;
	traffic->sequence += length;
	/* One response may follow another. */
	for (i = 0; i < 4 && length; i++) {
		if (!km_response_advance(skb, payload, length, &traffic->response, &end) || end > length)
			break;
		traffic->bytes += end;
		traffic->ends[traffic->responses++ & 3] = traffic->bytes;
		__builtin_memset(&traffic->response, 0, sizeof(traffic->response));
		payload += end;
		length -= end;
	}
	traffic->bytes += length;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
