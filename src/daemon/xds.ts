/** The control plane as a source: which world its resources make, and how it is reached. */
import type { Log } from '../base/log.ts';
import type { MeshDelta, Origin } from '../model/types.ts';
import { systemClock } from '../source/xds/clock.ts';
import { systemResolve } from '../source/xds/envoy/dns.ts';
import { EnvoyWorld } from '../source/xds/envoy/world.ts';
import { nodeOf } from '../source/xds/node.ts';
import { XdsSource } from '../source/xds/source.ts';
import { GrpcTransport } from '../source/xds/transport.ts';
import { WorkloadWorld } from '../source/xds/workload/world.ts';
import type { Settings } from './settings.ts';
import type { XdsSettings } from './xds-settings.ts';

/** Null when the settings name no control plane. */
export function makeXdsSource(settings: Settings, log: Log, onChange: (delta: MeshDelta) => void): XdsSource | null {
  const server = settings.xds?.server;
  if (settings.xds === null || server === null || server === undefined) return null;
  const { identity, onDemand } = settings.xds;
  const origin: Origin = { source: 'xds', file: `xds://${server.address}`, line: 0 };
  const transport = new GrpcTransport({ ...server, clusterId: identity.clusterId });
  const common = {
    transport,
    origin,
    onDemand,
    clock: systemClock,
    random: Math.random,
    log: log.logger('xds'),
    onChange,
  };
  if (settings.mode === 'kernel-native') {
    let source: XdsSource | null = null;
    const changed = (): void => source?.changed();
    const envoy = new EnvoyWorld({ origin, clock: systemClock, resolve: systemResolve(), changed });
    source = new XdsSource({ ...common, world: envoy, dialect: 'sotw', node: nodeOf('sidecar', identity) });
    return source;
  }
  const world = new WorkloadWorld({ origin, ...placeOfDaemon(settings.xds) });
  return new XdsSource({ ...common, world, dialect: 'delta', node: nodeOf('ztunnel', identity) });
}

function placeOfDaemon({ identity }: XdsSettings): { network: string; node: string; clusterId: string } {
  return { network: identity.network, node: identity.nodeName, clusterId: identity.clusterId };
}
