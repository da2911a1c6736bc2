/**
 * Reads the kernel's tables back and compares them with what the compiler says: the truth behind `kmeshctl status`. It
 * reads, not the publisher's mirror, so a record that someone else changed is found.
 */
import { addressFromWords, hostPort } from '../base/address.ts';
import type { CompiledCluster, CompiledListener, CompiledService, CompiledTable } from '../compile/service.ts';
import { listenerName } from './keys.ts';
import { clusterRecord, listenerModes, settingsOf } from './plan.ts';
import type { Tables } from './tables.ts';

/** One line a difference, at most `limit` of them; empty when the kernel holds exactly this. */
export function differences(tables: Tables, services: Iterable<CompiledService>, limit = 20): string[] {
  const found: string[] = [];
  const listeners = new Map<string, CompiledListener>();
  const routes = new Map<string, CompiledTable>();
  const clusters = new Map<bigint, CompiledCluster>();
  for (const s of services) {
    for (const l of s.listeners) listeners.set(l.name, l);
    for (const t of s.tables) routes.set(t.name, t);
    for (const c of s.clusters) clusters.set(c.id, c);
  }
  checkListeners(tables, listeners, routes, found);
  checkClusters(tables, clusters, found);
  checkEndpoints(tables, clusters, found);
  return found.slice(0, limit);
}

function checkListeners(
  tables: Tables,
  wanted: ReadonlyMap<string, CompiledListener>,
  routes: ReadonlyMap<string, CompiledTable>,
  found: string[],
): void {
  const seen = new Set<string>();
  const generations = new Map<number, bigint | null>();
  for (const [key, record] of tables.listener.entries()) {
    if (record.cluster === 0n) continue;
    const name = listenerName(key);
    seen.add(name);
    const listener = wanted.get(name);
    if (listener === undefined) {
      found.push(`listener ${name} is in the kernel and in no source`);
      continue;
    }
    if (record.cluster !== listener.cluster) found.push(`listener ${name} leads to another cluster`);
    if (record.mode !== listenerModes[listener.mode]) found.push(`listener ${name} has another mode`);
    const table = listener.table === null ? undefined : routes.get(listener.table);
    if (table === undefined && record.routes !== 0) found.push(`listener ${name} has a route table`);
    // Of a refused table the last good one is in force, if there was one.
    if (!table?.routes) continue;
    const generation = generations.get(record.routes) ?? tables.routes.generation(record.routes);
    generations.set(record.routes, generation);
    if (record.routes === 0) found.push(`listener ${name} has no route table`);
    else if (generation !== table.routes.generation) found.push(`listener ${name} has another route table`);
  }
  for (const name of wanted.keys()) if (!seen.has(name)) found.push(`listener ${name} is not in the kernel`);
}

function checkClusters(tables: Tables, wanted: ReadonlyMap<bigint, CompiledCluster>, found: string[]): void {
  for (const [id, c] of wanted) {
    const record = tables.cluster.get(id);
    if (record === undefined) {
      found.push(`cluster ${id} is not in the kernel`);
      continue;
    }
    const expected = clusterRecord(c, { first: record.first, length: record.slots });
    if (settingsOf(record) !== settingsOf(expected)) found.push(`cluster ${id}: other policy`);
    if (tables.clusterStats.get(id) === undefined) found.push(`cluster ${id}: no counters`);
    if (record.slots !== c.slots.length || !sameSlots(tables, record.first, c))
      found.push(`cluster ${id}: other slots`);
  }
}

function sameSlots(tables: Tables, first: number, c: CompiledCluster): boolean {
  return c.slots.every((s, i) => {
    const slot = tables.slot.get(first + i);
    return slot?.endpoint === s.endpoint && slot.alias === s.alias && slot.threshold === s.threshold;
  });
}

function checkEndpoints(tables: Tables, clusters: ReadonlyMap<bigint, CompiledCluster>, found: string[]): void {
  const wanted = new Map([...clusters.values()].flatMap((c) => c.endpoints.map((e) => [e.id, e] as const)));
  for (const [id, record] of tables.endpoint.entries()) {
    const endpoint = wanted.get(id);
    if (endpoint === undefined) {
      if (record.usable !== 0)
        found.push(`endpoint ${place(record.addr, record.port)} is in the kernel and in no source`);
      continue;
    }
    wanted.delete(id);
    const name = hostPort(endpoint.address, endpoint.port);
    if (record.usable === 0) found.push(`endpoint ${name} is marked as removed`);
    else if (place(record.addr, record.port) !== name || record.cluster !== endpoint.cluster) {
      found.push(`endpoint ${name} has another address in the kernel`);
    } else if (record.workload !== endpoint.workload) found.push(`endpoint ${name} has another workload in the kernel`);
  }
  for (const e of wanted.values()) found.push(`endpoint ${hostPort(e.address, e.port)} is not in the kernel`);
}

const place = (addr: readonly number[], port: number): string => hostPort(addressFromWords(addr), port);
