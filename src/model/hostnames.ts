/** Services by host name, and which objects look which names up. */
import type { Service } from './types.ts';

/** Whether a host of a VirtualService (`a.b`, `*.b`) stands for this host name. */
export function hostCovers(pattern: string, hostname: string): boolean {
  return pattern === hostname || (pattern.startsWith('*.') && hostname.endsWith(pattern.slice(1)));
}

/** `NAME.NAMESPACE.svc.cluster.local` */
export function serviceHost(name: string, namespace: string): string {
  return `${name}.${namespace}.svc.cluster.local`;
}

/** Name and namespace of a Service's host name; null for any other host. */
export function serviceOfHost(host: string): { readonly name: string; readonly namespace: string } | null {
  const [, name, namespace] = /^([^.]+)\.([^.]+)\.svc\.cluster\.local$/.exec(host) ?? [];
  return name === undefined || namespace === undefined ? null : { name, namespace };
}

export class Hostnames {
  readonly #services: ReadonlyMap<string, Service>;
  /** Keys of the services of a host name, sorted. */
  readonly #keys = new Map<string, readonly string[]>();

  constructor(services: ReadonlyMap<string, Service>) {
    this.#services = services;
  }

  add({ hostname, key }: Service): void {
    const keys = this.#keys.get(hostname) ?? [];
    if (!keys.includes(key)) this.#keys.set(hostname, [...keys, key].sort());
  }

  remove({ hostname, key }: Service): void {
    const left = (this.#keys.get(hostname) ?? []).filter((other) => other !== key);
    if (left.length > 0) this.#keys.set(hostname, left);
    else this.#keys.delete(hostname);
  }

  /** The service that a host name means to an object of a namespace: its own namespace's comes first. */
  find(hostname: string, namespace: string): Service | null {
    const own = this.#services.get(`${namespace}/${hostname}`);
    return own ?? this.#services.get(this.#keys.get(hostname)?.[0] ?? '') ?? null;
  }

  /** Services that a host of a VirtualService stands for. */
  *covered(pattern: string): Iterable<Service> {
    const hostnames = pattern.startsWith('*.') ? this.#keys.keys() : [pattern];
    for (const hostname of hostnames) {
      if (!hostCovers(pattern, hostname)) continue;
      for (const key of this.#keys.get(hostname) ?? []) {
        const service = this.#services.get(key);
        if (service !== undefined) yield service;
      }
    }
  }
}

/** Which owner used which names when it was last made, so that a change of what they mean reaches it. */
export class Uses {
  readonly #names = new Map<string, ReadonlySet<string>>();
  readonly #owners = new Map<string, Set<string>>();

  set(owner: string, names: ReadonlySet<string>): void {
    for (const name of this.#names.get(owner) ?? []) {
      if (names.has(name)) continue;
      const owners = this.#owners.get(name);
      owners?.delete(owner);
      if (owners?.size === 0) this.#owners.delete(name);
    }
    if (names.size > 0) this.#names.set(owner, names);
    else this.#names.delete(owner);
    for (const name of names) {
      const owners = this.#owners.get(name);
      if (owners === undefined) this.#owners.set(name, new Set([owner]));
      else owners.add(owner);
    }
  }

  of(name: string): Iterable<string> {
    return this.#owners.get(name) ?? [];
  }
}
