/** Names of enum bpf_map_type by number (linux/bpf.h), as bpftool prints them. */
const names = [
  'unspec',
  'hash',
  'array',
  'prog_array',
  'perf_event_array',
  'percpu_hash',
  'percpu_array',
  'stack_trace',
  'cgroup_array',
  'lru_hash',
  'lru_percpu_hash',
  'lpm_trie',
  'array_of_maps',
  'hash_of_maps',
  'devmap',
  'sockmap',
  'cpumap',
  'xskmap',
  'sockhash',
  'cgroup_storage',
  'reuseport_sockarray',
  'percpu_cgroup_storage',
  'queue',
  'stack',
  'sk_storage',
  'devmap_hash',
  'struct_ops',
  'ringbuf',
  'inode_storage',
  'task_storage',
  'bloom_filter',
  'user_ringbuf',
  'cgrp_storage',
  'arena',
] as const;

export type MapTypeName = (typeof names)[number];

/** `hash` for 1; `type N` for one that is newer than this list. */
export function mapTypeName(type: number): string {
  return names[type] ?? `type ${type}`;
}

export function mapTypeNumber(name: MapTypeName): number {
  return names.indexOf(name);
}

/** True when each CPU has its own copy of a value. */
export const isPerCpu = (type: number): boolean =>
  type === mapTypeNumber('percpu_hash') ||
  type === mapTypeNumber('percpu_array') ||
  type === mapTypeNumber('lru_percpu_hash');

/** True when every index exists from the start and nothing can be deleted. */
export const isArray = (type: number): boolean =>
  type === mapTypeNumber('array') || type === mapTypeNumber('percpu_array');
