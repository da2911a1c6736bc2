/** What an agent says of its node, for `kmeshctl check --cluster` and for alerts. */
import { Gauge, type Registry } from 'prom-client';
import type { CheckResult } from '../api/types.ts';

export interface NodeFacts {
  /** What the kernel has and lacks; asked once. */
  readonly checks: () => readonly CheckResult[];
  /** Whether the CNI plugin is in the node's configuration; null: it is not to be. */
  readonly cniChained: () => boolean | null;
}

export function nodeMetrics(registry: Registry, { checks, cniChained }: NodeFacts): void {
  const registers = [registry];
  let known: readonly CheckResult[] | null = null;
  new Gauge({
    name: 'kmesh_node_check',
    help: '1 where the kernel has what the description says; required: Kmesh cannot do without.',
    labelNames: ['description', 'required'],
    registers,
    collect() {
      known ??= checks();
      this.reset();
      for (const { description, result } of known) {
        this.set({ description, required: String(result !== 'warning') }, result === 'success' ? 1 : 0);
      }
    },
  });
  new Gauge({
    name: 'kmesh_cni_chained',
    help: '1 while the CNI plugin is in the configuration that the container runtime uses; not there without --cni.',
    registers,
    collect() {
      const chained = cniChained();
      if (chained === null) this.remove();
      else this.set(chained ? 1 : 0);
    },
  });
}
