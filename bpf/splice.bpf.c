// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Layer 7 on the wire: packets of spliced connections, rewritten between a client's one connection and the
 * several to endpoints. Attached to the host side of an enrolled pod's veth (from_pod, to_pod), where the pod
 * cannot remove it, or to the devices of a namespace whose other end is not on this machine (from_host,
 * to_host).
 */
#include "km_from_client.h"
#include "km_icmp.h"
#include "km_to_client.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* Where a packet goes, seen from the host side of the client's device (`outside`) or from the client's own
 * device. */
static __always_inline int km_send(struct __sk_buff *skb, int way, bool from_client, bool outside,
				   __u32 device)
{
	switch (way) {
	case KM_WAY_PASS:
		return TC_ACT_UNSPEC;
	case KM_WAY_NETWORK:
		if (from_client)
			return device && !outside ? bpf_redirect_neigh(device, NULL, 0, 0) : TC_ACT_UNSPEC;
		if (km_swap_mac(skb))
			return TC_ACT_SHOT;
		return bpf_redirect(skb->ifindex, outside ? BPF_F_INGRESS : 0);
	case KM_WAY_CLIENT:
		if (!from_client)
			return TC_ACT_UNSPEC;
		if (km_swap_mac(skb))
			return TC_ACT_SHOT;
		return bpf_redirect(skb->ifindex, outside ? 0 : BPF_F_INGRESS);
	default:
		return TC_ACT_SHOT;
	}
}

/* At the host side of an endpoint's device: the way to the client is a hand-over, and back goes where it came
 * from. */
static __always_inline int km_send_near(struct __sk_buff *skb, const struct km_work *w, int way)
{
	switch (way) {
	case KM_WAY_NETWORK:
		return km_swap_mac(skb) ? TC_ACT_SHOT : bpf_redirect(skb->ifindex, 0);
	case KM_WAY_CLIENT:
		return km_hand_over(skb, w->device);
	default:
		return TC_ACT_SHOT;
	}
}

static __always_inline struct km_work *km_begin(struct __sk_buff *skb, bool outside)
{
	struct km_work *w = km_worked();

	if (!w || w->cloning || !km_packet_read(skb, &w->p))
		return NULL;
	w->outside = outside;
	w->device = 0;
	return w;
}

#define KM_NOT_NEAR 0x100 /* beside TC_ACT_… */

/* What an endpoint that is enrolled itself sends to a client on this machine. */
static __always_inline int km_from_near(struct __sk_buff *skb, struct km_work *w)
{
	int way = km_from_near_endpoint(skb, w);

	if (!w->outside)
		return km_send(skb, way, false, false, 0);
	return way == KM_WAY_PASS ? KM_NOT_NEAR : km_send_near(skb, w, way);
}

/* By this mark a packet is known that comes again; the low half says since when, in units of 16 µs. */
#define KM_AGAIN_MARK  0x6b6d0000
#define KM_AGAIN_SHIFT 14
/* 20 ms: who is overtaken may wait for its CPU as long as a program that runs there is given. */
#define KM_AGAIN_MOST (20 * KM_NS_PER_MS >> KM_AGAIN_SHIFT)

/*
 * A client's TCP sends from two CPUs when its program and its acknowledgements are on different ones, so that
 * packets overtake each other on the way here. Dropped, one would take all behind it along, and nothing would
 * tell the client before its timer. So it goes back to the end of this CPU's queue, for some time: `mark` is
 * what it came with. It came from another namespace first, with none.
 */
static __always_inline int km_come_again(struct __sk_buff *skb, __u32 mark)
{
	__u16 now = bpf_ktime_get_ns() >> KM_AGAIN_SHIFT;

	if (!mark) {
		mark = KM_AGAIN_MARK | now;
	} else if ((__u16)(now - mark) > KM_AGAIN_MOST) {
		km_count(KM_COUNTER_OVERTAKEN);
		return TC_ACT_SHOT;
	}
	skb->mark = mark;
	return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}

/*
 * Ingress of the pod's veth on the host: what the pod sends, be it a client or an endpoint. Which it is more
 * likely to be is looked for first: sockets that connect have ports that halves never have.
 */
SEC("tc")
int km_from_pod(struct __sk_buff *skb)
{
	struct km_work *w = km_begin(skb, true);
	bool near, looked = false;
	__u32 mark = 0;
	int way;

	if (!w)
		return TC_ACT_UNSPEC;
	if ((skb->mark & 0xffff0000) == KM_AGAIN_MARK) {
		mark = skb->mark;
		skb->mark = 0;
	}
	near = km_is_wire_port(w->p.to_port);
	if (near && (bpf_ntohs(w->p.from_port) < KM_WIRE_LOWEST || km_is_wire_port(w->p.from_port))) {
		way = km_from_near(skb, w);
		if (way != KM_NOT_NEAR)
			return way;
		looked = true;
	}
	way = km_from_client(skb, w);
	if (way == KM_WAY_PASS && near && !looked) {
		way = km_from_near(skb, w);
		return way == KM_NOT_NEAR ? TC_ACT_UNSPEC : way;
	}
	if (way == KM_WAY_AGAIN)
		return km_come_again(skb, mark);
	if (way == KM_WAY_NETWORK && w->device)
		return km_hand_over(skb, w->device);
	return km_send(skb, way, true, true, 0);
}

/* Its egress: what the pod gets. */
SEC("tc")
int km_to_pod(struct __sk_buff *skb)
{
	struct km_work *w = km_begin(skb, true);

	if (!w)
		return km_send(skb, km_from_router(skb), false, true, 0);
	if (!km_is_wire_port(w->p.to_port))
		return TC_ACT_UNSPEC;
	return km_send(skb, km_from_endpoint(skb, w), false, true, 0);
}

/* Egress of a device in the client's own namespace. */
SEC("tc")
int km_from_host(struct __sk_buff *skb)
{
	struct km_work *w = km_begin(skb, false);

	int way;

	if (!w)
		return TC_ACT_UNSPEC;
	way = km_from_client(skb, w);
	return km_send(skb, way, true, false, w->device);
}

/* Its ingress. */
SEC("tc")
int km_to_host(struct __sk_buff *skb)
{
	struct km_work *w = km_begin(skb, false);

	if (!w)
		return km_send(skb, km_from_router(skb), false, false, 0);
	if (!km_is_wire_port(w->p.to_port))
		return TC_ACT_UNSPEC;
	return km_send(skb, km_from_endpoint(skb, w), false, false, 0);
}
