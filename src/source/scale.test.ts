import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MeshBuilder } from '../model/mesh.ts';
import { FilesSource } from './files.ts';
import { heapUsed, serviceText } from './testing.ts';

const services = 10_000;
const endpoints = 10;
const files = 100;

function sliceText(i: number): string {
  let text = `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: svc-${i}-abcde
  namespace: shop
  labels:
    kubernetes.io/service-name: svc-${i}
addressType: IPv4
ports:
- name: http
  port: 8080
endpoints:
`;
  for (let k = 0; k < endpoints; k++) {
    const n = i * endpoints + k;
    text += `- addresses:
  - 10.${128 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}
  conditions:
    ready: true
    serving: true
    terminating: false
  nodeName: node-${n % 20}
  targetRef:
    kind: Pod
    name: svc-${i}-7d9f8b6c5-${k}abcd
    namespace: shop
`;
  }
  return text;
}

// The bounds are ten times what an idle machine needs: this finds a wrong order of growth, the benchmark finds the rest.
test(`${services} services of ${endpoints} endpoints load, and one change is cheap`, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'kmesh-scale-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const name = (f: number) => join(directory, `f${String(f).padStart(3, '0')}.yaml`);
  for (let f = 0; f < files; f++) {
    const from = (f * services) / files;
    const texts = Array.from({ length: services / files }, (_, k) => {
      const i = from + k;
      const address = `10.${96 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
      return `${serviceText(`svc-${i}`, address)}---\n${sliceText(i)}`;
    });
    writeFileSync(name(f), texts.join('---\n'));
  }
  const before = heapUsed();
  const model = new MeshBuilder();
  let modelMs = 0;
  let settled = 0;
  let wake: () => void = () => undefined;
  const source = new FilesSource({
    directory,
    quietMs: 0,
    onChange(batch) {
      const start = performance.now();
      settled = model.apply(batch).services.size;
      modelMs = performance.now() - start;
      wake();
    },
  });
  t.after(() => source.close());
  const start = performance.now();
  source.start();
  const loadMs = performance.now() - start;
  const grown = (heapUsed() - before) / 1e6;
  assert.equal(settled, services);
  const text = readFileSync(name(50), 'utf8');
  const changeMs: number[] = [];
  for (let round = 0; round < 5; round++) {
    const changed = new Promise<void>((resolve) => {
      wake = resolve;
    });
    writeFileSync(`${name(50)}.tmp`, text.replace('port: 8080', `port: ${9000 + round}`));
    const from = performance.now();
    renameSync(`${name(50)}.tmp`, name(50));
    await changed;
    changeMs.push(performance.now() - from);
    assert.equal(settled, 1);
  }
  const change = changeMs.sort((a, b) => a - b)[2] ?? 0;
  t.diagnostic(
    `load ${loadMs.toFixed(0)} ms (model ${modelMs.toFixed(1)} ms of the last change), heap +${grown.toFixed(0)} MB, ` +
      `one change ${change.toFixed(1)} ms from rename to mesh`,
  );
  assert.ok(loadMs < 25_000, `load took ${loadMs} ms`);
  assert.ok(grown < 100, `heap grew by ${grown} MB`);
  assert.ok(change < 500, `one change took ${change} ms`);
});
