/** Metrics of control planes, read from the sources' status at the scrape. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { SourceStatus } from '../api/types.ts';

export function xdsMetrics(registry: Registry, sources: () => readonly SourceStatus[]): void {
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
}
