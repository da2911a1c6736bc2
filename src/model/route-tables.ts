/** VirtualServices by host, HTTPRoutes by the Service that they are for, and ReferenceGrants. */
import { serviceHost } from './hostnames.ts';
import type { ObjectKey } from './objects.ts';
import type { HttpRouteObject, ReferenceGrantObject, VirtualServiceObject } from './route-objects.ts';

interface Aged {
  readonly created: number;
  readonly namespace: string;
  readonly name: string;
}

/** Older first, then by namespace and name. */
export function byAge(a: Aged, b: Aged): number {
  if (a.created !== b.created) return a.created < b.created ? -1 : 1;
  const [one, other] = [`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`];
  return one < other ? -1 : one > other ? 1 : 0;
}

/** Objects filed under several keys, sorted by age. */
class Index<T extends Aged> {
  readonly #keysOf: (object: T) => readonly string[];
  readonly #objects = new Map<string, T>();
  readonly #byKey = new Map<string, readonly T[]>();

  constructor(keysOf: (object: T) => readonly string[]) {
    this.#keysOf = keysOf;
  }

  /** Keys that this concerns. */
  set(object: T): string[] {
    const touched = this.remove(object);
    const keys = [...new Set(this.#keysOf(object))];
    this.#objects.set(`${object.namespace}/${object.name}`, object);
    for (const key of keys) this.#byKey.set(key, [...this.of(key), object].sort(byAge));
    return [...touched, ...keys];
  }

  remove(key: Pick<ObjectKey, 'namespace' | 'name'>): string[] {
    const id = `${key.namespace}/${key.name}`;
    const old = this.#objects.get(id);
    if (old === undefined) return [];
    this.#objects.delete(id);
    const keys = [...new Set(this.#keysOf(old))];
    for (const name of keys) {
      const left = this.of(name).filter((other) => other !== old);
      if (left.length > 0) this.#byKey.set(name, left);
      else this.#byKey.delete(name);
    }
    return keys;
  }

  of(key: string): readonly T[] {
    return this.#byKey.get(key) ?? [];
  }

  objects(): Iterable<T> {
    return this.#objects.values();
  }
}

export class VirtualServices {
  readonly #index = new Index<VirtualServiceObject>(({ hosts }) => hosts);

  /** Hosts (`a.b`, `*.b`) whose routes may have changed. */
  set(object: VirtualServiceObject): string[] {
    return this.#index.set(object);
  }

  remove(key: Pick<ObjectKey, 'namespace' | 'name'>): string[] {
    return this.#index.remove(key);
  }

  /** The one in force for a host as VirtualServices write it. */
  first(host: string): VirtualServiceObject | null {
    return this.#index.of(host)[0] ?? null;
  }

  /** The one in force for a host name: an exact host comes before a wildcard, a longer wildcard before a shorter one. */
  of(hostname: string): VirtualServiceObject | null {
    const exact = this.first(hostname);
    if (exact !== null) return exact;
    for (let dot = hostname.indexOf('.'); dot >= 0; dot = hostname.indexOf('.', dot + 1)) {
      const found = this.first(`*${hostname.slice(dot)}`);
      if (found !== null) return found;
    }
    return null;
  }

  objects(): Iterable<VirtualServiceObject> {
    return this.#index.objects();
  }
}

export class HttpRoutes {
  readonly #index = new Index<HttpRouteObject>(({ parents }) =>
    parents.map(({ namespace, name }) => `${namespace}/${serviceHost(name, namespace)}`),
  );

  /** Keys of the services whose routes may have changed. */
  set(object: HttpRouteObject): string[] {
    return this.#index.set(object);
  }

  remove(key: Pick<ObjectKey, 'namespace' | 'name'>): string[] {
    return this.#index.remove(key);
  }

  /** Routes for a port of a service. */
  of(service: string, port: { readonly name: string; readonly port: number }): HttpRouteObject[] {
    return this.#index.of(service).filter(({ parents }) =>
      parents.some((parent) => {
        const here = `${parent.namespace}/${serviceHost(parent.name, parent.namespace)}` === service;
        const meant = parent.port === 0 || parent.port === port.port;
        return here && meant && (parent.section === '' || parent.section === port.name);
      }),
    );
  }

  objects(): Iterable<HttpRouteObject> {
    return this.#index.objects();
  }
}

export class ReferenceGrants {
  readonly #byNamespace = new Map<string, Map<string, ReferenceGrantObject>>();

  set(grant: ReferenceGrantObject): void {
    const grants = this.#byNamespace.get(grant.namespace) ?? new Map<string, ReferenceGrantObject>();
    grants.set(grant.name, grant);
    this.#byNamespace.set(grant.namespace, grants);
  }

  remove(key: Pick<ObjectKey, 'namespace' | 'name'>): void {
    const grants = this.#byNamespace.get(key.namespace);
    grants?.delete(key.name);
    if (grants?.size === 0) this.#byNamespace.delete(key.namespace);
  }

  /** Whether HTTPRoutes of namespace `from` may name a Service. */
  allow(from: string, service: { readonly namespace: string; readonly name: string }): boolean {
    if (from === service.namespace) return true;
    const grants = [...(this.#byNamespace.get(service.namespace)?.values() ?? [])];
    return grants.some((grant) => grant.from.includes(from) && (grant.to === null || grant.to.includes(service.name)));
  }
}
