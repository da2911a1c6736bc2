/**
 * Several meshes as one: objects (files, the Kubernetes API), then what a control plane says by xDS. The order is the
 * precedence, since what stands nearest to this machine is the last word of whoever operates it:
 *
 * - A service of one name is taken whole from the first layer that has it.
 * - An address and port belongs to the service of the first layer that wants it; the other keeps its other ports.
 * - A workload of one uid is one workload: each field comes from the first layer that says it. So objects enrol a pod and
 *   name its network namespace, and the control plane adds its locality and policies.
 */
import { hostPort } from '../base/address.ts';
import type { Mesh, MeshDelta, Problem, Service, ServicePort, Workload } from './types.ts';
import { originText } from './types.ts';

/** So many services of one kind of conflict are told one by one. */
const toldOneByOne = 20;

export class Layers {
  readonly mesh: Mesh;
  readonly #layers: readonly Mesh[];
  readonly #workloads = new Map<string, Workload>();
  readonly #services = new Map<string, Service>();
  /** Who wants a listener: the keys of services. Most have one, which is kept without a set. */
  readonly #wanting = new Map<string, string | ReadonlySet<string>>();
  /** What each service wants, and in which layer it is. */
  readonly #wants = new Map<string, { readonly listeners: readonly string[]; readonly layer: number }>();
  /** Service → listeners that others have. */
  readonly #lost = new Map<string, readonly string[]>();

  /** Keys that several layers have. */
  readonly #doubles = new Set<string>();

  /** The first of them wins. */
  constructor(layers: readonly Mesh[]) {
    this.#layers = layers;
    this.mesh = { workloads: this.#workloads, services: this.#services };
  }

  /** Takes over what changed in some layer. */
  update(delta: MeshDelta): MeshDelta {
    const workloads = new Set<string>();
    for (const uid of delta.workloads) {
      const made = this.#workload(uid);
      const old = this.#workloads.get(uid);
      if (made === old) continue;
      if (made === undefined) this.#workloads.delete(uid);
      else this.#workloads.set(uid, made);
      workloads.add(uid);
    }
    const touched = new Set<string>(delta.services);
    for (const key of delta.services) this.#claim(key, touched);
    const services = new Set<string>();
    for (const key of touched) {
      const made = this.#service(key);
      const old = this.#services.get(key);
      if (made === undefined ? !this.#services.delete(key) : false) continue;
      if (made !== undefined) {
        if (made === old) continue;
        this.#services.set(key, made);
      }
      services.add(key);
    }
    return { workloads, services };
  }

  /** What two layers, or two services of one, both claim. */
  problems(): Problem[] {
    const doubles: Problem[] = [];
    for (const key of this.#doubles) {
      const [winner, ...others] = this.#layers.flatMap((mesh) => mesh.services.get(key) ?? []);
      if (winner === undefined) continue;
      const reason = `${key} is also in ${originText(winner.origin)}, which comes first: this one is not in force`;
      doubles.push(...others.map((service) => problemOf(service, 'KM2020', reason)));
    }
    const lost = [...this.#lost].flatMap(([key, listeners]) => {
      const service = this.#layers[this.#wants.get(key)?.layer ?? 0]?.services.get(key);
      if (service === undefined) return [];
      return listeners.map((listener) => {
        const holder = this.#holder(listener);
        const other = this.#services.get(holder ?? '');
        const where = other === undefined ? '' : ` (${originText(other.origin)})`;
        return problemOf(service, 'KM2001', `${listener} belongs to ${holder}${where}: not served here`);
      });
    });
    return [...shortened(doubles), ...shortened(lost)];
  }

  #workload(uid: string): Workload | undefined {
    const found = this.#layers.flatMap((mesh) => mesh.workloads.get(uid) ?? []);
    const [first] = found;
    return found.length < 2 ? first : Object.assign({}, ...found.toReversed());
  }

  /** The layer that gives a service. */
  #layerOf(key: string): number {
    return this.#layers.findIndex((mesh) => mesh.services.has(key));
  }

  #claim(key: string, touched: Set<string>): void {
    const layer = this.#layerOf(key);
    const service = this.#layers[layer]?.services.get(key);
    if (this.#layers.filter((mesh) => mesh.services.has(key)).length > 1) this.#doubles.add(key);
    else this.#doubles.delete(key);
    const before = this.#wants.get(key);
    const listeners = service === undefined ? [] : listenersOf(service);
    for (const listener of before?.listeners ?? []) {
      if (!listeners.includes(listener)) this.#unwant(listener, key, touched);
    }
    const moved = before?.layer !== layer;
    for (const listener of listeners) {
      if (moved || !before.listeners.includes(listener)) this.#want(listener, key, touched);
    }
    if (service === undefined) {
      this.#wants.delete(key);
      this.#lost.delete(key);
    } else this.#wants.set(key, { listeners, layer });
  }

  #want(listener: string, key: string, touched: Set<string>): void {
    const wanting = this.#wanting.get(listener);
    if (wanting === undefined || wanting === key) {
      this.#wanting.set(listener, key);
      return;
    }
    const all = new Set(typeof wanting === 'string' ? [wanting] : wanting).add(key);
    this.#wanting.set(listener, all);
    for (const one of all) touched.add(one);
  }

  #unwant(listener: string, key: string, touched: Set<string>): void {
    const wanting = this.#wanting.get(listener);
    if (wanting === key) this.#wanting.delete(listener);
    if (wanting === undefined || typeof wanting === 'string') return;
    const left = [...wanting].filter((one) => one !== key);
    const [only] = left;
    this.#wanting.set(listener, left.length === 1 && only !== undefined ? only : new Set(left));
    for (const one of left) touched.add(one);
  }

  /** Of several services the one of the first layer, and there the one with the first name. */
  #holder(listener: string): string | undefined {
    const wanting = this.#wanting.get(listener);
    if (wanting === undefined || typeof wanting === 'string') return wanting;
    const rank = (key: string): number => this.#wants.get(key)?.layer ?? this.#layers.length;
    return [...wanting].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))[0];
  }

  #service(key: string): Service | undefined {
    const service = this.#layers[this.#layerOf(key)]?.services.get(key);
    if (service === undefined) return undefined;
    const lost: string[] = [];
    const ports = service.ports.filter((port) => {
      // Its requests arrive at another service's listener.
      if (port.listener !== undefined) return true;
      const others = service.addresses
        .map((address) => listenerOf(address, port))
        .filter((listener) => this.#holder(listener) !== key);
      lost.push(...others);
      return others.length === 0;
    });
    if (lost.length > 0) this.#lost.set(key, lost);
    else this.#lost.delete(key);
    return lost.length === 0 ? service : { ...service, ports };
  }
}

function listenerOf(address: string, { port, protocol }: Pick<ServicePort, 'port' | 'protocol'>): string {
  return `${hostPort(address, port)}/${protocol}`;
}

function listenersOf(service: Service): string[] {
  const own = service.ports.filter((port) => port.listener === undefined);
  return service.addresses.flatMap((address) => own.map((port) => listenerOf(address, port)));
}

function problemOf({ kind, namespace, name, origin }: Service, code: 'KM2001' | 'KM2020', reason: string): Problem {
  const { file, line } = origin;
  return { severity: 'warning', code, kind, namespace, name, file, line, field: '', reason, lastGoodInForce: false };
}

function shortened(problems: readonly Problem[]): Problem[] {
  const [first] = problems;
  const more = problems.length - toldOneByOne;
  if (first === undefined || more <= 0) return [...problems];
  return [
    ...problems.slice(0, toldOneByOne),
    { ...first, namespace: '', name: '*', reason: `${more} more services likewise` },
  ];
}
