/** The resources of each type as they come. What has not changed since the last push is not read again. */
import { hash } from 'node:crypto';
import { fromBinary, type Message } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import {
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  ListenerSchema,
  RouteConfigurationSchema,
} from '../gen/messages.gen.ts';
import { refusalOf } from '../refusal.ts';
import type { ResourceSink, Verdict } from '../sink.ts';
import { clusterType, endpointType, listenerType, routeType } from '../type-urls.ts';
import { type Assignment, assignmentOf } from './assignment.ts';
import { type ClusterSpec, clusterSpec } from './cluster.ts';
import { type ListenerSpec, listenerSpec } from './listener.ts';
import type { VirtualHostSpec } from './route-spec.ts';
import { configurationOf } from './routes.ts';

/** Told of each change: the name, and whether it is gone. */
type Changed = (name: string, gone: boolean) => void;

abstract class Store<M extends Message, T> implements ResourceSink {
  readonly typeUrl: string;
  readonly items = new Map<string, T>();
  readonly #schema: GenMessage<M>;
  readonly #changed: Changed;
  /** Name → digest of the last version that was taken, and what was said of it. */
  readonly #known = new Map<string, { readonly digest: string; readonly verdict: Verdict }>();

  constructor(typeUrl: string, schema: GenMessage<M>, changed: Changed) {
    this.typeUrl = typeUrl;
    this.#schema = schema;
    this.#changed = changed;
  }

  put(body: Uint8Array, given: string | null): Verdict {
    let name = given;
    try {
      const message = fromBinary(this.#schema, body);
      name = this.nameOf(message) || null;
      if (name === null) return { name: given, refusal: 'name: missing' };
      if (given !== null && given !== name) return { name: given, refusal: `name: it is ${name}` };
      const digest = hash('sha1', body, 'base64');
      const known = this.#known.get(name);
      if (known?.digest === digest) return known.verdict;
      const { item, refusal } = this.read(message, this.items.get(name));
      const verdict = { name, refusal, ...(refusal === null ? {} : { partly: true }) };
      this.items.set(name, item);
      this.#known.set(name, { digest, verdict });
      this.#changed(name, false);
      return verdict;
    } catch (error) {
      return { name, refusal: refusalOf(error) };
    }
  }

  remove(name: string): void {
    this.#known.delete(name);
    if (this.items.delete(name)) this.#changed(name, true);
  }

  protected abstract nameOf(message: M): string;
  /** Throws FieldError; a refusal beside an item: parts of it are refused. */
  protected abstract read(message: M, old: T | undefined): { readonly item: T; readonly refusal: string | null };
}

type ClusterMessage = typeof ClusterSchema extends GenMessage<infer M> ? M : never;
type AssignmentMessage = typeof ClusterLoadAssignmentSchema extends GenMessage<infer M> ? M : never;
type ListenerMessage = typeof ListenerSchema extends GenMessage<infer M> ? M : never;
type RoutesMessage = typeof RouteConfigurationSchema extends GenMessage<infer M> ? M : never;

export class ClusterStore extends Store<ClusterMessage, ClusterSpec> {
  constructor(changed: Changed) {
    super(clusterType, ClusterSchema, changed);
  }

  protected nameOf({ name }: ClusterMessage): string {
    return name;
  }

  protected read(message: ClusterMessage): { item: ClusterSpec; refusal: null } {
    return { item: clusterSpec(message), refusal: null };
  }
}

export class AssignmentStore extends Store<AssignmentMessage, Assignment> {
  readonly #wanted: () => ReadonlySet<string>;

  constructor(changed: Changed, wanted: () => ReadonlySet<string>) {
    super(endpointType, ClusterLoadAssignmentSchema, changed);
    this.#wanted = wanted;
  }

  wanted(): ReadonlySet<string> {
    return this.#wanted();
  }

  protected nameOf({ clusterName }: AssignmentMessage): string {
    return clusterName;
  }

  protected read(message: AssignmentMessage): { item: Assignment; refusal: null } {
    return { item: assignmentOf(message, false), refusal: null };
  }
}

export class ListenerStore extends Store<ListenerMessage, ListenerSpec> {
  constructor(changed: Changed) {
    super(listenerType, ListenerSchema, changed);
  }

  protected nameOf({ name }: ListenerMessage): string {
    return name;
  }

  protected read(message: ListenerMessage): { item: ListenerSpec; refusal: null } {
    return { item: listenerSpec(message), refusal: null };
  }
}

export interface RouteItem {
  readonly virtualHosts: readonly VirtualHostSpec[];
  readonly notes: readonly string[];
}

export class RouteStore extends Store<RoutesMessage, RouteItem> {
  readonly #wanted: () => ReadonlySet<string>;

  constructor(changed: Changed, wanted: () => ReadonlySet<string>) {
    super(routeType, RouteConfigurationSchema, changed);
    this.#wanted = wanted;
  }

  wanted(): ReadonlySet<string> {
    return this.#wanted();
  }

  protected nameOf({ name }: RoutesMessage): string {
    return name;
  }

  /** A virtual host that is refused keeps its last good version. */
  protected read(message: RoutesMessage, old: RouteItem | undefined): { item: RouteItem; refusal: string | null } {
    const { virtualHosts, refused, notes } = configurationOf(message);
    const kept = (old?.virtualHosts ?? []).filter(({ name }) => refused.has(name));
    const refusal = refused.size === 0 ? null : [...refused].map(([name, reason]) => `${reason} (${name})`).join('; ');
    return { item: { virtualHosts: [...virtualHosts, ...kept], notes }, refusal };
  }
}
