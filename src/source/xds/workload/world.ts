/** The world of the workload API: dual-engine mode. */
import type { Mesh, MeshDelta, Origin, Problem } from '../../../model/types.ts';
import { AuthzAction } from '../gen/messages.gen.ts';
import type { ResourceSink } from '../sink.ts';
import type { World } from '../world.ts';
import { AddressStore, type AddressStoreOptions } from './address-store.ts';
import { AuthorizationStore } from './authorization-store.ts';
import { policyDump } from './policy-dump.ts';

const nameOf = (table: Readonly<Record<string, number>>, value: number): string =>
  Object.entries(table).find(([, number]) => number === value)?.[0] ?? String(value);

export class WorkloadWorld implements World {
  readonly mesh: Mesh;
  readonly sinks: readonly ResourceSink[];
  readonly #origin: Origin;
  readonly #addresses: AddressStore;
  readonly #authorization = new AuthorizationStore();

  constructor(options: AddressStoreOptions) {
    this.#origin = options.origin;
    this.#addresses = new AddressStore(options);
    this.mesh = this.#addresses.mesh;
    this.sinks = [this.#addresses, this.#authorization];
  }

  close(): void {
    this.#addresses.close();
  }

  update(): MeshDelta {
    return this.#addresses.update();
  }

  problems(): Problem[] {
    const { file, line } = this.#origin;
    const warning = { severity: 'warning', file, line, lastGoodInForce: false } as const;
    const policies = [...this.#authorization.policies.values()].map(({ namespace, name, action, dryRun }): Problem => {
      const what = `${nameOf(AuthzAction, action)}${dryRun ? ', dry run' : ''}`;
      const reason = `the policy (${what}) is not enforced: the mesh has no authorization yet, connections are let through`;
      return { ...warning, code: 'KM1041', kind: 'Authorization', namespace, name, field: '', reason };
    });
    const notes = [...this.#addresses.notes()].map(({ kind, namespace, name, note }): Problem => {
      const colon = note.indexOf(': ');
      const [field, reason] = [note.slice(0, colon), note.slice(colon + 2)];
      return { ...warning, code: 'KM1042', kind, namespace, name, field, reason };
    });
    return [...policies, ...notes];
  }

  dump(): { readonly policies: readonly object[] } {
    return { policies: [...this.#authorization.policies.values()].map(policyDump) };
  }
}
