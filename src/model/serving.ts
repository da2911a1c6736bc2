/** Which object has which hosts and listeners, and what is said to the one that comes too late. */
import { hostPort } from '../base/address.ts';
import { Claims, type Want } from './claims.ts';
import type { Issue } from './modelproblems.ts';
import { addressesOf, hostsOf, type Served, type ServiceSource } from './services.ts';
import { originText } from './types.ts';

export class Serving {
  readonly #sources: ReadonlyMap<string, ServiceSource>;
  readonly #hosts = new Claims();
  readonly #listeners = new Claims();

  /** `sources`: the objects by id. */
  constructor(sources: ReadonlyMap<string, ServiceSource>) {
    this.#sources = sources;
  }

  /** Claims for these objects what they want now. Those that get something because others let go are added. */
  claim(ids: Set<string>): void {
    // What is given up first can be taken by others in the same change.
    for (const id of ids) this.#claimHosts(id);
    for (const id of this.#hosts.takeMoved()) ids.add(id);
    for (const id of ids) this.#claimListeners(id);
    for (const id of this.#listeners.takeMoved()) ids.add(id);
  }

  served(id: string, source: ServiceSource): Served {
    return {
      hosts: hostsOf(source).filter((host) => this.#hosts.holds(id, `${source.namespace}/${host}`)),
      port: (i) => this.#listeners.holds(id, listenerClaim(source, i)),
    };
  }

  /** Errors for what an object does not get. */
  issues(id: string, source: ServiceSource): Issue[] {
    const issues: Issue[] = [];
    const { hosts, port } = this.served(id, source);
    for (const [i, host] of hostsOf(source).entries()) {
      if (hosts.includes(host)) continue;
      const path = source.kind === 'Service' ? ['metadata', 'name'] : ['spec', 'hosts', i];
      const reason = () => this.#blockerText(this.#hosts, id, `${source.namespace}/${host}`);
      issues.push({ severity: 'error', code: 'KM2003', object: source, path, reason });
    }
    for (const i of source.ports.keys()) {
      if (hosts.length === 0 || port(i)) continue;
      const path = ['spec', 'ports', i, source.kind === 'Service' ? 'port' : 'number'];
      const reason = () => this.#blockerText(this.#listeners, id, listenerClaim(source, i));
      issues.push({ severity: 'error', code: 'KM2001', object: source, path, reason });
    }
    return issues;
  }

  #claimHosts(id: string): void {
    const source = this.#sources.get(id);
    const wants = source === undefined ? [] : hostsOf(source).map((host) => `${source.namespace}/${host}`);
    this.#hosts.set(
      id,
      wants.map((key) => ({ id: key, wants: [key] })),
    );
  }

  #claimListeners(id: string): void {
    const source = this.#sources.get(id);
    const wants: Want[] = [];
    if (source !== undefined && this.served(id, source).hosts.length > 0) {
      for (const { port, protocol } of source.ports) {
        const things = addressesOf(source).map((address) => `${hostPort(address, port)}/${protocol}`);
        wants.push({ id: `${port}/${protocol}`, wants: things });
      }
    }
    this.#listeners.set(id, wants);
  }

  #blockerText(claims: Claims, id: string, claim: string): string {
    const blocker = claims.blocker(id, claim);
    const first = this.#sources.get(blocker?.owner ?? '');
    if (blocker === null || first === undefined) return 'not served here';
    const { kind, namespace, name, origin } = first;
    return `${blocker.thing} belongs to ${kind} ${namespace}/${name} (${originText(origin)}): not served here`;
  }
}

function listenerClaim(source: ServiceSource, i: number): string {
  const port = source.ports[i];
  return `${port?.port}/${port?.protocol}`;
}
