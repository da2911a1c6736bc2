/** For tests: a real directory with a source and a model on it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MeshBuilder, type MeshBuilderOptions } from '../model/mesh.ts';
import type { KubeObject } from '../model/objects.ts';
import { type Mesh, type MeshDelta, type Problem, problemLine } from '../model/types.ts';
import { parseYaml, splitDocuments } from './documents.ts';
import { FilesSource } from './files.ts';
import { readItems } from './items.ts';
import type { SourceBatch } from './source.ts';

export interface Setting {
  readonly directory: string;
  readonly source: FilesSource;
  readonly model: MeshBuilder;
  /** Every batch so far with its effect on the mesh. */
  readonly batches: readonly { readonly batch: SourceBatch; readonly delta: MeshDelta }[];
  /** `CODE kind namespace/name file:line field: reason` of every problem, file names without the directory. */
  readonly problems: () => string[];
  /** Resolves after the batch (of those not waited for yet) after which `done` is true; fails after five seconds. */
  readonly until: (what: string, done: () => boolean) => Promise<void>;
  readonly write: (name: string, text: string | Buffer) => void;
}

/** A temporary directory with these files, its source started; all of it goes with the test. */
export function setUp(
  t: TestContext,
  files: Readonly<Record<string, string | Buffer>>,
  options: MeshBuilderOptions & { readonly quietMs?: number; readonly maxWaitMs?: number } = {},
): Setting {
  const base = mkdtempSync(join(tmpdir(), 'kmesh-source-'));
  const directory = join(base, 'conf');
  mkdirSync(directory);
  const write = (name: string, text: string | Buffer) => writeFileSync(join(directory, name), text);
  for (const [name, text] of Object.entries(files)) write(name, text);
  const batches: { batch: SourceBatch; delta: MeshDelta }[] = [];
  const waiting = new Set<() => void>();
  const { quietMs = 20, maxWaitMs = 200, ...rest } = options;
  const model = new MeshBuilder({ locate: (origin, path) => source.locate(origin, path), ...rest });
  const source = new FilesSource({
    directory,
    quietMs,
    maxWaitMs,
    onChange(batch) {
      batches.push({ batch, delta: model.apply(batch) });
      for (const check of waiting) check();
    },
  });
  source.start();
  t.after(() => {
    source.close();
    rmSync(base, { recursive: true, force: true });
  });
  const line = (problem: Problem) =>
    `${problem.code} ${problemLine(problem)}`.replaceAll(`${directory}/`, '').replaceAll(`${base}/`, '');
  const problems = () => [...source.problems(), ...model.problems()].map(line);
  const until = (what: string, done: () => boolean) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.delete(check);
        reject(new Error(`not within 5 s: ${what}; problems: ${problems().join('; ')}`));
      }, 5000);
      const check = () => {
        if (!done()) return;
        waiting.delete(check);
        clearTimeout(timer);
        resolve();
      };
      waiting.add(check);
      check();
    });
  return { directory, source, model, batches, problems, until, write };
}

/** Bytes of live objects, after a garbage collection. */
export function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

/** A Service as a document. */
export function serviceText(name: string, address: string, port = 80, extra = ''): string {
  return `apiVersion: v1
kind: Service
metadata:
  name: ${name}
  namespace: shop
spec:
  clusterIP: ${address}
  ports:
  - name: http
    port: ${port}
${extra}`;
}

/** A mesh of the objects of a text, which has nothing wrong with it; `problems` are those between objects. */
export function meshOf(
  text: string,
  options: MeshBuilderOptions = {},
): {
  readonly mesh: Mesh;
  readonly model: MeshBuilder;
  readonly problems: () => string[];
} {
  const objects = objectsOf(text);
  const model = new MeshBuilder(options);
  model.apply({ upserted: objects, removed: [] });
  return { mesh: model.mesh, model, problems: () => model.problems().map((one) => `${one.code} ${problemLine(one)}`) };
}

/** The objects of a text, which has nothing wrong with it. */
export function objectsOf(text: string): KubeObject[] {
  return splitDocuments(text).flatMap((document, i) => {
    const context = { file: 'a.yaml', number: i + 1, isKnown: () => false };
    return readItems(document, parseYaml(document.text), context).flatMap(({ object, notes, kind, name }) => {
      if (notes.length > 0)
        throw new Error(`${kind} ${name}: ${notes.map((n) => `${n.field}: ${n.reason}`).join('; ')}`);
      return object ?? [];
    });
  });
}
