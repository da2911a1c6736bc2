/**
 * Removes what spliced connections have left behind: flows whose socket was closed without a last packet, and wire entries of
 * endpoints that never closed their side. The kernel removes all others itself, and takes such ports over after the same
 * time, so nothing depends on a daemon that runs.
 */
import {
  type KmAnswers,
  type KmFlow,
  type KmFlowKey,
  type KmHalf,
  type KmWire,
  kmFlowFlags,
  kmHalfFlags,
  kmHalfState,
  kmWireState,
} from '../kernel/gen/layout.gen.ts';
import type { KernelMap } from '../kernel/map.ts';

/** KM_FLOW_GRACE_NS: the longest that a late packet is waited for, as TIME_WAIT does. */
export const flowGraceNs = 60_000_000_000n;

export interface FlowTables {
  readonly flows: Pick<KernelMap<KmFlowKey, KmFlow>, 'entries' | 'get' | 'deleteAll'>;
  /** Beside a flow. */
  readonly answers: Pick<KernelMap<KmFlowKey, KmAnswers>, 'deleteAll'>;
  readonly wires: Pick<KernelMap<KmFlowKey, KmWire>, 'entries' | 'deleteAll'>;
}

/** `nowNs`: CLOCK_MONOTONIC, nanoseconds. Returns how many flows and wire entries went. */
export function sweepFlows({ flows, answers, wires }: FlowTables, nowNs: bigint): { flows: number; wires: number } {
  const isOver = (flow: KmFlow): boolean =>
    (flow.flags & kmFlowFlags.CLOSED) !== 0 && flow.closedNs !== 0n && nowNs - flow.closedNs > flowGraceNs;
  const old = [...flows.entries()].filter(([, flow]) => isOver(flow));
  // A client may have used the port again since.
  const over = old.filter(([key]) => {
    const flow = flows.get(key);
    return flow !== undefined && isOver(flow);
  });
  const gone = over.flatMap(([key, flow]) =>
    flow.half.filter((half) => half.state !== kmHalfState.FREE).map((half) => wireKey(key, half)),
  );
  for (const [key, wire] of wires.entries()) {
    if (wire.state !== kmWireState.LIVE && nowNs - wire.closingNs > flowGraceNs) gone.push(key);
  }
  answers.deleteAll(over.flatMap(([key, flow]) => ((flow.flags & kmFlowFlags.ANSWERS) === 0 ? [] : [key])));
  flows.deleteAll(over.map(([key]) => key));
  wires.deleteAll(gone);
  return { flows: over.length, wires: gone.length };
}

const wireKey = (key: KmFlowKey, half: KmHalf): KmFlowKey => ({
  client: (half.flags & kmHalfFlags.BACK) === 0 ? key.client : key.server,
  server: half.addr,
  clientPort: half.wirePort,
  serverPort: half.port,
});
