// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Layer 7 on the wire: packets of spliced connections, rewritten between a client's one connection and the
 * several to endpoints. Attached to the host side of an enrolled pod's veth (from_pod, to_pod), where the pod
 * cannot remove it, or to the devices of a namespace whose other end is not on this machine (from_host,
 * to_host).
 */
#include "km_from_client.h"
#include "km_to_client.h"

char _license[] SEC("license") = "Dual BSD/GPL";

static __always_inline int km_send(struct __sk_buff *skb, int way, bool from_client, bool outside)
{
	switch (way) {
	case KM_WAY_PASS:
		return TC_ACT_UNSPEC;
	case KM_WAY_NETWORK:
		if (from_client)
			return TC_ACT_UNSPEC;
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

/* Ingress of the pod's veth on the host: what the pod sends. */
SEC("tc")
int km_from_pod(struct __sk_buff *skb)
{
	return km_send(skb, km_from_client(skb, true), true, true);
}

/* Its egress: what the pod gets. */
SEC("tc")
int km_to_pod(struct __sk_buff *skb)
{
	return km_send(skb, km_from_endpoint(skb, true), false, true);
}

/* Egress of a device in the client's own namespace. */
SEC("tc")
int km_from_host(struct __sk_buff *skb)
{
	return km_send(skb, km_from_client(skb, false), true, false);
}

/* Its ingress. */
SEC("tc")
int km_to_host(struct __sk_buff *skb)
{
	return km_send(skb, km_from_endpoint(skb, false), false, false);
}
