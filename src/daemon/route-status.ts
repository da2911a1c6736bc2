/** The writer of routes' status, where the settings ask for one. */
import { randomUUID } from 'node:crypto';
import type { Log } from '../base/log.ts';
import type { MeshBuilder } from '../model/mesh.ts';
import type { ObjectKind } from '../model/objects.ts';
import type { Problem } from '../model/types.ts';
import type { SourceBatch } from '../source/source.ts';
import { systemTimers } from '../source/timers.ts';
import { StatusWriter } from '../status/writer.ts';
import type { Settings } from './settings.ts';
import { accessOf } from './sources.ts';

/** Kinds of which a change may change what is to be said of a route. */
const concerning: ReadonlySet<ObjectKind> = new Set<ObjectKind>(['HTTPRoute', 'Service', 'ReferenceGrant']);

export interface RouteStatus {
  start(): void;
  /** Told of each change that the mesh has taken over. */
  changed(batch: SourceBatch): void;
  close(): Promise<void>;
}

/** `refusals`: what no kernel table can hold. */
export function routeStatusOf(
  { kubernetes, routeStatus, nodeName, namespace }: Settings,
  log: Log,
  builder: MeshBuilder,
  refusals: () => readonly Problem[],
): RouteStatus | null {
  if (kubernetes === null || !routeStatus) return null;
  const writer = new StatusWriter({
    access: accessOf(kubernetes),
    namespaces: kubernetes.namespaces,
    timers: systemTimers,
    log: log.logger('status'),
    leaseNamespace: namespace,
    identity: `${nodeName}_${randomUUID()}`,
    mesh: { verdict: (object) => builder.routeVerdict(object), refusals },
  });
  return {
    start: () => writer.start(),
    changed: ({ upserted, removed }) => {
      if ([...upserted, ...removed].some(({ kind }) => concerning.has(kind))) writer.meshChanged();
    },
    close: () => writer.close(),
  };
}
