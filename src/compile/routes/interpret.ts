import type { RouteBlob } from './compile.ts';
import * as layout from './layout.ts';
import { SetReader } from './route-sets.ts';
import type { RouteDecision, RouteRequest } from './types.ts';

/** Which virtual host took the request, and which of its routes; null for none. */
export interface Interpreted {
  readonly virtualHost: number | null;
  readonly route: RouteDecision | null;
}

/** Decides a request by the blob alone, step by step as the kernel does (bpf/include/km_route_engine.h). */
export function interpret(blob: RouteBlob, request: RouteRequest): Interpreted {
  const { words } = blob;
  const { header, virtualHost } = layout;
  const host = run(words, at(words, header.hostStart), at(words, header.hostClasses), [utf8(request.host)]);
  if (host === 0) return { virtualHost: null, route: null };
  const base = at(words, header.virtualHosts) * 2 + (host - 1) * virtualHost.words;
  const route = firstRoute(blob, base, request);
  if (route === null) return { virtualHost: host - 1, route: null };
  const action = at(words, at(words, base + virtualHost.actions) * 2 + route);
  return { virtualHost: host - 1, route: { virtualHost: host - 1, route, action } };
}

const at = (words: Uint32Array, index: number): number => words[index] ?? 0;
const utf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8');
const comma = utf8(',');

/** Runs an automaton over texts one after the other and returns its output, 0 for none. */
function run(words: Uint32Array, start: number, classes: number, texts: readonly Uint8Array[]): number {
  const { slot, sinkFlag } = layout;
  const classAt = new Uint8Array(words.buffer, words.byteOffset + classes * layout.unitBytes, 256);
  let state = start;
  walk: for (const text of texts) {
    for (const byte of text) {
      let unit = state + slot.classes + (classAt[byte] ?? 0);
      if (at(words, unit * 2) !== state) {
        unit = state + slot.fallback;
        if (at(words, unit * 2) !== state) return 0;
        if (at(words, unit * 2 + 1) === sinkFlag) break walk;
      }
      state = at(words, unit * 2 + 1);
    }
  }
  const unit = state + slot.output;
  return at(words, unit * 2) === state ? at(words, unit * 2 + 1) : 0;
}

function firstRoute(blob: RouteBlob, host: number, request: RouteRequest): number | null {
  const { words } = blob;
  const { virtualHost, lookup } = layout;
  const count = at(words, host + virtualHost.lookupCount);
  const lookups = at(words, host + virtualHost.lookups) * 2;
  const summary = at(words, host + virtualHost.summaryWords);
  const routes = at(words, host + virtualHost.routeCount);
  if (routes === 0) return null;
  if (count === 0) return 0;
  const values = headerValues(words, at(words, host + virtualHost.names), request);
  const pairs: (readonly [any: number, chosen: number])[] = [];
  for (let i = 0; i < count; i++) {
    const base = lookups + i * lookup.words;
    pairs.push([at(words, base + lookup.any), chosenSet(blob, base, values, request)]);
  }
  return firstCommon(new SetReader(words, summary), summary, pairs);
}

/** Values of the headers that are looked at, by index, in the order of the request. */
function headerValues(words: Uint32Array, unit: number, request: RouteRequest): ReadonlyMap<number, Uint8Array[]> {
  const values = new Map<number, Uint8Array[]>();
  if (unit === 0) return values;
  const { names } = layout;
  for (const [name, value] of request.headers) {
    const bytes = utf8(name);
    const filter = at(words, unit * 2 + names.filter + (bytes.length < 64 ? bytes.length : 0));
    if (((filter >>> ((bytes[0] ?? 0) & 31)) & 1) === 0) continue;
    const id = run(words, at(words, unit * 2 + names.start), at(words, unit * 2 + names.classes), [bytes]);
    if (id === 0) continue;
    const list = values.get(id - 1);
    if (list === undefined) values.set(id - 1, [utf8(value)]);
    else list.push(comma, utf8(value));
  }
  return values;
}

function chosenSet(
  blob: RouteBlob,
  base: number,
  values: ReadonlyMap<number, Uint8Array[]>,
  request: RouteRequest,
): number {
  const { words, sources } = blob;
  const { lookup, field } = layout;
  const kind = at(words, base + lookup.field) & 0xff;
  const index = at(words, base + lookup.field) >>> 8;
  const absent = at(words, base + lookup.absent);
  const unmatched = at(words, base + lookup.unmatched);
  if (kind === field.source) return request.sources.has(sources[index] ?? '') ? unmatched : absent;
  const texts = kind === field.header ? values.get(index) : [utf8(textOf(kind, request))];
  if (texts === undefined) return absent;
  const output = run(words, at(words, base + lookup.start), at(words, base + lookup.classes), texts);
  return output === 0 ? unmatched : output;
}

function textOf(kind: number, request: RouteRequest): string {
  const { field } = layout;
  if (kind === field.path) return request.path;
  if (kind === field.method) return request.method;
  if (kind === field.query) return request.query;
  return String(request.random).padStart(6, '0');
}

/** The lowest route that is in one set of each pair. */
function firstCommon(
  sets: SetReader,
  summary: number,
  pairs: readonly (readonly [any: number, chosen: number])[],
): number | null {
  const common = (read: (set: number) => readonly [number, number]): readonly [number, number] => {
    let low = 0xffffffff;
    let high = 0xffffffff;
    for (const [any, chosen] of pairs) {
      const [anyLow, anyHigh] = read(any);
      const [chosenLow, chosenHigh] = read(chosen);
      low &= anyLow | chosenLow;
      high &= anyHigh | chosenHigh;
    }
    return [low >>> 0, high >>> 0];
  };
  const inWord = (word: number): number | null => {
    const bit = lowest(common((set) => sets.word(set, word)));
    return bit === null ? null : word * 64 + bit;
  };
  if (summary === 0) return inWord(0);
  for (let i = 0; i < summary; i++) {
    let [low, high] = common((set) => sets.summaryUnit(set, i));
    for (let bit = lowest([low, high]); bit !== null; bit = lowest([low, high])) {
      const route = inWord(i * 64 + bit);
      if (route !== null) return route;
      if (bit < 32) low = (low & ~(2 ** bit)) >>> 0;
      else high = (high & ~(2 ** (bit - 32))) >>> 0;
    }
  }
  return null;
}

function lowest([low, high]: readonly [number, number]): number | null {
  if (low !== 0) return 31 - Math.clz32(low & -low);
  return high === 0 ? null : 63 - Math.clz32(high & -high);
}
