import { createHash } from 'node:crypto';
import { KmError } from '../../base/errors.ts';
import { type ActionRecord, encodeAction } from './action-records.ts';
import type { Dfa } from './dfa.ts';
import { hostDfa } from './hosts.ts';
import * as layout from './layout.ts';
import { limit } from './layout.ts';
import type { Lookup } from './lookups.ts';
import { Packer } from './pack.ts';
import { encodeSet, type RouteSet } from './route-sets.ts';
import type { Route, RouteMatch, RouteTable } from './types.ts';
import { type HostPlan, planVirtualHost } from './virtual-host.ts';

/** A route table as the kernel and the interpreter read it. */
export interface RouteBlob {
  /** The blob, a whole number of 8-byte units; layout in bpf/include/km_route.h. Never changed once made. */
  readonly words: Uint32Array;
  /** Predicates over the source, in the order of their bits in a request. */
  readonly sources: readonly string[];
}

export interface CompileOptions {
  /** The largest blob, bytes. */
  readonly maxBytes?: number;
}

/**
 * Compiles a route table. The same table gives the same bytes. It is refused whole, with the name of the virtual host:
 * KM3010 (regular expression), KM3011 (automaton), KM3012 (size), KM3013 (domains).
 */
export function compileRoutes(table: RouteTable, options: CompileOptions = {}): RouteBlob {
  const { maxBytes = limit.bytes } = options;
  const sources = [
    ...new Set(table.virtualHosts.flatMap(({ routes }) => routes.flatMap((r) => r.match.sources ?? []))),
  ];
  if (sources.length > limit.sources) {
    throw new KmError(
      'KM3012',
      `route table ${table.name} tells ${sources.length} kinds of source apart, at most ${limit.sources} are possible`,
    );
  }
  const writer = new BlobWriter(sources, maxBytes, `route table ${table.name}`);
  const plans = new Map<string, HostPlan>();
  const hosts = table.virtualHosts.map(({ name, routes }) => {
    const matches = routes.map(({ match }) => match);
    const key = shapeOf(matches);
    const plan = plans.get(key) ?? planVirtualHost(matches, `route table ${table.name}, virtual host ${name}`);
    plans.set(key, plan);
    return { plan, name, routes };
  });
  return { words: writer.write(hostDfa(table), hosts), sources };
}

function shapeOf(matches: readonly RouteMatch[]): string {
  return JSON.stringify(matches, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
}

interface PlannedHost {
  readonly plan: HostPlan;
  readonly name: string;
  readonly routes: readonly Route[];
}

/** Appends sections; what is equal is stored once. */
class BlobWriter {
  readonly #sources: readonly string[];
  readonly #maxBytes: number;
  readonly #where: string;
  readonly #packer = new Packer();
  #words = new Uint32Array(1 << 14);
  #end = 0;
  readonly #known = new Map<string, number>();
  readonly #automata = new Map<string, number>();
  /** Words that take a start state, and its place among the packed states. */
  readonly #starts: { readonly word: number; readonly place: number }[] = [];
  readonly #lookups = new Map<HostPlan, number>();
  readonly #names = new Map<HostPlan, number>();

  constructor(sources: readonly string[], maxBytes: number, where: string) {
    this.#sources = sources;
    this.#maxBytes = maxBytes;
    this.#where = where;
  }

  write(hosts: Dfa, virtualHosts: readonly PlannedHost[]): Uint32Array {
    const { header } = layout;
    this.#reserve(header.words);
    const table = this.#reserve(virtualHosts.length * layout.virtualHost.words);
    this.#set(0, header.magic, layout.routeMagic);
    this.#set(0, header.version, layout.routeVersion);
    this.#set(0, header.virtualHostCount, virtualHosts.length);
    this.#set(0, header.virtualHosts, table);
    this.#set(0, header.sourceCount, this.#sources.length);
    this.#automaton(hosts, header.hostStart, header.hostClasses, (output) => output);
    virtualHosts.forEach((host, index) => {
      this.#host(table * 2 + index * layout.virtualHost.words, host);
    });
    this.#states();
    return this.#finish();
  }

  #host(at: number, { plan, name, routes }: PlannedHost): void {
    const { virtualHost } = layout;
    const names = this.#names.get(plan) ?? this.#headerNames(plan);
    const lookups = this.#lookups.get(plan) ?? this.#planLookups(plan);
    this.#names.set(plan, names);
    this.#lookups.set(plan, lookups);
    this.#words[at + virtualHost.names] = names;
    this.#words[at + virtualHost.lookups] = lookups;
    const placed = this.#shared(this.#actions(name, routes));
    this.#words[at + virtualHost.actions] = placed;
    this.#words[at + virtualHost.lookupCount] = plan.lookups.length;
    this.#words[at + virtualHost.summaryWords] = plan.summary;
    this.#words[at + virtualHost.routeCount] = plan.routes;
  }

  /** Numbers of the routes' actions; records are written first. */
  #actions(host: string, routes: readonly Route[]): Uint32Array {
    const units = new Map<ActionRecord, number>();
    return Uint32Array.from(routes, ({ action, name = '' }, i) => {
      if (typeof action === 'number') return action;
      const known = units.get(action);
      if (known !== undefined) return known;
      const where = `${this.#where}, virtual host ${host}, route ${name === '' ? i : name}`;
      const unit = encodeAction(action, (words) => this.#shared(words), where);
      units.set(action, unit);
      return unit;
    });
  }

  #headerNames({ headerDfa, headers }: HostPlan): number {
    const { names } = layout;
    if (headerDfa === null) return 0;
    const unit = this.#reserve(names.words);
    this.#automaton(headerDfa, unit * 2 + names.start, unit * 2 + names.classes, (output) => output);
    for (const name of headers) {
      const bytes = Buffer.from(name, 'utf8');
      const word = unit * 2 + names.filter + (bytes.length < 64 ? bytes.length : 0);
      this.#words[word] = (this.#words[word] ?? 0) | (1 << ((bytes[0] ?? 0) & 31));
    }
    return unit;
  }

  #planLookups(plan: HostPlan): number {
    const unit = this.#reserve(plan.lookups.length * layout.lookup.words);
    plan.lookups.forEach((lookup, index) => {
      this.#lookup(unit * 2 + index * layout.lookup.words, lookup, plan);
    });
    return unit;
  }

  #lookup(at: number, planned: Lookup, plan: HostPlan): void {
    const { lookup, field } = layout;
    const name = planned.field;
    const set = (routes: RouteSet): number => this.#shared(encodeSet(routes, plan.summary));
    let index = 0;
    if (name.kind === 'header') index = plan.headers.indexOf(name.name);
    else if (name.kind === 'source') index = this.#sources.indexOf(name.name);
    this.#words[at + lookup.field] = field[name.kind] | (index << 8);
    const places = { any: set(planned.any), absent: set(planned.absent), unmatched: set(planned.unmatched) };
    this.#words[at + lookup.any] = places.any;
    this.#words[at + lookup.absent] = places.absent;
    this.#words[at + lookup.unmatched] = places.unmatched;
    if (planned.dfa === null) return;
    const units = planned.sets.map(set);
    this.#automaton(planned.dfa, at + lookup.start, at + lookup.classes, (output) => units[output - 1] ?? 0);
  }

  #automaton(dfa: Dfa, startWord: number, classesWord: number, resultOf: (output: number) => number): void {
    const classes = this.#shared(new Uint32Array(dfa.classes.slice().buffer));
    this.#words[classesWord] = classes;
    const states = dfa.states.map((s) => `${s.fallback}|${s.output === 0 ? 0 : resultOf(s.output)}|${s.exceptions}`);
    const key = `${dfa.start}/${classes}/${states.join('/')}`;
    const place = this.#automata.get(key) ?? this.#packer.add(dfa, resultOf);
    this.#automata.set(key, place);
    this.#starts.push({ word: startWord, place });
  }

  #states(): void {
    const origin = this.#reserve(this.#packer.size * 2);
    this.#packer.write(this.#words, origin, this.#packer.isOutput);
    for (const { word, place } of this.#starts) this.#words[word] = origin + place;
  }

  #finish(): Uint32Array {
    const { header } = layout;
    const words = this.#words.slice(0, this.#end * 2);
    words[header.bytes] = words.byteLength;
    // Equal contents decide equally, so their digest can stand for the moment at which a table was made.
    // What a source's bit means is not in the blob, but belongs to it.
    const digest = createHash('sha256').update(words).update(JSON.stringify(this.#sources)).digest();
    words[header.generationLow] = digest.readUInt32LE(0);
    words[header.generationHigh] = digest.readUInt32LE(4);
    return words;
  }

  #set(unit: number, word: number, value: number): void {
    this.#words[unit * 2 + word] = value;
  }

  /** The unit of equal words that are there already, or of new ones. */
  #shared(words: Uint32Array): number {
    const key = Buffer.from(words.buffer, words.byteOffset, words.byteLength).toString('latin1');
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const unit = this.#reserve(words.length);
    this.#words.set(words, unit * 2);
    this.#known.set(key, unit);
    return unit;
  }

  #reserve(words: number): number {
    const unit = this.#end;
    this.#end += (words + 1) >>> 1;
    if (this.#end * layout.unitBytes > this.#maxBytes) {
      const size = Math.ceil((this.#end * layout.unitBytes) / 1024);
      throw new KmError(
        'KM3012',
        `${this.#where} takes more than ${size} KiB, at most ${this.#maxBytes / 1024} KiB are allowed`,
      );
    }
    if (this.#end * 2 > this.#words.length) {
      const grown = new Uint32Array(Math.max(this.#end * 2, this.#words.length * 2));
      grown.set(this.#words);
      this.#words = grown;
    }
    return unit;
  }
}
