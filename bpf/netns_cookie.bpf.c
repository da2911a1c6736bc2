// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The cookie of a network namespace on kernels without SO_NETNS_COOKIE (before 5.14): attached only while the
 * daemon connects a datagram socket inside the namespace, it records the cookie for the daemon's own process.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 km_daemon_pid = 0;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} km_netns_cookie SEC(".maps");

SEC("cgroup/connect4")
int km_record_cookie(struct bpf_sock_addr *ctx)
{
	__u64 cookie = bpf_get_netns_cookie(ctx);
	__u32 zero = 0;

	if (bpf_get_current_pid_tgid() >> 32 == km_daemon_pid)
		bpf_map_update_elem(&km_netns_cookie, &zero, &cookie, BPF_ANY);
	return 1;
}
