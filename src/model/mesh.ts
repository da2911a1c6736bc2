/**
 * The model's builder: objects in, the mesh out, and after each change only what the change concerns is computed again. No
 * I/O: what must be asked of the machine is asked through the options.
 *
 * Decisions: a ServiceEntry with several hosts gives a Service for each, and the first of them has the addresses, since they
 * are one set of listeners; the others have none. A ServiceEntry without addresses listens on every address. A service gets
 * endpoints of the address families that it has addresses of. A DestinationRule holds for the host in its own namespace.
 */
import type { FieldPath } from './fieldpath.ts';
import { Hostnames, Uses } from './hostnames.ts';
import { nowhere, type Place, parseLocality } from './localities.ts';
import { Members } from './members.ts';
import { type Issue, ModelProblems } from './modelproblems.ts';
import { type KubeObject, type ObjectChanges, type ObjectKey, objectKeyText } from './objects.ts';
import { routeIssues } from './route-issues.ts';
import type { HttpRouteObject } from './route-objects.ts';
import { HttpRoutes, ReferenceGrants, VirtualServices } from './route-tables.ts';
import { type RouteVerdict, routeVerdict } from './route-verdict.ts';
import type { RouteSources } from './routing.ts';
import { Rules } from './rules.ts';
import { keepPorts, samePorts, sameService } from './same.ts';
import { ServiceMaker, type ServiceSource } from './services.ts';
import { Serving } from './serving.ts';
import { Slices } from './slices.ts';
import type { Mesh, MeshDelta, Origin, Problem, Service, ServicePort } from './types.ts';
import type { ResolveNetns } from './workloads.ts';

export interface MeshBuilderOptions {
  readonly resolveNetns?: ResolveNetns;
  /** Where the mesh's clients are; without it nobody knows. */
  readonly place?: Place;
  /** 1-based line of a field of an object; without it, problems name the object's first line. */
  readonly locate?: (origin: Origin, path: FieldPath) => number;
}

export class MeshBuilder {
  readonly #problems: ModelProblems;
  readonly #members: Members;
  readonly #services = new Map<string, Service>();
  readonly #sources = new Map<string, ServiceSource>();
  /** Keys of the services that a source gives. */
  readonly #keys = new Map<string, readonly string[]>();
  readonly #slices = new Slices();
  readonly #serving = new Serving(this.#sources);
  readonly #rules = new Rules();
  readonly #routes: RouteSources;
  readonly #uses = new Uses();
  readonly #maker: ServiceMaker;
  #place: Place;
  /** The options say where the clients are: their Node is not asked. */
  readonly #placeGiven: boolean;
  #dirty = new Set<string>();

  /** The mesh as it is after the last change. */
  readonly mesh: Mesh;

  constructor(options: MeshBuilderOptions = {}) {
    this.#problems = new ModelProblems(options.locate ?? ((origin) => origin.line));
    this.#members = new Members({
      resolveNetns: options.resolveNetns ?? (() => null),
      problems: this.#problems,
      selected: (id) => {
        if (!this.#slices.has(id)) this.#dirty.add(id);
      },
    });
    this.#routes = {
      virtualServices: new VirtualServices(),
      httpRoutes: new HttpRoutes(),
      grants: new ReferenceGrants(),
      hostnames: new Hostnames(this.#services),
    };
    this.#place = options.place ?? nowhere;
    this.#placeGiven = isKnown(this.#place);
    this.#maker = new ServiceMaker({
      members: this.#members,
      slices: this.#slices,
      rules: this.#rules,
      routes: this.#routes,
      services: this.#services,
      place: () => this.#place,
    });
    this.mesh = { workloads: this.#members.workloads, services: this.#services };
  }

  /** Takes over a batch. An object's earlier version need not be removed first. */
  apply(changes: ObjectChanges): MeshDelta {
    for (const key of changes.removed) this.#remove(key);
    for (const object of changes.upserted) this.#upsert(object);
    return this.#update();
  }

  /** Asks again for the network namespaces of the pods whose addresses come from there. */
  reevaluateNetns(): MeshDelta {
    this.#members.reevaluateNetns();
    return this.#update();
  }

  /** What is wrong between objects, with the lines as they are now. */
  problems(): Problem[] {
    const hosts = { services: this.#services, rules: this.#rules, placed: isKnown(this.#place) };
    const orphans = this.#slices.orphans((id) => this.#sources.has(id));
    return this.#problems.list(hosts, orphans, routeIssues(this.#routes, this.#services));
  }

  /** What becomes of an HTTPRoute, in force or not, in the mesh as it is now. */
  routeVerdict(object: HttpRouteObject): RouteVerdict {
    return routeVerdict(this.#routes, this.#services, object);
  }

  #upsert(object: KubeObject): void {
    const id = objectKeyText(object);
    switch (object.kind) {
      case 'Namespace':
        this.#members.setMode(object.name, object.dataplaneMode);
        break;
      case 'Node':
        this.#setPlace(object.name, object.locality);
        break;
      case 'Pod':
      case 'WorkloadEntry':
        this.#members.set(object);
        break;
      case 'Service':
      case 'ServiceEntry':
        this.#sources.set(id, object);
        this.#members.selectors.setSelector(id, object.namespace, object.selector);
        this.#dirty.add(id);
        break;
      case 'EndpointSlice':
        for (const service of this.#slices.set(object)) this.#dirty.add(service);
        break;
      case 'DestinationRule':
        for (const host of this.#rules.set(object)) this.#touchService(host);
        break;
      case 'VirtualService':
        for (const host of this.#routes.virtualServices.set(object)) this.#touchHosts(host);
        break;
      case 'HTTPRoute':
        for (const key of this.#routes.httpRoutes.set(object)) this.#touchService(key);
        break;
      case 'ReferenceGrant':
        this.#routes.grants.set(object);
        this.#touchUsers(`grants ${object.namespace}`);
        break;
    }
  }

  #remove(key: ObjectKey): void {
    const id = objectKeyText(key);
    switch (key.kind) {
      case 'Namespace':
        this.#members.setMode(key.name, '');
        break;
      case 'Node':
        this.#setPlace(key.name, '');
        break;
      case 'Pod':
      case 'WorkloadEntry':
        this.#members.remove({ ...key, kind: key.kind });
        break;
      case 'Service':
      case 'ServiceEntry':
        this.#sources.delete(id);
        this.#members.selectors.removeSelector(id);
        this.#dirty.add(id);
        break;
      case 'EndpointSlice':
        for (const service of this.#slices.remove(id)) this.#dirty.add(service);
        break;
      case 'DestinationRule':
        for (const host of this.#rules.remove(key)) this.#touchService(host);
        break;
      case 'VirtualService':
        for (const host of this.#routes.virtualServices.remove(key)) this.#touchHosts(host);
        break;
      case 'HTTPRoute':
        for (const service of this.#routes.httpRoutes.remove(key)) this.#touchService(service);
        break;
      case 'ReferenceGrant':
        this.#routes.grants.remove(key);
        this.#touchUsers(`grants ${key.namespace}`);
        break;
    }
  }

  #setPlace(node: string, locality: string): void {
    if (node !== this.#place.node || this.#placeGiven) return;
    const { region, zone, subzone } = this.#place.locality;
    const made = parseLocality(locality);
    if (made.region === region && made.zone === zone && made.subzone === subzone) return;
    this.#place = { node, locality: made };
    for (const id of this.#sources.keys()) this.#dirty.add(id);
  }

  /** The object that gives a service. */
  #touchService(key: string): void {
    const service = this.#services.get(key);
    if (service !== undefined) this.#dirty.add(sourceId(service));
  }

  /** The objects that give the services of a host, which may be a wildcard. */
  #touchHosts(host: string): void {
    for (const service of this.#routes.hostnames.covered(host)) this.#dirty.add(sourceId(service));
  }

  #touchUsers(name: string): void {
    for (const id of this.#uses.of(name)) this.#dirty.add(id);
  }

  #update(): MeshDelta {
    const { workloads, moved } = this.#members.update();
    if (moved.size > 0) this.#touchEndpoints(moved);
    const services = new Set<string>();
    while (this.#dirty.size > 0) {
      const dirty = this.#dirty;
      this.#dirty = new Set();
      this.#serving.claim(dirty);
      for (const id of dirty) this.#updateSource(id, services);
    }
    return { workloads, services };
  }

  /** Marks the services that name one of these uids or addresses among their endpoints. */
  #touchEndpoints(moved: ReadonlySet<string>): void {
    for (const service of this.#slices.naming(moved)) this.#dirty.add(service);
    for (const [id, source] of this.#sources) {
      if (source.kind !== 'ServiceEntry') continue;
      if (source.endpoints.some(({ address }) => moved.has(address))) this.#dirty.add(id);
    }
  }

  #updateSource(id: string, changed: Set<string>): void {
    const source = this.#sources.get(id);
    const keys: string[] = [];
    if (source === undefined) {
      this.#problems.clear(id);
      this.#uses.set(id, new Set());
    } else {
      const served = this.#serving.served(id, source);
      const before = served.hosts.map((host) => this.#maker.plainPorts(`${source.namespace}/${host}`));
      const { services, unnamed, uses } = this.#maker.make(id, source, served);
      this.#noteSource(id, source, unnamed);
      this.#uses.set(id, uses);
      for (const [i, service] of services.entries()) {
        keys.push(service.key);
        this.#put(service, before[i], changed);
      }
    }
    for (const key of this.#keys.get(id) ?? []) {
      const old = this.#services.get(key);
      if (old !== undefined && sourceId(old) === id && !keys.includes(key)) this.#drop(old, changed);
    }
    if (keys.length > 0) this.#keys.set(id, keys);
    else this.#keys.delete(id);
  }

  /** `before`: the ports that it had, without layer 4 routes. */
  #put(made: Service, before: readonly ServicePort[] | undefined, changed: Set<string>): void {
    const old = this.#services.get(made.key);
    if (old === undefined || !sameService(old, made)) {
      this.#services.set(made.key, old === undefined ? made : keepPorts(old, made));
      if (old === undefined) this.#routes.hostnames.add(made);
      changed.add(made.key);
    }
    const after = this.#maker.plainPorts(made.key);
    if (before !== undefined && after !== undefined && samePorts(before, after)) return;
    this.#touchUsers(`endpoints ${made.hostname}`);
    const numbers = (ports: readonly ServicePort[]) => ports.map(({ port, protocol }) => `${port}/${protocol}`).join();
    if (before === undefined || numbers(before) !== numbers(after ?? [])) this.#touchUsers(`host ${made.hostname}`);
  }

  #drop(service: Service, changed: Set<string>): void {
    this.#services.delete(service.key);
    this.#maker.forget(service.key);
    this.#routes.hostnames.remove(service);
    changed.add(service.key);
    this.#touchUsers(`endpoints ${service.hostname}`);
    this.#touchUsers(`host ${service.hostname}`);
  }

  #noteSource(id: string, source: ServiceSource, unnamed: readonly number[]): void {
    const issues = unnamed.map((i): Issue => {
      const target = String(source.kind === 'Service' ? source.ports[i]?.targetPort : '');
      const reason = () => `none of the selected pods has a container port named ${JSON.stringify(target)}`;
      const path = ['spec', 'ports', i, 'targetPort'];
      return { severity: 'warning', code: 'KM2002', object: source, path, reason };
    });
    this.#problems.set(id, [...this.#serving.issues(id, source), ...issues]);
  }
}

function isKnown({ locality: { region, zone } }: Place): boolean {
  return region !== '' || zone !== '';
}

function sourceId({ kind, namespace, name }: Service): string {
  return `${kind}/${namespace}/${name}`;
}
