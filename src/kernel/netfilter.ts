/** Whether anything may have a say about packets on their way through the stack of the calling thread's namespace. */
import { readFileSync } from 'node:fs';
import { hasNfTables } from './netlink.ts';

/**
 * What is there, such as `iptables (filter, nat)`, or null. Found are tables of iptables and nf_tables, and services of
 * IPVS; not programs of BPF_PROG_TYPE_NETFILTER, nor policies of IPsec. KM4013.
 */
export function netfilterInUse(): string | null {
  const tables = ['ip_tables_names', 'ip6_tables_names'].flatMap(linesOf);
  if (tables.length > 0) return `iptables (${[...new Set(tables)].sort().join(', ')})`;
  if (hasNfTables()) return 'nftables';
  // Three lines of heading.
  return linesOf('ip_vs').length > 3 ? 'IPVS' : null;
}

function linesOf(name: string): string[] {
  try {
    return readFileSync(`/proc/thread-self/net/${name}`, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  } catch {
    return [];
  }
}
