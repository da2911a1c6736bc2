// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Programs at the devices of enrolled namespaces. They let every packet pass. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

/* The host's end of a pod's veth: what the pod sends, and what it is sent. */
SEC("tc")
int km_from_pod(struct __sk_buff *skb)
{
	return TC_ACT_UNSPEC;
}

SEC("tc")
int km_to_pod(struct __sk_buff *skb)
{
	return TC_ACT_UNSPEC;
}

/* The namespace's own end of a device, where the other one is out of reach. */
SEC("tc")
int km_from_host(struct __sk_buff *skb)
{
	return TC_ACT_UNSPEC;
}

SEC("tc")
int km_to_host(struct __sk_buff *skb)
{
	return TC_ACT_UNSPEC;
}
