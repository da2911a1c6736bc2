/** EndpointSlices by their service. */
import { type EndpointSliceObject, objectKeyText } from './objects.ts';

export class Slices {
  /** By the id of their service. */
  readonly #slices = new Map<string, Map<string, EndpointSliceObject>>();
  readonly #serviceOf = new Map<string, string>();

  /** Ids of the services that this concerns. */
  set(slice: EndpointSliceObject): string[] {
    const id = objectKeyText(slice);
    const service = `Service/${slice.namespace}/${slice.service}`;
    const touched = this.#serviceOf.get(id) === service ? [] : this.remove(id);
    if (slice.service === '') return touched;
    const slices = this.#slices.get(service);
    if (slices === undefined) this.#slices.set(service, new Map([[id, slice]]));
    else slices.set(id, slice);
    this.#serviceOf.set(id, service);
    return [...touched, service];
  }

  remove(id: string): string[] {
    const service = this.#serviceOf.get(id);
    if (service === undefined) return [];
    this.#serviceOf.delete(id);
    const slices = this.#slices.get(service);
    slices?.delete(id);
    if (slices?.size === 0) this.#slices.delete(service);
    return [service];
  }

  has(service: string): boolean {
    return this.#slices.has(service);
  }

  /** Slices of a service by name; null when it has none. */
  of(service: string): readonly EndpointSliceObject[] | null {
    const slices = this.#slices.get(service);
    return slices === undefined ? null : [...slices.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Services of which an endpoint is one of these addresses, or a pod with one of these uids. */
  *naming(moved: ReadonlySet<string>): Iterable<string> {
    for (const [service, slices] of this.#slices) {
      for (const { namespace, endpoints } of slices.values()) {
        const named = (pod: string) => pod !== '' && moved.has(`Kubernetes//Pod/${namespace}/${pod}`);
        if (endpoints.some(({ address, pod }) => moved.has(address) || named(pod))) {
          yield service;
          break;
        }
      }
    }
  }

  /** Slices of services for which `exists` is false. */
  orphans(exists: (service: string) => boolean): EndpointSliceObject[] {
    return [...this.#slices].filter(([id]) => !exists(id)).flatMap(([, slices]) => [...slices.values()]);
  }
}
