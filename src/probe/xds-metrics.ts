/** Metrics of control planes, read from the sources' status at the scrape. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { SourceStatus } from '../api/types.ts';

/** The histogram takes the seconds from a response until the kernel held it. */
export function xdsMetrics(registry: Registry, sources: () => readonly SourceStatus[]): Histogram {
  const registers = [registry];
  const planes = () => sources().flatMap(({ location, xds }) => (xds === undefined ? [] : [{ location, xds }]));
  new Gauge({
    name: 'kmesh_xds_connected',
    help: '1 while the control plane answers on an open stream.',
    labelNames: ['control_plane'],
    registers,
    collect() {
      this.reset();
      for (const { location, xds } of planes()) this.set({ control_plane: location }, xds.connected ? 1 : 0);
    },
  });
  new Gauge({
    name: 'kmesh_xds_resources',
    help: 'Resources of a control plane, by type, in force or refused.',
    labelNames: ['control_plane', 'type', 'state'],
    registers,
    collect() {
      this.reset();
      for (const { location, xds } of planes()) {
        for (const { type, resources, refused } of xds.types) {
          this.set({ control_plane: location, type, state: 'in_force' }, resources);
          this.set({ control_plane: location, type, state: 'refused' }, refused);
        }
      }
    },
  });
  new Counter({
    name: 'kmesh_xds_responses_total',
    help: 'Responses of a control plane, by type and what they were answered with.',
    labelNames: ['control_plane', 'type', 'answer'],
    registers,
    collect() {
      this.reset();
      for (const { location, xds } of planes()) {
        for (const { type, acks, nacks } of xds.types) {
          this.inc({ control_plane: location, type, answer: 'ack' }, acks);
          this.inc({ control_plane: location, type, answer: 'nack' }, nacks);
        }
      }
    },
  });
  return new Histogram({
    name: 'kmesh_xds_apply_duration_seconds',
    help: 'Time from the first response of a change until the kernel holds it.',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
}
