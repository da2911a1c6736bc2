/** The source `local-xds`: ztunnel's LocalConfig, a file that is watched, or a text. */
import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { SourceStatus } from '../../../api/types.ts';
import type { FieldPath } from '../../../model/fieldpath.ts';
import type { Mesh, MeshDelta, Origin, Problem } from '../../../model/types.ts';
import { fieldLines } from '../../documents.ts';
import { DirectoryWatch } from '../../watch.ts';
import type { Clock } from '../clock.ts';
import type { Resolve } from '../dns.ts';
import { refusalOf } from '../refusal.ts';
import { WorkloadWorld } from '../workload/world.ts';
import { type LocalConfig, readLocalConfig } from './config.ts';

export interface LocalXdsOptions {
  readonly from: { readonly path: string } | { readonly text: string };
  readonly network: string;
  readonly node: string;
  readonly clusterId: string;
  readonly clock: Clock;
  readonly resolve: Resolve;
  readonly onChange: (delta: MeshDelta) => void;
}

/** A change is taken over when nothing has happened for this long, in milliseconds. */
const quietMs = 20;

export class LocalXdsSource {
  readonly mesh: Mesh;
  readonly #options: LocalXdsOptions;
  readonly #origin: Origin;
  readonly #world: WorkloadWorld;
  readonly #watch: DirectoryWatch | null;
  /** Names in force, by sink. */
  #names: readonly ReadonlySet<string>[] = [new Set(), new Set()];
  #problems: readonly Problem[] = [];
  #text = '';
  #error: string | null = null;
  #synced = false;
  #lastChange: string | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: LocalXdsOptions) {
    this.#options = options;
    const file = 'path' in options.from ? options.from.path : '$LOCAL_XDS';
    this.#origin = { source: 'local-xds', file, line: 0 };
    const changed = (): void => options.onChange(this.#world.update());
    const { clock, resolve } = options;
    this.#world = new WorkloadWorld({ origin: this.#origin, ...options, dns: { clock, resolve, changed } });
    this.mesh = this.#world.mesh;
    this.#watch =
      'path' in options.from ? new DirectoryWatch(dirname(options.from.path), (name) => this.#touched(name)) : null;
  }

  /** Reads it, and tells it before it returns. A file that is not there yet is an error in the status. */
  start(): void {
    this.#follow();
    this.#read();
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#watch?.close();
    this.#world.close();
  }

  get synced(): boolean {
    return this.#synced;
  }

  dump(): object {
    return this.#world.dump();
  }

  problems(): Problem[] {
    return [...this.#problems, ...this.#world.problems()];
  }

  status(): SourceStatus {
    return {
      name: 'local-xds',
      location: this.#origin.file,
      synced: this.#synced,
      objects: this.#names.reduce((sum, { size }) => sum + size, 0),
      lastChange: this.#lastChange,
      error: this.#error,
    };
  }

  #follow(): void {
    this.#watch?.follow([basename(this.#origin.file)]);
  }

  #touched(name: string | null): void {
    if (name !== null && name !== basename(this.#origin.file)) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#follow();
      this.#read();
    }, quietMs);
  }

  #read(): void {
    const { from } = this.#options;
    try {
      const text = 'path' in from ? readFileSync(from.path, 'utf8') : from.text;
      const config = readLocalConfig(text);
      this.#text = text;
      this.#error = null;
      this.#take(config);
    } catch (error) {
      // What was in force stays.
      this.#error = `KM1002 ${refusalOf(error)}`;
    }
  }

  #take({ resources, refused }: LocalConfig): void {
    const problems = refused.map(({ item, name, reason }) => this.#problem(item, name, reason));
    const names: Set<string>[] = [new Set(), new Set()];
    for (const { kind, name, body } of resources) {
      const index = kind === 'address' ? 0 : 1;
      if (names[index]?.has(name) === true) {
        problems.push(this.#problem('', name, 'it is there twice; the first is in force'));
        continue;
      }
      const refusal = this.#world.sinks[index]?.put(body, name).refusal ?? null;
      names[index]?.add(name);
      if (refusal !== null) problems.push(this.#problem('', name, refusal));
    }
    for (const [index, before] of this.#names.entries()) {
      for (const name of before) if (names[index]?.has(name) !== true) this.#world.sinks[index]?.remove(name);
    }
    this.#names = names;
    this.#problems = problems;
    this.#synced = true;
    this.#lastChange = new Date().toISOString();
    this.#options.onChange(this.#world.update());
  }

  #problem(item: string, name: string, text: string): Problem {
    const colon = text.indexOf(': ');
    const [, list = '', index = ''] = /^(\w+)\[(\d+)\]$/.exec(item) ?? [];
    const path: FieldPath = list === '' ? [] : [list, Number(index)];
    const line = list === '' ? 0 : (fieldLines(this.#text, [path], 1)[0] ?? 0);
    return {
      severity: 'error',
      code: 'KM1040',
      kind: 'LocalConfig',
      namespace: '',
      name,
      file: this.#origin.file,
      line,
      field: colon < 0 ? '' : text.slice(0, colon),
      reason: colon < 0 ? text : text.slice(colon + 2),
      lastGoodInForce: false,
    };
  }
}
