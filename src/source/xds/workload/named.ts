/** Workloads that the control plane only knows by a host name: their addresses are asked for, again and again. */
import type { Clock } from '../clock.ts';
import { DnsNames, type Resolve } from '../dns.ts';
import type { WorkloadSpec } from './workload-spec.ts';

export interface DnsOptions {
  readonly clock: Clock;
  readonly resolve: Resolve;
  /** Told when an answer is another one than before: the mesh is to be computed again. */
  readonly changed: () => void;
}

/** How long to wait after a lookup that failed; what succeeds says itself how long it holds. */
const refreshMs = 5000;

export class NamedWorkloads {
  /** As the control plane gave them, by uid. */
  readonly #specs = new Map<string, WorkloadSpec>();
  readonly #dns: DnsNames;
  readonly #resolved: (spec: WorkloadSpec) => void;
  #asked = true;

  /** `resolved`: takes a workload whose addresses are other ones now. */
  constructor(options: DnsOptions, resolved: (spec: WorkloadSpec) => void) {
    this.#resolved = resolved;
    this.#dns = new DnsNames(options.clock, options.resolve, (host) => {
      for (const spec of this.#specs.values()) if (spec.hostname === host) this.#resolved(this.#withAddresses(spec));
      options.changed();
    });
  }

  /** Remembers a workload, and gives it with the addresses that its name has now. */
  put(spec: WorkloadSpec): WorkloadSpec {
    if (spec.hostname === '' || spec.addresses.length > 0) {
      this.remove(spec.uid);
      return spec;
    }
    this.#specs.set(spec.uid, spec);
    this.#asked = false;
    return this.#withAddresses(spec);
  }

  remove(uid: string): void {
    if (this.#specs.delete(uid)) this.#asked = false;
  }

  /** Asks for the names that are needed now. */
  ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    const wanted = { families: [4, 6], refreshMs, respectTtl: true } as const;
    this.#dns.want(new Map([...this.#specs.values()].map(({ hostname }) => [hostname, wanted])));
  }

  /** Those without an address, and why. */
  *unresolved(): Generator<readonly [spec: WorkloadSpec, reason: string]> {
    const failures = new Map([...this.#dns.failures()].map(({ host, error }) => [host, error]));
    for (const spec of this.#specs.values()) {
      if (this.#dns.addresses(spec.hostname).length > 0) continue;
      yield [spec, failures.get(spec.hostname) ?? 'no answer yet'];
    }
  }

  close(): void {
    this.#dns.close();
  }

  #withAddresses(spec: WorkloadSpec): WorkloadSpec {
    return { ...spec, addresses: this.#dns.addresses(spec.hostname) };
  }
}
