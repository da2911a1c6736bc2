/** Whether a service still fits into the kernel's tables, and which setting makes them larger when it does not. */

export type SizedTable = 'listener' | 'cluster' | 'endpoint' | 'slot';

export type Capacity = Record<SizedTable, { used: number; readonly size: number }>;

/** The daemon flag that sizes each table. */
export const sizeFlags: Readonly<Record<SizedTable | 'source', string>> = {
  listener: '--max-listeners',
  cluster: '--max-clusters',
  endpoint: '--max-endpoints',
  slot: '--max-slots',
  source: '--max-source-rows',
};

/** Takes the growth from the capacity and gives null, or gives the reason and takes nothing. */
export function checkCapacity(capacity: Capacity, growth: Readonly<Record<SizedTable, number>>): string | null {
  const tables = ['listener', 'cluster', 'endpoint', 'slot'] as const;
  const full = tables.find((t) => capacity[t].used + growth[t] > capacity[t].size);
  if (full !== undefined) {
    const { used, size } = capacity[full];
    return `KM3001 km_${full} is full (${used}/${size}, ${growth[full]} more needed): raise ${sizeFlags[full]}`;
  }
  for (const t of tables) capacity[t].used += growth[t];
  return null;
}
