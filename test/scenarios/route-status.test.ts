/** What becomes of routes, written into their status at an API server, beside what other controllers write there. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test as nodeTest } from 'node:test';
import { parseYaml } from '../../src/source/documents.ts';
import type { ApiObject } from '../../src/source/kubernetes/testing.ts';
import { ControlPlane, hasRealServer } from '../lab/kubernetes/control-plane.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, patience, type TestMesh } from '../lab/mesh.ts';
import { requireRoot } from '../lab/root.ts';
import { until } from '../lab/sockets.ts';

const test = requireRoot(nodeTest);
const group = 'gateway.networking.k8s.io';
const controllerName = 'kmesh.net/mesh-controller';

interface Entry {
  readonly parentRef: Readonly<Record<string, unknown>>;
  readonly controllerName: string;
  readonly conditions: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
    readonly observedGeneration: number;
    readonly lastTransitionTime: string;
  }[];
}

const service = (name: string, clusterIP: string, where = 'shop', port = 'http'): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: where },
  spec: { clusterIP, ports: [{ name: port, port: 80, targetPort: 8080 }] },
});

const parentOf = (name: string, more: object = {}) => ({ group: '', kind: 'Service', name, ...more });

const route = (name: string, parents: readonly object[], ...rules: readonly object[]): ApiObject => ({
  apiVersion: `${group}/v1`,
  kind: 'HTTPRoute',
  metadata: { name, namespace: 'shop' },
  spec: { parentRefs: parents, rules },
});

const to = (name: string, more: object = {}) => ({ backendRefs: [{ name, port: 80, ...more }] });

const documentedRole = (): ApiObject => {
  const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'sources.md'), 'utf8');
  const parsed = parseYaml(/```yaml\n([^`]*kind: ClusterRole\n[^`]*)```/.exec(page)?.[1] ?? '');
  assert.ok('value' in parsed);
  return parsed.value as ApiObject;
};

const skip = (process.getuid?.() !== 0 && process.env['CI'] === undefined) || !hasRealServer;

describe('status of routes', { skip }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let api: ControlPlane;

  const path = (name: string, kind = 'httproutes', where = 'shop') =>
    `/apis/${group}/v1/namespaces/${where}/${kind}/${name}`;
  const entries = async (name: string, kind = 'httproutes'): Promise<readonly Entry[]> => {
    const { status } = await api.read(path(name, kind));
    return (status as { readonly parents?: readonly Entry[] } | undefined)?.parents ?? [];
  };
  const ours = async (name: string, kind = 'httproutes'): Promise<readonly Entry[]> =>
    (await entries(name, kind)).filter((one) => one.controllerName === controllerName);
  /** Reasons of each parent's conditions, once all are for the newest generation. */
  const reasons = async (name: string, kind = 'httproutes'): Promise<readonly string[]> => {
    const { metadata } = await api.read(path(name, kind));
    return (await ours(name, kind)).map(({ conditions }) =>
      conditions
        .map(({ reason, status, observedGeneration }) => {
          const late = observedGeneration === metadata['generation'] ? '' : ' late';
          return `${status === 'True' ? '' : 'not '}${reason}${late}`;
        })
        .join(),
    );
  };
  const becomes = async (name: string, wanted: readonly string[], kind = 'httproutes'): Promise<void> => {
    const text = async () => JSON.stringify(await reasons(name, kind));
    const last = async () => `${await text()} ${JSON.stringify(await entries(name, kind))} ${mesh.daemon.stderr}`;
    await until(
      `${name}: ${wanted.join(' ')}`,
      async () => (await text()) === JSON.stringify(wanted),
      20_000 * patience,
      last,
    );
  };

  before(async () => {
    lab = await Lab.create();
    api = new ControlPlane(lab);
    await api.start();
    await api.grant(documentedRole());
    await api.installCrds(group);
    for (const name of ['shop', 'home', 'kmesh-system']) {
      await api.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    }
    await api.apply(
      service('web', '10.96.0.20'),
      service('api', '10.96.0.21'),
      service('db', '10.96.0.22', 'shop', 'tcp'),
      service('none', 'None'),
      service('api', '10.96.0.23', 'home'),
    );
    mesh = meshOf(lab);
    mesh.write('mesh.yaml', file(namespace('shop', true)));
    await mesh.start(['--kubeconfig', api.kubeconfig, '--log-level', 'debug']);
    await mesh.settled();
  });
  after(() => lab?.close());

  test('accepted, and backends that are there', async () => {
    await api.apply(route('good', [parentOf('web'), parentOf('api', { port: 80 })], to('api')));
    await becomes('good', ['Accepted,ResolvedRefs', 'Accepted,ResolvedRefs']);
    const [first, second] = await ours('good');
    assert.deepEqual([first?.parentRef['name'], second?.parentRef['port']], ['web', 80]);
  });

  test('parents that are not there, or not for HTTP', async () => {
    await api.apply(
      route(
        'parents',
        [
          parentOf('gone'),
          parentOf('web', { port: 81, sectionName: 'http' }),
          parentOf('web', { sectionName: 'admin' }),
          parentOf('db'),
          parentOf('none'),
          { group, kind: 'Gateway', name: 'edge' },
        ],
        to('api'),
      ),
    );
    const [missing, unsupported] = ['not NoMatchingParent,ResolvedRefs', 'not UnsupportedValue,ResolvedRefs'];
    await becomes('parents', [missing, missing, missing, unsupported, unsupported]);
    await api.apply(service('gone', '10.96.0.29'));
    await becomes('parents', ['Accepted,ResolvedRefs', missing, missing, unsupported, unsupported]);
  });

  test('backends that are not there, of another kind, or not allowed', async () => {
    await api.apply(
      route('missing', [parentOf('web')], to('nowhere')),
      route('port', [parentOf('web')], { backendRefs: [{ name: 'api', port: 99 }] }),
      route('kind', [parentOf('web')], to('api'), to('bucket', { group: 'example.com', kind: 'Bucket' })),
      route('grant', [parentOf('web')], to('api', { namespace: 'home' })),
    );
    await becomes('missing', ['Accepted,not BackendNotFound']);
    await becomes('port', ['Accepted,not BackendNotFound']);
    await becomes('kind', ['Accepted,not InvalidKind']);
    await becomes('grant', ['Accepted,not RefNotPermitted']);
    await api.apply({
      apiVersion: `${group}/v1beta1`,
      kind: 'ReferenceGrant',
      metadata: { name: 'grant', namespace: 'home' },
      spec: {
        from: [{ group, kind: 'HTTPRoute', namespace: 'shop' }],
        to: [{ group: '', kind: 'Service' }],
      },
    });
    await becomes('grant', ['Accepted,ResolvedRefs']);
  });

  test('what the mesh cannot do is refused, with its reason, and so are GRPCRoutes', async () => {
    await until('GRPCRoutes are served', async () => (await entries('grpc', 'grpcroutes').catch(() => null)) !== null);
    const mirror = { type: 'RequestMirror', requestMirror: { backendRef: { name: 'api', port: 80 } } };
    await api.apply(
      route('mirror', [parentOf('web')], { filters: [mirror], ...to('api') }),
      route('timeout', [parentOf('web')], { timeouts: { request: '1s' }, ...to('api') }),
      route('regex', [parentOf('api')], {
        matches: [{ path: { type: 'RegularExpression', value: '/a(' } }],
        ...to('api'),
      }),
    );
    await api.applyAt(path('grpc', 'grpcroutes'), {
      apiVersion: `${group}/v1`,
      kind: 'GRPCRoute',
      metadata: { name: 'grpc', namespace: 'shop' },
      spec: { parentRefs: [parentOf('web')], rules: [to('api')] },
    });
    for (const name of ['mirror', 'timeout']) await becomes(name, ['not UnsupportedValue']);
    await becomes('regex', ['not UnsupportedValue,ResolvedRefs']);
    await becomes('grpc', ['not UnsupportedValue'], 'grpcroutes');
    const message = async (name: string) => (await ours(name))[0]?.conditions[0]?.message ?? '';
    assert.match(await message('mirror'), /^spec\.rules\[0\]\.filters\[0\]\.type: RequestMirror is not supported/);
    assert.match(await message('timeout'), /^spec\.rules\[0\]\.timeouts: not supported/);
    assert.match(await message('regex'), /regular expression/i);
    await api.apply(route('regex', [parentOf('api')], { matches: [{ path: { value: '/a' } }], ...to('api') }));
    await becomes('regex', ['Accepted,ResolvedRefs']);
  });

  test('entries of other controllers stay, ours go with their parents, times only change with what they say', async () => {
    const now = new Date().toISOString().replace(/\.[0-9]+Z/, 'Z');
    const foreign = {
      parentRef: { group, kind: 'Gateway', name: 'edge' },
      controllerName: 'example.com/gateway',
      conditions: [
        {
          type: 'Accepted',
          status: 'True',
          reason: 'Accepted',
          message: '',
          observedGeneration: 1,
          lastTransitionTime: now,
        },
      ],
    };
    const edge = { group, kind: 'Gateway', name: 'edge' };
    await api.apply(route('shared', [edge, parentOf('web')], to('api')));
    await becomes('shared', ['Accepted,ResolvedRefs']);
    const before = (await ours('shared'))[0];
    // As another controller does it: the whole list, with what it found there.
    const { metadata } = await api.read(path('shared'));
    await api.applyAt(`${path('shared')}/status`, {
      apiVersion: `${group}/v1`,
      kind: 'HTTPRoute',
      metadata: { name: 'shared', namespace: 'shop', resourceVersion: String(metadata['resourceVersion']) },
      status: { parents: [foreign, ...(await ours('shared'))] },
    });
    await api.apply(route('shared', [edge, parentOf('web')], to('nowhere')));
    await becomes('shared', ['Accepted,not BackendNotFound']);
    const all = await entries('shared');
    assert.deepEqual(
      all.map((one) => one.controllerName),
      ['example.com/gateway', controllerName],
    );
    assert.equal(all[1]?.conditions[0]?.lastTransitionTime, before?.conditions[0]?.lastTransitionTime);
    await api.apply(route('shared', [edge], to('api')));
    await becomes('shared', []);
    assert.deepEqual(
      (await entries('shared')).map((one) => one.controllerName),
      ['example.com/gateway'],
    );
  });

  test('nothing is written again when nothing has changed, and the next daemon goes on', async () => {
    const written = () => mesh.daemon.stderr.split('\n').filter((line) => line.includes(' status written ')).length;
    const version = async () => (await api.read(path('good'))).metadata['resourceVersion'];
    const before = await version();
    await api.apply(service('more', '10.96.0.30'));
    await api.apply(route('last', [parentOf('web')], to('api')));
    await becomes('last', ['Accepted,ResolvedRefs']);
    assert.equal(await version(), before);
    assert.ok(written() > 0);
    const lease = async () =>
      (await api.read('/apis/coordination.k8s.io/v1/namespaces/kmesh-system/leases/kmesh-status'))['spec'] as {
        readonly holderIdentity: string;
        readonly leaseTransitions: number;
      };
    const first = await lease();
    assert.notEqual(first.holderIdentity, '');
    await mesh.daemon.kill('SIGTERM');
    assert.equal((await lease()).holderIdentity, '', 'let go');
    await mesh.start(['--kubeconfig', api.kubeconfig, '--log-level', 'debug']);
    await until('the next daemon holds it', async () => (await lease()).holderIdentity !== '', 20_000 * patience);
    assert.notEqual((await lease()).holderIdentity, first.holderIdentity);
    await api.apply(route('last', [parentOf('web')], to('nowhere')));
    await becomes('last', ['Accepted,not BackendNotFound']);
    assert.equal(await version(), before);
  });
});
