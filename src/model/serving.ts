/** Which object has which hosts and listeners, and what is said to the one that comes too late. */
import { hostPort } from '../base/address.ts';
import { Claims, type Want } from './claims.ts';
import type { Issue } from './modelproblems.ts';
import { addressesOf, everyAddress, hostsOf, type Served, type ServiceSource, type SharedHost } from './services.ts';
import { SharedPorts, sharesPort } from './shared-ports.ts';
import { originText, type Protocol } from './types.ts';

export class Serving {
  readonly #sources: ReadonlyMap<string, ServiceSource>;
  readonly #hosts = new Claims();
  readonly #listeners = new Claims();
  readonly #shared = new SharedPorts();

  /** `sources`: the objects by id. */
  constructor(sources: ReadonlyMap<string, ServiceSource>) {
    this.#sources = sources;
  }

  /** Claims for these objects what they want now. Those that get something because others let go are added. */
  claim(ids: Set<string>): void {
    // What is given up first can be taken by others in the same change.
    for (const id of ids) this.#claimHosts(id);
    for (const id of this.#hosts.takeMoved()) ids.add(id);
    for (const id of [...ids]) this.#claimListeners(id, ids);
    for (const id of this.#listeners.takeMoved()) for (const member of this.#shared.membersOf(id)) ids.add(member);
    for (const id of [...ids]) for (const other of this.#shared.touchedBy(id)) ids.add(other);
  }

  served(id: string, source: ServiceSource): Served {
    return {
      hosts: this.#heldHosts(id, source),
      port: (i) => this.#listeners.holds(this.#owner(id, source, i), listenerClaim(source, i)),
      shared: (i) => (sharesPort(source, i) ? this.#sharedHosts(source.ports[i]?.port ?? 0) : null),
    };
  }

  /** Who claims the listener of a port: the object, or all that share it. */
  #owner(id: string, source: ServiceSource, i: number): string {
    return sharesPort(source, i) ? SharedPorts.id(source.ports[i]?.port ?? 0) : id;
  }

  /** Hosts of all objects that share a port, each once: the first object's comes first. */
  #sharedHosts(port: number): SharedHost[] {
    const hosts = new Map<string, SharedHost>();
    for (const id of this.#shared.membersOf(SharedPorts.id(port))) {
      const source = this.#sources.get(id);
      const name = source?.ports.find((one) => one.port === port && one.protocol === 'TCP')?.name;
      if (source === undefined || name === undefined) continue;
      for (const hostname of this.#heldHosts(id, source)) {
        const key = `${source.namespace}/${hostname}`;
        if (!hosts.has(hostname)) hosts.set(hostname, { hostname, key, portName: name, origin: source.origin });
      }
    }
    return [...hosts.values()];
  }

  #heldHosts(id: string, source: ServiceSource): string[] {
    return hostsOf(source).filter((host) => this.#hosts.holds(id, `${source.namespace}/${host}`));
  }

  /** Errors for what an object does not get. */
  issues(id: string, source: ServiceSource): Issue[] {
    const issues: Issue[] = [];
    const { hosts, port, shared } = this.served(id, source);
    for (const [i, host] of hostsOf(source).entries()) {
      if (hosts.includes(host)) continue;
      const path = source.kind === 'Service' ? ['metadata', 'name'] : ['spec', 'hosts', i];
      const reason = () => this.#blockerText(this.#hosts, id, `${source.namespace}/${host}`);
      issues.push({ severity: 'error', code: 'KM2003', object: source, path, reason });
    }
    for (const i of source.ports.keys()) {
      if (hosts.length === 0) continue;
      if (port(i)) {
        issues.push(...this.#lostHosts(source, hosts, source.ports[i]?.port ?? 0, shared(i) ?? []));
        continue;
      }
      const path = ['spec', 'ports', i, source.kind === 'Service' ? 'port' : 'number'];
      const reason = () => this.#blockerText(this.#listeners, this.#owner(id, source, i), listenerClaim(source, i));
      issues.push({ severity: 'error', code: 'KM2001', object: source, path, reason });
    }
    return issues;
  }

  /** Hosts of a shared port that an object of another namespace has. */
  #lostHosts(source: ServiceSource, hosts: readonly string[], port: number, shared: readonly SharedHost[]): Issue[] {
    return shared.flatMap(({ hostname, key, origin }): Issue[] => {
      if (key === `${source.namespace}/${hostname}` || !hosts.includes(hostname)) return [];
      const path = ['spec', 'hosts', hostsOf(source).indexOf(hostname)];
      const reason = () =>
        `port ${port} of every address leads ${hostname} to ${key} (${origin.file}:${origin.line}): not served here`;
      return [{ severity: 'error', code: 'KM2003', object: source, path, reason }];
    });
  }

  #claimHosts(id: string): void {
    const source = this.#sources.get(id);
    const wants = source === undefined ? [] : hostsOf(source).map((host) => `${source.namespace}/${host}`);
    this.#hosts.set(
      id,
      wants.map((key) => ({ id: key, wants: [key] })),
    );
  }

  /** Those that are concerned because a shared port has another first object are added to `touched`. */
  #claimListeners(id: string, touched: Set<string>): void {
    const source = this.#sources.get(id);
    const wants: Want[] = [];
    const shared: number[] = [];
    if (source !== undefined && this.#heldHosts(id, source).length > 0) {
      for (const [i, { port, protocol }] of source.ports.entries()) {
        if (sharesPort(source, i)) shared.push(port);
        else wants.push({ id: `${port}/${protocol}`, wants: things(addressesOf(source), port, protocol) });
      }
    }
    this.#listeners.set(id, wants);
    for (const port of this.#shared.set(id, shared, touched)) {
      const owner = SharedPorts.id(port);
      const wanted = { id: `${port}/TCP`, wants: things(everyAddress, port, 'TCP') };
      this.#listeners.set(owner, this.#shared.membersOf(owner).length > 0 ? [wanted] : []);
    }
  }

  #blockerText(claims: Claims, id: string, claim: string): string {
    const blocker = claims.blocker(id, claim);
    const first = this.#sources.get(this.#shared.membersOf(blocker?.owner ?? '')[0] ?? '');
    if (blocker === null || first === undefined) return 'not served here';
    const { kind, namespace, name, origin } = first;
    return `${blocker.thing} belongs to ${kind} ${namespace}/${name} (${originText(origin)}): not served here`;
  }
}

function things(addresses: readonly string[], port: number, protocol: Protocol): string[] {
  return addresses.map((address) => `${hostPort(address, port)}/${protocol}`);
}

function listenerClaim(source: ServiceSource, i: number): string {
  const port = source.ports[i];
  return `${port?.port}/${port?.protocol}`;
}
