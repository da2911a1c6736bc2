/** For tests: the source on a server that misbehaves on request, a model on it, and the objects of a small shop. */
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Log } from '../../base/log.ts';
import { MeshBuilder } from '../../model/mesh.ts';
import { objectKeyText } from '../../model/objects.ts';
import { problemLine } from '../../model/types.ts';
import type { SourceBatch } from '../source.ts';
import { KubernetesSource } from './kubernetes.ts';
import { type ApiObject, FakeApiServer, plainAccess, TestTimers } from './testing.ts';

export interface Setting {
  readonly api: FakeApiServer;
  readonly timers: TestTimers;
  readonly source: KubernetesSource;
  readonly model: MeshBuilder;
  readonly batches: SourceBatch[];
  readonly log: string[];
  readonly until: (what: string, done: () => boolean) => Promise<void>;
  readonly problems: () => string[];
  readonly stateOf: (kind: string) => string;
  /** Waits until every kind is watched, has no CRD, or is forbidden. */
  readonly synced: () => Promise<void>;
}

interface SetUpOptions {
  readonly listening?: false;
  readonly namespaces?: readonly string[];
}

export async function setUp(
  t: TestContext,
  prepare: (api: FakeApiServer) => void,
  options: SetUpOptions = {},
): Promise<Setting> {
  const api = new FakeApiServer();
  prepare(api);
  await api.listen();
  if (options.listening === false) await api.stop();
  const timers = new TestTimers();
  const batches: SourceBatch[] = [];
  const model = new MeshBuilder({ locate: (origin) => origin.line });
  const log: string[] = [];
  const logger = new Log({
    format: 'text',
    level: 'debug',
    write: (text) => {
      log.push(text.trimEnd());
    },
  });
  const source = new KubernetesSource({
    access: plainAccess(api.url),
    namespaces: options.namespaces ?? [],
    timers,
    log: logger.logger('kubernetes'),
    onChange: (batch) => {
      batches.push(batch);
      model.apply(batch);
    },
  });
  t.after(async () => {
    source.close();
    await api.stop();
  });
  const problems = () => [...source.problems(), ...model.problems()].map((one) => `${one.code} ${problemLine(one)}`);
  const stateOf = (kind: string) => source.status().resources?.find(({ name }) => name === kind)?.state ?? '';
  const until = async (what: string, done: () => boolean): Promise<void> => {
    const end = performance.now() + 5000;
    while (!done()) {
      const text = () => `${JSON.stringify(source.status(), null, 1)} ${log.join('\n')}`;
      if (performance.now() > end) throw new Error(`not within 5 s: ${what}; ${text()}`);
      await delay(2);
    }
  };
  source.start();
  const synced = async () => {
    await until('synced', () => source.synced);
    await until('all watch', () => {
      const states = source.status().resources ?? [];
      return api.watches >= states.filter(({ state }) => state !== 'absent' && state !== 'forbidden').length;
    });
  };
  return { api, timers, source, model, batches, log, until, problems, stateOf, synced };
}

/** A Service as the API server tells it. */
export const service = (name: string, address: string, extra: object = {}): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'shop', managedFields: [{ manager: 'kubectl' }] },
  spec: { clusterIP: address, ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 8080 }], ...extra },
  status: { loadBalancer: {} },
});

export const route = (name: string, target: string): ApiObject => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { name, namespace: 'shop' },
  spec: {
    parentRefs: [{ group: '', kind: 'Service', name: 'web' }],
    rules: [{ backendRefs: [{ name: target, port: 80 }] }],
  },
});

export const slice = (name: string, ...addresses: readonly string[]): ApiObject => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name, namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
  addressType: 'IPv4',
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
});

/** A namespace with one service of two endpoints. */
export const shop = (api: FakeApiServer) => {
  api.put({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'shop', labels: { 'istio.io/dataplane-mode': 'Kmesh' } },
  });
  api.put(service('web', '10.96.0.1'));
  api.put(slice('web-1', '10.0.0.1', '10.0.0.2'));
};

/** A batch, by names. */
export const told = (batch: SourceBatch | undefined) => ({
  upserted: batch?.upserted.map(objectKeyText),
  removed: batch?.removed.map(objectKeyText),
});
