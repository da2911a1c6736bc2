/**
 * The model's builder: objects in, the mesh out, and after each change only what the change concerns is computed again. No
 * I/O: what must be asked of the machine is asked through the options.
 *
 * Decisions: a ServiceEntry with several hosts gives a Service for each, and the first of them has the addresses, since they
 * are one set of listeners; the others have none. A ServiceEntry without addresses listens on every address. A service gets
 * endpoints of the address families that it has addresses of. A DestinationRule holds for the host in its own namespace.
 */
import { hostPort } from '../base/address.ts';
import { Claims, type Want } from './claims.ts';
import {
  families,
  fromList,
  fromPods,
  fromSlices,
  fromWorkloads,
  type Lookup,
  type PortEndpoints,
} from './endpoints.ts';
import type { FieldPath } from './fieldpath.ts';
import { ModelProblems } from './modelproblems.ts';
import {
  type DataplaneMode,
  type EndpointSliceObject,
  type KubeObject,
  type ObjectChanges,
  type ObjectKey,
  objectKeyText,
  type PodObject,
  type ServiceEntryObject,
  type ServiceObject,
} from './objects.ts';
import { appProtocolOf } from './protocols.ts';
import { Rules } from './rules.ts';
import { keepPorts, sameService, sameStrings } from './same.ts';
import { SelectorIndex } from './selectors.ts';
import type { Mesh, MeshDelta, Origin, Problem, Service, ServicePort, Workload } from './types.ts';
import {
  AddressBook,
  makeWorkload,
  netnsPath,
  type ResolveNetns,
  readsNetns,
  sameWorkload,
  type WorkloadObject,
  workloadUid,
} from './workloads.ts';

export interface MeshBuilderOptions {
  readonly resolveNetns?: ResolveNetns;
  /** 1-based line of a field of an object; without it, problems name the object's first line. */
  readonly locate?: (origin: Origin, path: FieldPath) => number;
}

/** An object that gives services: its id is `KIND/NAMESPACE/NAME`. */
type ServiceSource = ServiceObject | ServiceEntryObject;

const everyAddress = ['0.0.0.0', '::'] as const;

export class MeshBuilder {
  readonly #resolve: ResolveNetns;
  readonly #problems: ModelProblems;
  readonly #workloads = new Map<string, Workload>();
  readonly #services = new Map<string, Service>();
  readonly #modes = new Map<string, DataplaneMode>();
  readonly #members = new Map<string, WorkloadObject>();
  /** uids of the pods of each namespace, by name. */
  readonly #pods = new Map<string, Map<string, string>>();
  readonly #sources = new Map<string, ServiceSource>();
  readonly #keys = new Map<string, readonly string[]>();
  /** Slices by the id of their service. */
  readonly #slices = new Map<string, Map<string, EndpointSliceObject>>();
  readonly #sliceService = new Map<string, string>();
  readonly #selectors = new SelectorIndex();
  readonly #addresses = new AddressBook();
  readonly #hosts = new Claims();
  readonly #listeners = new Claims();
  readonly #rules = new Rules();
  readonly #lookup: Lookup = {
    workload: (uid) => this.#workloads.get(uid),
    pods: (namespace) => this.#pods.get(namespace),
    byAddress: (address) => this.#addresses.find(address),
  };

  #dirtyWorkloads = new Set<string>();
  #dirtySources = new Set<string>();

  /** The mesh as it is after the last change. */
  readonly mesh: Mesh = { workloads: this.#workloads, services: this.#services };

  constructor(options: MeshBuilderOptions = {}) {
    this.#resolve = options.resolveNetns ?? (() => null);
    this.#problems = new ModelProblems(options.locate ?? ((origin) => origin.line));
  }

  /** Takes over a batch. An object's earlier version need not be removed first. */
  apply(changes: ObjectChanges): MeshDelta {
    for (const key of changes.removed) this.#remove(key);
    for (const object of changes.upserted) this.#upsert(object);
    return this.#update();
  }

  /** Asks again for the network namespaces of the pods whose addresses come from there. */
  reevaluateNetns(): MeshDelta {
    for (const [uid, object] of this.#members) if (readsNetns(object)) this.#touchMember(uid, object);
    return this.#update();
  }

  /** What is wrong between objects, with the lines as they are now. */
  problems(): Problem[] {
    const hosts = { services: this.#services, rules: this.#rules };
    const orphans = [...this.#slices]
      .filter(([id]) => !this.#sources.has(id))
      .flatMap(([, slices]) => [...slices.values()]);
    return this.#problems.list(hosts, orphans);
  }

  #upsert(object: KubeObject): void {
    const id = objectKeyText(object);
    switch (object.kind) {
      case 'Namespace':
        this.#setMode(object.name, object.dataplaneMode);
        break;
      case 'Pod':
      case 'WorkloadEntry':
        this.#setMember(object);
        break;
      case 'Service':
      case 'ServiceEntry':
        this.#sources.set(id, object);
        this.#selectors.setSelector(id, object.namespace, object.selector);
        this.#dirtySources.add(id);
        break;
      case 'EndpointSlice':
        this.#setSlice(object);
        break;
      case 'DestinationRule':
        for (const host of this.#rules.set(object)) this.#touchHost(host);
        break;
    }
  }

  #remove(key: ObjectKey): void {
    const id = objectKeyText(key);
    switch (key.kind) {
      case 'Namespace':
        this.#setMode(key.name, '');
        break;
      case 'Pod':
      case 'WorkloadEntry':
        this.#removeMember({ ...key, kind: key.kind });
        break;
      case 'Service':
      case 'ServiceEntry':
        this.#sources.delete(id);
        this.#selectors.removeSelector(id);
        this.#dirtySources.add(id);
        break;
      case 'EndpointSlice':
        this.#dropSlice(id);
        break;
      case 'DestinationRule':
        for (const host of this.#rules.remove(key)) this.#touchHost(host);
        break;
    }
  }

  #setMode(namespace: string, mode: DataplaneMode): void {
    if ((this.#modes.get(namespace) ?? '') === mode) return;
    if (mode === '') this.#modes.delete(namespace);
    else this.#modes.set(namespace, mode);
    for (const uid of this.#selectors.membersIn(namespace)) this.#dirtyWorkloads.add(uid);
  }

  #setMember(object: WorkloadObject): void {
    const uid = workloadUid(object);
    const old = this.#members.get(uid);
    if (old !== undefined) this.#touchMember(uid, old);
    this.#members.set(uid, object);
    if (object.kind === 'Pod') {
      const pods = this.#pods.get(object.namespace);
      if (pods === undefined) this.#pods.set(object.namespace, new Map([[object.name, uid]]));
      else pods.set(object.name, uid);
    }
    this.#selectors.setMember(uid, object.namespace, object.labels);
    this.#touchMember(uid, object);
  }

  #removeMember(key: Pick<WorkloadObject, 'kind' | 'namespace' | 'name'>): void {
    const uid = workloadUid(key);
    const old = this.#members.get(uid);
    if (old === undefined) return;
    this.#touchMember(uid, old);
    this.#members.delete(uid);
    if (key.kind === 'Pod') this.#pods.get(key.namespace)?.delete(key.name);
    this.#selectors.removeMember(uid, key.namespace);
  }

  /** Marks a workload and what selects it. */
  #touchMember(uid: string, object: WorkloadObject): void {
    this.#dirtyWorkloads.add(uid);
    for (const id of this.#selectors.selectorsOf(object.namespace, object.labels)) {
      if (!this.#slices.has(id)) this.#dirtySources.add(id);
    }
  }

  #setSlice(slice: EndpointSliceObject): void {
    const id = objectKeyText(slice);
    const service = `Service/${slice.namespace}/${slice.service}`;
    if (this.#sliceService.get(id) !== service) this.#dropSlice(id);
    if (slice.service === '') return;
    const slices = this.#slices.get(service);
    if (slices === undefined) this.#slices.set(service, new Map([[id, slice]]));
    else slices.set(id, slice);
    this.#sliceService.set(id, service);
    this.#dirtySources.add(service);
  }

  #dropSlice(id: string): void {
    const service = this.#sliceService.get(id);
    if (service === undefined) return;
    this.#sliceService.delete(id);
    const slices = this.#slices.get(service);
    slices?.delete(id);
    if (slices?.size === 0) this.#slices.delete(service);
    this.#dirtySources.add(service);
  }

  /** `NAMESPACE/HOST`: the objects that give it. */
  #touchHost(host: string): void {
    const service = this.#services.get(host);
    if (service !== undefined) this.#dirtySources.add(`${service.kind}/${service.namespace}/${service.name}`);
  }

  #update(): MeshDelta {
    const workloads = this.#updateWorkloads();
    const services = new Set<string>();
    while (this.#dirtySources.size > 0) {
      const dirty = this.#dirtySources;
      this.#dirtySources = new Set();
      // What is given up first can be taken by others in the same change.
      for (const id of dirty) this.#claimHosts(id);
      this.#takeMoved(this.#hosts, dirty);
      for (const id of dirty) this.#claimListeners(id);
      this.#takeMoved(this.#listeners, dirty);
      for (const id of dirty) this.#updateSource(id, services);
    }
    return { workloads, services };
  }

  #takeMoved(claims: Claims, dirty: Set<string>): void {
    for (const id of claims.takeMoved()) dirty.add(id);
  }

  #updateWorkloads(): Set<string> {
    const changed = new Set<string>();
    const moved = new Set<string>();
    for (const uid of this.#dirtyWorkloads) {
      const object = this.#members.get(uid);
      const old = this.#workloads.get(uid);
      const mode = this.#modes.get(object?.namespace ?? '') ?? '';
      const made = object === undefined ? undefined : makeWorkload(object, mode, this.#resolve);
      this.#noteNetns(uid, object, made);
      if (made === undefined ? old === undefined : old !== undefined && sameWorkload(old, made)) continue;
      changed.add(uid);
      if (made === undefined) this.#workloads.delete(uid);
      else this.#workloads.set(uid, made);
      const before = old?.addresses ?? [];
      const after = made?.addresses ?? [];
      if (old !== undefined && made !== undefined && sameStrings(before, after)) continue;
      moved.add(uid);
      for (const address of before) this.#addresses.remove(address, uid);
      for (const address of after) this.#addresses.add(address, uid);
      for (const address of [...before, ...after]) moved.add(address);
    }
    this.#dirtyWorkloads = new Set();
    if (moved.size > 0) this.#touchEndpoints(moved);
    return changed;
  }

  /** Marks the services that name one of these uids or addresses among their endpoints. */
  #touchEndpoints(moved: ReadonlySet<string>): void {
    for (const [service, slices] of this.#slices) {
      if (this.#dirtySources.has(service)) continue;
      for (const { namespace, endpoints } of slices.values()) {
        const named = (pod: string) => pod !== '' && moved.has(`Kubernetes//Pod/${namespace}/${pod}`);
        if (endpoints.some(({ address, pod }) => moved.has(address) || named(pod))) this.#dirtySources.add(service);
      }
    }
    for (const [id, source] of this.#sources) {
      if (source.kind !== 'ServiceEntry') continue;
      if (source.endpoints.some(({ address }) => moved.has(address))) this.#dirtySources.add(id);
    }
  }

  #noteNetns(uid: string, object: WorkloadObject | undefined, made: Workload | undefined): void {
    const missing = object !== undefined && readsNetns(object) && made?.addresses.length === 0;
    if (!missing) {
      this.#problems.clear(`workload ${uid}`);
      return;
    }
    const reason = `no addresses in network namespace ${netnsPath(object.netns)} (yet): the pod gets no traffic`;
    const path = ['metadata', 'annotations', 'kmesh.net/netns'];
    this.#problems.set(`workload ${uid}`, [
      { severity: 'warning', code: 'KM2007', object, path, reason: () => reason },
    ]);
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
    const owns =
      source !== undefined && hostsOf(source).some((host) => this.#hosts.holds(id, `${source.namespace}/${host}`));
    const wants: Want[] = [];
    for (const { port, protocol } of owns ? source.ports : []) {
      const things = (source === undefined ? [] : addressesOf(source)).map(
        (address) => `${hostPort(address, port)}/${protocol}`,
      );
      wants.push({ id: `${port}/${protocol}`, wants: things });
    }
    this.#listeners.set(id, wants);
  }

  #updateSource(id: string, changed: Set<string>): void {
    const source = this.#sources.get(id);
    const made = source === undefined ? [] : this.#makeServices(id, source);
    const keys = made.map((service) => service.key);
    for (const key of this.#keys.get(id) ?? []) {
      const old = this.#services.get(key);
      const mine = old !== undefined && `${old.kind}/${old.namespace}/${old.name}` === id;
      if (mine && !keys.includes(key)) {
        this.#services.delete(key);
        changed.add(key);
      }
    }
    for (const service of made) {
      const old = this.#services.get(service.key);
      if (old !== undefined && sameService(old, service)) continue;
      this.#services.set(service.key, old === undefined ? service : keepPorts(old, service));
      changed.add(service.key);
    }
    if (keys.length > 0) this.#keys.set(id, keys);
    else this.#keys.delete(id);
    if (source === undefined) this.#problems.clear(id);
  }

  #makeServices(id: string, source: ServiceSource): Service[] {
    const { kind, namespace, name, origin } = source;
    const unnamed: number[] = [];
    const ports: ServicePort[] = [];
    for (const [i, port] of source.ports.entries()) {
      if (!this.#listeners.holds(id, `${port.port}/${port.protocol}`)) continue;
      const found = source.kind === 'Service' ? this.#ofService(id, source, i) : this.#ofEntry(id, source, i);
      if (found.unnamed) unnamed.push(i);
      const appProtocol = appProtocolOf(port.appProtocol, port.name);
      const { endpoints, unready } = found;
      ports.push({
        name: port.name,
        port: port.port,
        protocol: port.protocol,
        ...(appProtocol === '' ? {} : { appProtocol }),
        endpoints,
        unready,
        policy: { balance: 'random', perConnection: false, connectTimeoutMs: 0 },
        mode: 'tcp',
        subsets: [],
      });
    }
    this.#noteSource(id, source, unnamed);
    const hosts = hostsOf(source).filter((host) => this.#hosts.holds(id, `${namespace}/${host}`));
    return hosts.map((hostname, i) => {
      const key = `${namespace}/${hostname}`;
      return {
        key,
        kind,
        namespace,
        name,
        hostname,
        addresses: i === 0 ? addressesOf(source) : [],
        ports: ports.map((port) => ({ ...port, policy: { ...port.policy, balance: this.#rules.policy(key) } })),
        affinitySeconds: source.kind === 'Service' ? source.affinitySeconds : 0,
        origin,
      };
    });
  }

  #ofService(id: string, service: ServiceObject, i: number): PortEndpoints & { readonly unnamed: boolean } {
    const port = service.ports[i];
    const nothing = { endpoints: [], unready: 0, unnamed: false };
    if (port === undefined) return nothing;
    const allowed = families(service.addresses);
    const slices = this.#slices.get(id);
    if (slices !== undefined) {
      const sorted = [...slices.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
      return { ...fromSlices(sorted, port, allowed, this.#lookup), unnamed: false };
    }
    const pods = this.#selected(id).filter((object): object is PodObject => object.kind === 'Pod');
    return fromPods(pods, service, port, allowed, this.#lookup);
  }

  #ofEntry(id: string, entry: ServiceEntryObject, i: number): PortEndpoints & { readonly unnamed: boolean } {
    const port = entry.ports[i];
    if (port === undefined) return { endpoints: [], unready: 0, unnamed: false };
    const allowed = families(addressesOf(entry));
    const found =
      entry.selector === null
        ? fromList(entry.endpoints, port, allowed, this.#lookup)
        : fromWorkloads(this.#selected(id), port, allowed, this.#lookup);
    return { ...found, unnamed: false };
  }

  #selected(id: string): WorkloadObject[] {
    return this.#selectors.membersOf(id).flatMap((uid) => this.#members.get(uid) ?? []);
  }

  #noteSource(id: string, source: ServiceSource, unnamed: readonly number[]): void {
    const issues = unnamed.map((i) => {
      const target = String(source.kind === 'Service' ? source.ports[i]?.targetPort : '');
      const reason = () => `none of the selected pods has a container port named ${JSON.stringify(target)}`;
      const path = ['spec', 'ports', i, 'targetPort'];
      return { severity: 'warning', code: 'KM2002', object: source, path, reason } as const;
    });
    const lost = [];
    const hosted = hostsOf(source).some((host) => this.#hosts.holds(id, `${source.namespace}/${host}`));
    for (const [i, host] of hostsOf(source).entries()) {
      const claim = `${source.namespace}/${host}`;
      if (this.#hosts.holds(id, claim)) continue;
      const path = source.kind === 'Service' ? ['metadata', 'name'] : ['spec', 'hosts', i];
      const reason = () => this.#blockerText(this.#hosts, id, claim);
      lost.push({ severity: 'error', code: 'KM2003', object: source, path, reason } as const);
    }
    for (const [i, { port, protocol }] of source.ports.entries()) {
      const claim = `${port}/${protocol}`;
      if (!hosted || this.#listeners.holds(id, claim)) continue;
      const path = ['spec', 'ports', i, source.kind === 'Service' ? 'port' : 'number'];
      const reason = () => this.#blockerText(this.#listeners, id, claim);
      lost.push({ severity: 'error', code: 'KM2001', object: source, path, reason } as const);
    }
    this.#problems.set(id, [...lost, ...issues]);
  }

  #blockerText(claims: Claims, id: string, claim: string): string {
    const blocker = claims.blocker(id, claim);
    const first = this.#sources.get(blocker?.owner ?? '');
    if (blocker === null || first === undefined) return 'not served here';
    const { kind, namespace, name, origin } = first;
    return `${blocker.thing} belongs to ${kind} ${namespace}/${name} (${origin.file}:${origin.line}): not served here`;
  }
}

function hostsOf(source: ServiceSource): readonly string[] {
  return source.kind === 'Service' ? [`${source.name}.${source.namespace}.svc.cluster.local`] : source.hosts;
}

function addressesOf(source: ServiceSource): readonly string[] {
  return source.kind === 'ServiceEntry' && source.addresses.length === 0 ? everyAddress : source.addresses;
}
