/** What the resources of one mode become: sinks to fill, and a mesh to read. */
import type { Mesh, MeshDelta, Problem } from '../../model/types.ts';
import type { ResourceSink } from './sink.ts';

export interface World {
  readonly mesh: Mesh;
  /** In the order in which they are subscribed to. */
  readonly sinks: readonly ResourceSink[];
  /** Computes what the resources since the last call change. */
  update(): MeshDelta;
  /** What has no effect or is not enforced; refused resources are told by the subscriptions. */
  problems(): readonly Problem[];
  /** The resources as they are, for people: Kmesh's and ztunnel's config dumps. */
  dump(): object;
  /** Told before it is not used any more. */
  close?(): void;
}
