/** The workload API's world: workloads and services as they come one by one, and the mesh that they make. */
import { fromBinary } from '@bufbuild/protobuf';
import { addressFamily } from '../../../base/address.ts';
import type { ClusterPolicy } from '../../../model/http.ts';
import { modeOf } from '../../../model/protocols.ts';
import { keepPorts, sameService } from '../../../model/same.ts';
import type { Endpoint, Mesh, MeshDelta, Origin, Service, ServicePort, Workload } from '../../../model/types.ts';
import { IstioAddressSchema } from '../gen/messages.gen.ts';
import { refusalOf } from '../refusal.ts';
import type { ResourceSink, Verdict } from '../sink.ts';
import { addressType } from '../type-urls.ts';
import { type DnsOptions, NamedWorkloads } from './named.ts';
import { nearest, type Place } from './placement.ts';
import { type ServiceSpec, serviceSpec } from './service-spec.ts';
import { Sharing, sameSpec, type WorkloadSpec, workloadSpec } from './workload-spec.ts';

/** What is in force without one of its parts. */
export interface Note {
  readonly kind: 'Service' | 'Workload';
  readonly namespace: string;
  readonly name: string;
  /** `FIELD: reason` */
  readonly note: string;
}

export interface AddressStoreOptions {
  readonly origin: Origin;
  readonly network: string;
  readonly node: string;
  readonly clusterId: string;
  /** How to ask for the addresses of workloads that only have a name. */
  readonly dns: DnsOptions;
}

const usual: ClusterPolicy = { balance: 'random', perConnection: false, connectTimeoutMs: 0 };

export class AddressStore implements ResourceSink {
  readonly typeUrl = addressType;
  readonly mesh: Mesh;
  readonly #options: AddressStoreOptions;
  readonly #workloads = new Map<string, WorkloadSpec>();
  readonly #services = new Map<string, Service>();
  readonly #serviceSpecs = new Map<string, ServiceSpec>();
  /** uids by service. */
  readonly #members = new Map<string, Set<string>>();
  readonly #named: NamedWorkloads;
  readonly #sharing = new Sharing();
  #place: Place;
  /** The workload that told where this machine is. */
  #placedBy = '';
  #dirtyWorkloads = new Set<string>();
  #dirtyServices = new Set<string>();

  constructor(options: AddressStoreOptions) {
    this.#options = options;
    const { network, node, clusterId } = options;
    this.#place = { network, node, clusterId, locality: null };
    this.#named = new NamedWorkloads(options.dns, (spec) => this.#setWorkload(spec.uid, spec));
    this.mesh = { workloads: this.#workloads, services: this.#services };
  }

  get size(): number {
    return this.#workloads.size + this.#serviceSpecs.size;
  }

  put(body: Uint8Array, given: string | null): Verdict {
    let name = given;
    try {
      const { type } = fromBinary(IstioAddressSchema, body);
      switch (type.case) {
        case 'workload': {
          const spec = workloadSpec(type.value, given, this.#options.origin, this.#sharing);
          name = spec.uid;
          this.#setWorkload(name, this.#named.put(spec));
          break;
        }
        case 'service': {
          const spec = serviceSpec(type.value, this.#options.network);
          name ??= spec.key;
          if (name !== spec.key) return refused(name, `service: its name is ${spec.key}`);
          this.#serviceSpecs.set(name, spec);
          this.#dirtyServices.add(name);
          break;
        }
        default:
          return refused(name, 'type: neither a workload nor a service');
      }
      return { name, refusal: null };
    } catch (error) {
      return refused(name, refusalOf(error));
    }
  }

  remove(name: string): void {
    this.#named.remove(name);
    this.#setWorkload(name, null);
    if (this.#serviceSpecs.delete(name)) this.#dirtyServices.add(name);
  }

  /** Computes what the changes since the last call concern. */
  update(): MeshDelta {
    const workloads = this.#dirtyWorkloads;
    this.#dirtyWorkloads = new Set();
    this.#named.ask();
    this.#locate();
    const services = new Set<string>();
    for (const key of this.#dirtyServices) {
      const spec = this.#serviceSpecs.get(key);
      const old = this.#services.get(key);
      if (spec === undefined) {
        if (this.#services.delete(key)) services.add(key);
        continue;
      }
      const made = this.#service(spec);
      if (old !== undefined && sameService(old, made)) continue;
      this.#services.set(key, old === undefined ? made : keepPorts(old, made));
      services.add(key);
    }
    this.#dirtyServices = new Set();
    return { workloads, services };
  }

  close(): void {
    this.#named.close();
  }

  *notes(): Generator<Note> {
    for (const [{ namespace, name, hostname }, reason] of this.#named.unresolved()) {
      const note = `workload.hostname: ${hostname} is not resolved (${reason}); the workload gets no traffic`;
      yield { kind: 'Workload', namespace, name, note };
    }
    for (const [key, { notes }] of this.#serviceSpecs) {
      const service = notes.length === 0 ? undefined : this.#services.get(key);
      if (service === undefined) continue;
      const { namespace, name } = service;
      for (const note of notes) yield { kind: 'Service', namespace, name, note };
    }
  }

  #setWorkload(uid: string, spec: WorkloadSpec | null): void {
    const old = this.#workloads.get(uid);
    for (const { service } of old?.memberships ?? []) this.#touch(service, uid, false);
    if (spec === null) this.#workloads.delete(uid);
    else this.#workloads.set(uid, spec);
    for (const { service } of spec?.memberships ?? []) this.#touch(service, uid, true);
    if (old === undefined && spec === null) return;
    if (old === undefined || spec === null || !sameSpec(old, spec)) this.#dirtyWorkloads.add(uid);
  }

  #touch(service: string, uid: string, member: boolean): void {
    this.#dirtyServices.add(service);
    const members = this.#members.get(service);
    if (member) {
      if (members === undefined) this.#members.set(service, new Set([uid]));
      else members.add(uid);
    } else if (members?.delete(uid) === true && members.size === 0) this.#members.delete(service);
  }

  /** This machine is where its workloads are. */
  #locate(): void {
    const { node } = this.#options;
    const known = this.#workloads.get(this.#placedBy);
    if (node === '' || (known !== undefined && known.node === node && known.locality === this.#place.locality)) return;
    let found: Workload | null = null;
    for (const one of this.#workloads.values()) {
      if (one.node !== node || one.locality === undefined) continue;
      found = one;
      break;
    }
    this.#placedBy = found?.uid ?? '';
    const locality = found?.locality ?? null;
    const before = this.#place.locality;
    this.#place = { ...this.#place, locality };
    if (before === locality) return;
    for (const [key, spec] of this.#serviceSpecs) if (spec.locality !== null) this.#dirtyServices.add(key);
  }

  #service(spec: ServiceSpec): Service {
    const members = [...(this.#members.get(spec.key) ?? [])].sort().flatMap((uid) => this.#workloads.get(uid) ?? []);
    const usable = (member: WorkloadSpec): boolean => this.#usable(spec, member);
    const chosen = nearest(spec.locality, this.#place, members, usable);
    const families = new Set(spec.addresses.map(addressFamily));
    return {
      key: spec.key,
      // The API does not say; only Kubernetes' own services have such names.
      kind: /\.svc\./.test(spec.hostname) ? 'Service' : 'ServiceEntry',
      namespace: spec.namespace,
      name: spec.name,
      hostname: spec.hostname,
      addresses: spec.passthrough ? [] : spec.addresses,
      ports: spec.ports.map((port): ServicePort => {
        const endpoints: Endpoint[] = [];
        let unready = 0;
        for (const member of chosen) {
          const ports = member.memberships.find(({ service }) => service === spec.key)?.ports;
          const target = ports?.get(port.port) || port.targetPort;
          if (ports === undefined || target === 0) continue;
          const addresses = member.addresses.filter((a) => families.size === 0 || families.has(addressFamily(a)));
          if (!usable(member)) {
            unready += Math.max(1, addresses.length);
            continue;
          }
          for (const address of addresses) {
            endpoints.push({ address, port: target, weight: member.weight, workload: member.uid });
          }
        }
        const { appProtocol } = port;
        return {
          name: '',
          port: port.port,
          protocol: 'TCP',
          ...(appProtocol === '' ? {} : { appProtocol }),
          endpoints,
          unready,
          policy: usual,
          mode: modeOf('TCP', appProtocol, port.port),
          subsets: [],
        };
      }),
      affinitySeconds: 0,
      origin: this.#options.origin,
      ...(spec.waypoint === undefined ? {} : { waypoint: spec.waypoint }),
    };
  }

  #usable(spec: ServiceSpec, member: WorkloadSpec): boolean {
    const here = (member.network ?? '') === this.#options.network;
    return here && member.weight > 0 && (member.ready || spec.allowAll);
  }
}

function refused(name: string | null, refusal: string): Verdict {
  return { name, refusal };
}
