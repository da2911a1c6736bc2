/** Sources that give a mesh of their own instead of objects: control planes, and ztunnel's LocalConfig. */
import type { SourceStatus } from '../api/types.ts';
import type { Log } from '../base/log.ts';
import type { Mesh, MeshDelta, Origin, Problem } from '../model/types.ts';
import { systemClock } from '../source/xds/clock.ts';
import { systemResolve } from '../source/xds/dns.ts';
import { EnvoyWorld } from '../source/xds/envoy/world.ts';
import { LocalXdsSource } from '../source/xds/local/source.ts';
import { nodeOf } from '../source/xds/node.ts';
import { XdsSource } from '../source/xds/source.ts';
import { GrpcTransport } from '../source/xds/transport.ts';
import { WorkloadWorld } from '../source/xds/workload/world.ts';
import type { Settings } from './settings.ts';
import type { XdsSettings } from './xds-settings.ts';

export interface MeshSource {
  readonly mesh: Mesh;
  /** The whole of it has been read once. */
  readonly synced: boolean;
  start(): void;
  close(): void;
  problems(): readonly Problem[];
  status(): SourceStatus;
  /** Its resources, for the config dump; null: nothing that the mesh does not show. */
  dump(): object | null;
  /** Asks for what is at these addresses; absent: everything there is was asked for. */
  readonly demand?: (addresses: readonly string[]) => void;
}

export interface Told {
  readonly onChange: (delta: MeshDelta) => void;
  /** Seconds from a control plane's response until the kernel held it. */
  readonly onApplied: (seconds: number) => void;
}

/** In the order of precedence, behind objects. */
export function meshSources(settings: Settings, log: Log, told: Told): MeshSource[] {
  if (settings.xds === null) return [];
  return [...localSources(settings.xds, told.onChange), ...controlPlanes(settings, settings.xds, log, told)];
}

function localSources(xds: XdsSettings, onChange: (delta: MeshDelta) => void): MeshSource[] {
  return xds.local === null
    ? []
    : [
        new LocalXdsSource({
          from: xds.local,
          ...placeOf(xds),
          ...{ clock: systemClock, resolve: systemResolve(), onChange },
        }),
      ];
}

function controlPlanes(settings: Settings, xds: XdsSettings, log: Log, told: Told): MeshSource[] {
  const { server, identity, onDemand } = xds;
  if (server === null) return [];
  const origin: Origin = { source: 'xds', file: `xds://${server.address}`, line: 0 };
  const transport = new GrpcTransport({ ...server, clusterId: identity.clusterId });
  const logger = log.logger('xds');
  const common = { transport, origin, onDemand, clock: systemClock, random: Math.random, log: logger, ...told };
  const resolve = systemResolve();
  let source: XdsSource | null = null;
  const changed = (): void => source?.changed();
  if (settings.mode === 'dual-engine') {
    const world = new WorkloadWorld({ origin, ...placeOf(xds), dns: { clock: systemClock, resolve, changed } });
    const { network } = identity;
    source = new XdsSource({ ...common, network, world, dialect: 'delta', node: nodeOf('ztunnel', identity) });
    return [source];
  }
  const world = new EnvoyWorld({ origin, clock: systemClock, resolve, changed });
  source = new XdsSource({ ...common, world, dialect: 'sotw', node: nodeOf('sidecar', identity) });
  return [source];
}

function placeOf({ identity }: XdsSettings): { network: string; node: string; clusterId: string } {
  return { network: identity.network, node: identity.nodeName, clusterId: identity.clusterId };
}
