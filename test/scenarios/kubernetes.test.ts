/**
 * Services and routes from an API server, enrolment and network namespaces from the directory, and traffic that does not
 * notice when the API server dies.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test as nodeTest } from 'node:test';
import type { EndpointItem, ItemList } from '../../src/api/types.ts';
import type { ObjectKind } from '../../src/model/objects.ts';
import type { ApiObject } from '../../src/source/kubernetes/testing.ts';
import {
  clientResult,
  httpLoad,
  httpLoadCommand,
  type LoadCase,
  loadResult,
  type ManyResult,
  manyConnectionsCommand,
} from '../lab/clients.ts';
import type { Host } from '../lab/host.ts';
import { many } from '../lab/http-mesh.ts';
import { shell } from '../lab/ip.ts';
import { ControlPlane, hasRealServer, serverName } from '../lab/kubernetes/control-plane.ts';
import { documentedRole } from '../lab/kubernetes/role.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, patience, pod, type TestMesh } from '../lab/mesh.ts';
import { startNginx } from '../lab/nginx.ts';
import type { LabProcess } from '../lab/process.ts';
import { pythonProgram } from '../lab/python.ts';
import { requireRoot } from '../lab/root.ts';
import { until } from '../lab/sockets.ts';

const test = requireRoot(nodeTest);
const names = ['red', 'green', 'blue'] as const;
const web = '10.96.0.20';
const services = many(200, 2000);
const endpoints = 10;
/** Addresses of each server beside its own. */
const more = 10;

const kubeService = (name: string, clusterIP: string): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'shop' },
  spec: { clusterIP, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
});

const slice = (service: string, addresses: readonly string[]): ApiObject => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: `${service}-a`, namespace: 'shop', labels: { 'kubernetes.io/service-name': service } },
  addressType: 'IPv4',
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
});

const parent = { group: '', kind: 'Service', name: 'web', port: 80 };
const backend = (name: string, weight: number) => ({ group: '', kind: 'Service', name, port: 80, weight });
const route: ApiObject = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { name: 'web', namespace: 'shop' },
  spec: {
    parentRefs: [parent],
    rules: [
      {
        matches: [{ headers: [{ name: 'x-user', value: 'jane' }] }],
        backendRefs: [backend('web-v2', 1)],
      },
      { backendRefs: [backend('web-v1', 80), backend('web-v2', 20)] },
    ],
  },
};

const anyone: readonly LoadCase[] = [{ from: names, path: '/' }];
const jane: LoadCase = { from: 'blue', path: '/', fields: ['x-user: jane'] };

describe(`objects of ${serverName}`, { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let api: ControlPlane;
  let client: Host;
  let servers: Host[];

  const start = () => mesh.start(['--kubeconfig', api.kubeconfig, '--log-level', 'debug']);
  const published = () => mesh.daemon.stderr.split('\n').filter((line) => line.includes(' published '));
  const allWatched = () =>
    until(
      'all is watched again',
      async () => (await mesh.status()).sources[1]?.resources?.every(({ state }) => state === 'watching') === true,
      60_000 * patience,
    );
  const stateOf = async (kind: ObjectKind): Promise<string> => {
    const source = (await mesh.status()).sources.find(({ name }) => name === 'kubernetes');
    return source?.resources?.find(({ name }) => name === kind)?.state ?? '';
  };
  const load = async (cases: readonly LoadCase[], ...flags: readonly string[]): Promise<LabProcess> => {
    const command = httpLoadCommand(web, 80, cases, ['--until-eof', ...flags]);
    const running = client.spawn(command, { holdInput: true });
    await running.line(/^ready$/);
    return running;
  };
  const ended = async (running: LabProcess) => {
    running.endInput();
    return await loadResult(running);
  };

  before(async () => {
    lab = await Lab.create();
    client = await lab.pod('client');
    servers = await Promise.all(names.map((name) => lab.pod(name)));
    await Promise.all(servers.map((s) => startNginx(s, { port: 8080 })));
    api = new ControlPlane(lab);
    await api.start();
    await api.grant(documentedRole());
    if (!hasRealServer) process.stdout.write('NOT with a real API server: `make test-lab` builds one\n');
    mesh = meshOf(lab);
    mesh.write('pods.yaml', file(namespace('shop', true), pod(client), ...servers.map((s) => pod(s))));
    const [red, green, blue] = servers.map((s) => s.ip4);
    await api.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
    await api.apply(kubeService('web', web), slice('web', [red ?? '', green ?? '', blue ?? '']));
    await start();
    await mesh.settled();
  });
  after(() => lab?.close());

  test('a service of the API server is served to a pod of the directory', async () => {
    const { answers, errors } = await httpLoad(client, web, 80, anyone, ['--requests', '300', '--new']);
    assert.deepEqual([errors, Object.keys(answers).sort()], [{}, [...names].sort()]);
    const { problems, sources } = await mesh.status();
    // Both have the namespace, and the directory comes first.
    assert.deepEqual(
      problems.map(({ code, kind, name, file: where }) => `${code} ${kind} ${name} ${where}`),
      ['KM1020 Namespace shop kubernetes Namespace shop'],
    );
    assert.deepEqual(
      sources.map(({ name, synced, error }) => [name, synced, error]),
      [
        ['files', true, null],
        ['kubernetes', true, null],
      ],
    );
  });

  test('CRDs that are installed later are found, and a route of them splits and steers', async () => {
    if (hasRealServer) assert.equal(await stateOf('HTTPRoute'), 'absent');
    await api.installCrds('gateway.networking.k8s.io');
    await api.installCrds('networking.istio.io');
    const [red, green, blue] = servers.map((s) => s.ip4);
    await api.apply(kubeService('web-v1', '10.96.0.21'), slice('web-v1', [red ?? '', green ?? '']));
    await api.apply(kubeService('web-v2', '10.96.0.22'), slice('web-v2', [blue ?? '']), route);
    const routed = async () => (await mesh.get<{ readonly kind?: string }>('routes')).length > 0;
    await until('the route is there', async () => (await stateOf('HTTPRoute')) === 'watching', 30_000 * patience);
    await until('the route is in force', routed, 10_000 * patience);
    await mesh.settled();
    const { answers, errors } = await httpLoad(client, web, 80, anyone, ['--requests', '4000']);
    assert.deepEqual(errors, {});
    const share = (answers['blue'] ?? 0) / 4000;
    assert.ok(share > 0.17 && share < 0.23, `${share} to web-v2`);
    const steered = await httpLoad(client, web, 80, [jane], ['--requests', '200']);
    assert.deepEqual([steered.errors, steered.misrouted], [{}, 0]);
  });

  test('a change is in force at once', async (t) => {
    const waits: number[] = [];
    for (const [i, server] of [...servers, ...servers].entries()) {
      await api.apply(kubeService('one', '10.96.0.23'), slice('one', [servers[(i + 1) % servers.length]?.ip4 ?? '']));
      await mesh.settled();
      const running = client.spawn(manyConnectionsCommand(['10.96.0.23', '80', '--rate', '300', '--seconds', '1.5']));
      const applied = await api.apply(slice('one', [server.ip4]));
      await running.exited;
      const { errors, first_at: first } = clientResult(running) as unknown as ManyResult;
      assert.deepEqual(errors, {});
      waits.push((first[server.name] ?? Number.POSITIVE_INFINITY) * 1000 - applied);
    }
    t.diagnostic(`ms from the API server's answer to the first connection: ${waits.map(Math.round).join(', ')}`);
    assert.ok(Math.max(...waits) < 1000 * patience, waits.join(', '));
  });

  test('the API server dies and comes back: no request fails, nothing is lost, nothing is written anew', async () => {
    const loads = [
      await load([jane], '--connections', '4', '--rate', '200'),
      await load(anyone, '--new', '--rate', '100'),
    ];
    const before = published().length;
    await api.kill();
    await mesh.daemon.line(/WARN kubernetes: API server not reached/, { stream: 'stderr' });
    const away = await mesh.status();
    assert.equal(away.ready, true);
    assert.match(away.sources[1]?.error ?? '', /^KM1022 /);
    assert.equal(away.counts.services, (await mesh.get('services')).length);
    await api.start();
    await mesh.daemon.line(/INFO kubernetes: API server reached again/, { stream: 'stderr', timeoutMs: 60_000 });
    await allWatched();
    assert.deepEqual(published().slice(before), [], 'what was there is what is there');
    // And it is followed again.
    await api.apply(slice('web-v2', [servers[1]?.ip4 ?? '']));
    const green: LoadCase = { ...jane, from: ['blue', 'green'] };
    const moved = async () => 'green' in (await httpLoad(client, web, 80, [green], ['--requests', '10'])).answers;
    await until('the change', moved, 10_000 * patience);
    await api.apply(slice('web-v2', [servers[2]?.ip4 ?? '']));
    await until('changed back', async () => !(await moved()), 10_000 * patience);
    for (const running of loads) {
      const { errors, requests } = await ended(running);
      assert.deepEqual(errors, {});
      assert.ok(requests > 100, String(requests));
    }
  });

  test('the daemon starts while the API server is away: it waits, and what is in the kernel stays', async () => {
    const load1 = await load(anyone, '--new', '--rate', '100');
    await api.kill();
    await mesh.daemon.kill('SIGKILL');
    const daemon = mesh.launchAgain(['--kubeconfig', api.kubeconfig, '--log-level', 'debug']);
    await daemon.line(/WARN kubernetes: API server not reached/, { stream: 'stderr' });
    const status = await mesh.status();
    assert.equal(status.ready, false);
    assert.match(status.pending[0] ?? '', /^source kubernetes was not read yet: KM1022 /);
    const steered = await httpLoad(client, web, 80, [jane], ['--requests', '100', '--new']);
    assert.deepEqual([steered.errors, steered.misrouted], [{}, 0]);
    await api.start();
    await daemon.line(/ INFO daemon: ready /, { stream: 'stderr', timeoutMs: 60_000 * patience });
    await mesh.settled();
    assert.match(daemon.stderr, /publish: published services=\d+ written=0 removed=0/, 'nothing is written anew');
    assert.deepEqual((await ended(load1)).errors, {});
  });

  test('a kind that the role does not show leaves the others alone, and comes when it may be seen', async (t) => {
    if (!hasRealServer) {
      t.skip('the stand-in does not ask who somebody is');
      return;
    }
    const role = documentedRole();
    const rules = role.rules.filter(({ apiGroups }) => apiGroups[0] !== 'gateway.networking.k8s.io');
    await api.grant({ ...role, rules });
    await mesh.daemon.kill('SIGTERM');
    await start();
    const { problems, sources } = await mesh.status();
    assert.deepEqual(
      problems.filter(({ severity }) => severity === 'error').map(({ code, name }) => `${code} ${name}`),
      ['KM1023 HTTPRoute', 'KM1023 ReferenceGrant'],
    );
    assert.equal(sources[1]?.error, null);
    assert.deepEqual((await httpLoad(client, web, 80, anyone, ['--requests', '100', '--new'])).errors, {});
    await api.grant(role);
    await until('all may be seen', async () => (await stateOf('HTTPRoute')) === 'watching', 30_000 * patience);
    await mesh.settled();
    const steered = await httpLoad(client, web, 80, [jane], ['--requests', '100', '--new']);
    assert.deepEqual([steered.errors, steered.misrouted], [{}, 0]);
  });

  test('a policy that the mesh does not enforce is an error', async (t) => {
    if (!hasRealServer) {
      t.skip('the stand-in has no such kind');
      return;
    }
    await api.installCrds('security.istio.io');
    const spec = { action: 'DENY', rules: [{}] };
    const metadata = { name: 'nobody', namespace: 'shop' };
    await api.applyAt('/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies/nobody', {
      ...{ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata, spec },
    });
    await mesh.daemon.kill('SIGTERM');
    await start();
    const errors = async () =>
      (await mesh.status()).problems
        .filter(({ severity }) => severity === 'error')
        .map(({ code, kind }) => `${code} ${kind}`);
    await until('the error', async () => (await errors()).length > 0, 10_000 * patience);
    assert.deepEqual(await errors(), ['KM1007 AuthorizationPolicy']);
    await api.removeAt('/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies/nobody');
    await mesh.daemon.kill('SIGTERM');
    await start();
    await mesh.settled();
  });

  test(`${services} services of ${endpoints} endpoints, all changed under load: no request fails`, async (t) => {
    const addresses = servers.flatMap((_, i) => Array.from({ length: more }, (_, k) => `10.245.${i}.${k + 1}`));
    for (const [i, server] of servers.entries()) {
      const own = addresses.slice(i * more, (i + 1) * more);
      await shell('ip -batch -', own.map((ip) => `addr add ${ip}/32 dev eth0\n`).join(''), server.netnsPath);
      const routes = own.map((ip) => `route add ${ip}/32 via ${server.ip4}\n`).join('');
      const device = (await lab.node.output(['ip', '-o', 'route', 'get', server.ip4])).match(/dev (\S+)/)?.[1] ?? '';
      await shell('ip -batch -', routes.replaceAll(`via ${server.ip4}`, `dev ${device}`), lab.node.netnsPath);
    }
    // So that it knows whose these addresses are: it would find out at the next change of some namespace.
    await mesh.daemon.kill('SIGTERM');
    await start();
    const ip = (i: number) => `10.97.${i >> 8}.${i & 255}`;
    const set = (i: number, generation: number) =>
      Array.from(
        { length: endpoints },
        (_, k) => addresses[(i * 7 + k + generation * endpoints) % addresses.length] ?? '',
      );
    const numbers = Array.from({ length: services }, (_, i) => i);
    const seconds = (since: number) => ((performance.now() - since) / 1000).toFixed(1);
    const begun = performance.now();
    await api.apply(
      ...numbers.map((i) => kubeService(`s${i}`, ip(i))),
      ...numbers.map((i) => slice(`s${i}`, set(i, 0))),
    );
    t.diagnostic(`created in ${seconds(begun)} s`);
    const count = async () => (await mesh.status()).counts.endpoints >= services * endpoints;
    await until('all are in the kernel', count, 60_000 * patience);
    await mesh.settled();
    const list = join(lab.directory, 'services');
    writeFileSync(list, numbers.map((i) => `${ip(i)} 80\n`).join(''));
    const running = client.spawn([...pythonProgram('clients/many_services.py'), list, '--rate', '300'], {
      holdInput: true,
    });
    await running.line(/^ready$/);
    const kept = client.spawn(
      httpLoadCommand(ip(0), 80, anyone, ['--until-eof', '--connections', '4', '--rate', '200']),
      {
        holdInput: true,
      },
    );
    await kept.line(/^ready$/);
    for (const generation of [1, 2]) {
      const changing = performance.now();
      await api.apply(...numbers.map((i) => slice(`s${i}`, set(i, generation))));
      const told = performance.now();
      const last = set(services - 1, generation);
      const held = async () => {
        const { stdout } = await mesh.ctl('get', 'endpoints', `s${services - 1}`, '-n', 'shop', '-o', 'json');
        const { items } = JSON.parse(stdout) as ItemList<EndpointItem>;
        return items.length === endpoints && items.every(({ address }) => last.includes(address));
      };
      await until('the last change is in force', held, 60_000 * patience);
      t.diagnostic(
        `all endpoints changed in ${((told - changing) / 1000).toFixed(1)} s, the last seen ${seconds(told)} s later`,
      );
    }
    await mesh.settled();
    // The server dies with all of it, and comes back: what the kernel has is what there is.
    const written = published().length;
    const { counts } = await mesh.status();
    await api.kill();
    await mesh.daemon.line(/WARN kubernetes: API server not reached/, { stream: 'stderr' });
    await api.start();
    await mesh.daemon.line(/INFO kubernetes: API server reached again/, { stream: 'stderr', timeoutMs: 60_000 });
    await allWatched();
    assert.deepEqual([published().slice(written), (await mesh.status()).counts], [[], counts]);
    await mesh.settled();
    const { errors, requests } = await ended(kept);
    assert.deepEqual(errors, {});
    running.endInput();
    await running.exited;
    const result = clientResult(running);
    assert.deepEqual(result['errors'], {});
    t.diagnostic(
      `${String(result['requests'])} requests to ${String(result['services'])} services, ${requests} on 4 kept connections`,
    );
    const rss = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${mesh.daemon.pid}/status`, 'utf8'))?.[1];
    t.diagnostic(`daemon RSS ${Math.round(Number(rss) / 1024)} MB`);
    assert.equal((await mesh.status()).sources[1]?.error, null);
  });
});
