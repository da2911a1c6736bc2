/** HTTP: what the mesh tells of requests: metrics, lists, explanations, the access log and live requests. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import type { ClusterItem, ExplainReport, RequestItem, RouteItem } from '../../src/api/types.ts';
import { httpLoadCommand, loadResult } from '../lab/clients.ts';
import type { Host } from '../lab/host.ts';
import { destination, service, virtualService } from '../lab/http-mesh.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, patience, pod, type TestMesh } from '../lab/mesh.ts';
import { requireRoot } from '../lab/root.ts';
import { startWeb } from '../lab/servers.ts';
import { until } from '../lab/sockets.ts';

const test = requireRoot(nodeTest);

const shop = ['10.96.0.10', 'fd00:10:96::10'] as const;
const to = (subset: string): string => `[{destination: {host: shop, subset: ${subset}}}]`;
const routes = virtualService(
  'shop',
  `
- name: jane
  match: [{headers: {x-user: {exact: jane}}}]
  route: ${to('v2')}
- name: empty
  match: [{uri: {exact: /empty}}]
  route: ${to('none')}
- name: gone
  match: [{uri: {prefix: /gone}}]
  directResponse: {status: 410, body: {string: "it is gone\\n"}}
- name: moved
  match: [{uri: {prefix: /moved}}]
  redirect: {uri: /plain, redirectCode: 308}
- name: lost
  match: [{uri: {exact: /lost}}]
  route: ${to('forgotten')}
- name: down
  match: [{uri: {exact: /down}}]
  route: [{destination: {host: down}}]
- name: fault
  match: [{uri: {exact: /fault}}]
  fault: {abort: {percentage: {value: 100}, httpStatus: 418}}
  route: ${to('v1')}
- name: plain
  match: [{uri: {prefix: /plain}}]
  route: ${to('v1')}
`,
);
/** Path, flags of curl, status, response flag, route. */
const requests = [
  ['/plain?q=1', [], 200, '-', 'plain'],
  ['/plain', ['-H', 'x-user: jane'], 200, '-', 'jane'],
  ['/empty', [], 503, 'UH', 'empty'],
  ['/gone/1', [], 410, '-', 'gone'],
  ['/moved', [], 308, '-', 'moved'],
  ['/lost', [], 503, 'NC', 'lost'],
  ['/down', [], 503, 'UF', 'down'],
  ['/bad', ['-H', 'X-A : b'], 400, 'DPE', null],
  ['/fault', ['-X', 'PUT'], 418, 'FI', 'fault'],
  ['/nowhere', [], 404, 'NR', null],
] as const;

describe('HTTP: what is told of requests', { timeout: 180_000 * patience }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let client: Host;

  const send = async (path: string, flags: readonly string[]): Promise<readonly [status: number, who: string]> => {
    const args = ['curl', '-sS', '-m', String(5 * patience), '-H', 'Host: shop', '-w', '\n%{http_code}', ...flags];
    const lines = (await client.output([...args, `http://${shop[0]}${path}`])).split('\n');
    return [Number(lines.at(-1)), lines[0]?.split(' ')[0] ?? ''];
  };
  const explain = async (path: string, flags: readonly string[]): Promise<ExplainReport> => {
    const own = flags.map((flag) => (flag === '-X' ? '--request' : flag));
    const args = ['explain', '--from', 'client.shop', '--to', `http://shop${path}`, '-o', 'json', ...own];
    const { stdout, stderr } = await mesh.ctl(...args);
    assert.equal(stderr, '');
    return JSON.parse(stdout) as ExplainReport;
  };
  /** Sum of the samples of a metric by response code and flag, with the bucket where there is one. */
  const samples = async (name: string): Promise<ReadonlyMap<string, number>> => {
    const sums = new Map<string, number>();
    for (const line of await mesh.metric(name)) {
      const label = (one: string): string => new RegExp(`[{,]${one}="([^"]*)"`).exec(line)?.[1] ?? '';
      assert.deepEqual([label('source_workload'), label('request_protocol')], ['client', 'http'], line);
      const key = [label('response_code'), label('response_flags'), label('le')].join(' ').trim();
      sums.set(key, (sums.get(key) ?? 0) + Number(line.split(' ').at(-1)));
    }
    return sums;
  };

  before(async () => {
    lab = await Lab.create();
    client = await lab.pod('client');
    const servers = { v1: await lab.pod('red'), v2: await lab.pod('green') };
    for (const server of Object.values(servers)) await startWeb(server, { port: 8080 });
    mesh = meshOf(lab);
    const pods = Object.entries(servers).map(([version, host]) => pod(host, { app: 'shop', version }));
    mesh.write('pods.yaml', file(namespace('shop', true), pod(client), ...pods));
    const down = { addresses: ['10.96.0.11', 'fd00:10:96::11'], selector: { version: 'v1' }, targetPort: 9 } as const;
    mesh.write(
      'shop.yaml',
      file(service('shop', { addresses: shop, selector: { app: 'shop' } }), service('down', down)),
    );
    mesh.write('subsets.yaml', destination('shop', ['v1', 'v2', 'none']));
    mesh.write('routes.yaml', routes);
    await mesh.start();
    await mesh.settled();
  });
  after(() => lab?.close());

  test('metrics count each request by its code and flags, and sort it by its duration', async () => {
    for (const [path, flags, status] of requests) assert.equal((await send(path, flags))[0], status, path);
    const wanted = {
      ...{ '200 -': 2, '308 -': 1, '410 -': 1, '418 FI': 1, '400 DPE': 1, '404 NR': 1 },
      ...{ '503 UH': 1, '503 NC': 1, '503 UF': 1 },
    };
    const total = await samples('istio_requests_total');
    assert.deepEqual(Object.fromEntries(total), wanted);
    for (const line of await mesh.metric('istio_requests_total')) {
      const name = line.includes('response_flags="UF"') ? 'down' : 'shop';
      assert.match(line, new RegExp(`destination_service="${name}\\.shop\\.svc\\.cluster\\.local"`));
      const reached = line.includes('response_code="200"') || line.includes('response_flags="UF"');
      const who = reached ? '(red|green)' : 'unknown';
      assert.match(line, new RegExp(`destination_workload="${who}"`));
    }
    assert.deepEqual(Object.fromEntries(await samples('istio_request_duration_milliseconds_count')), wanted);
    const buckets = await samples('istio_request_duration_milliseconds_bucket');
    // None of them took a minute, and those of servers were no faster than they can be.
    assert.equal(buckets.get('200 - 60000'), 2);
    assert.equal(buckets.get('200 - +Inf'), 2);
    const duration = (await samples('istio_request_duration_milliseconds_sum')).get('200 -') ?? 0;
    assert.ok(duration > 0 && duration < 60_000, String(duration));
    // A head of curl's, and that of the server's answer.
    const bytes = (await samples('istio_request_bytes_sum')).get('200 -') ?? 0;
    assert.ok(bytes > 2 * 'GET /plain HTTP/1.1\r\nHost: shop\r\n\r\n'.length && bytes < 1000, String(bytes));
    assert.ok(((await samples('istio_response_bytes_sum')).get('200 -') ?? 0) > 0);
  });

  test('get routes and get clusters say what there is and what it got', async () => {
    const items = (await mesh.get<RouteItem>('routes')).filter((route) => route.service === 'shop');
    assert.deepEqual(
      items.map(({ name, matches, refused }) => [name, matches.length, refused]),
      ['jane', 'empty', 'gone', 'moved', 'lost', 'down', 'fault', 'plain'].map((name) => [name, 1, null]),
    );
    assert.ok(items.every(({ origin }) => origin.includes('routes.yaml:')));
    assert.deepEqual(items[0]?.domains, ['*']);
    const clusters = await mesh.get<ClusterItem>('clusters');
    const v = (subset: string) => clusters.find((one) => one.subset === subset && one.service === 'shop');
    assert.deepEqual([v('v1')?.endpoints, v('v1')?.requests, v('v1')?.requestsActive], [2, 1, 0]);
    assert.deepEqual([v('v2')?.requests, v('none')?.requests, v('none')?.endpoints], [1, 0, 0]);
    const { stdout } = await mesh.ctl('get', 'clusters', '-n', 'shop');
    assert.match(stdout, /shop +outbound\|80\|v1\|shop\.shop\.svc\.cluster\.local +random +2\/2 +1 +0/);
  });

  test('explain says where a request goes, and it goes there', async () => {
    for (const [path, flags, status, , route] of requests) {
      const report = await explain(path, flags);
      assert.deepEqual([report.kind, report.outcomes.length, report.from.mesh], ['routed', 1, 'enrolled']);
      const [outcome] = report.outcomes;
      assert.equal(outcome?.route?.name ?? null, route, path);
      const [seen, who] = await send(path, flags);
      assert.equal(seen, status);
      if (status !== 200) continue;
      const endpoints = outcome?.route?.clusters.flatMap((cluster) => cluster.endpoints) ?? [];
      assert.deepEqual([...new Set(endpoints.map(({ workload }) => workload))], [`shop/${who}`]);
    }
    const { stdout } = await mesh.ctl('explain', '--from', 'shop/client', '--to', 'http://nobody/');
    assert.match(stdout, /no service has port 80 \(TCP\) at nobody/);
  });

  test('observe shows each request once, live, with who and where and how it ended', async () => {
    const node = mesh.lab.node;
    const ctl = `${mesh.checkout}/bin/kmeshctl`;
    const live = node.spawn([ctl, 'observe', '-f', '--first', String(requests.length), '-o', 'json']);
    // The kernel writes requests from when the daemon has an observer.
    const watched = async (): Promise<boolean> => {
      const dump: unknown = JSON.parse((await mesh.ctl('dump', '--bpf', '-o', 'json')).stdout);
      return (dump as { config: { requests: number } }).config.requests === 1;
    };
    await until('the kernel writes requests', watched, 10_000 * patience);
    for (const [path, flags] of requests) await send(path, flags);
    assert.equal((await live.exited).code, 0);
    const items = live.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as RequestItem);
    assert.deepEqual(
      items.map(({ path, status, flags, route }) => [path, status, flags, route]),
      requests.map(([path, , status, flags, route]) => [path.replace(/\?.*/, ''), status, flags, route]),
    );
    const [first] = items;
    assert.deepEqual(
      [first?.source.workload, first?.destination.workload, first?.service, first?.asked, first?.host, first?.method],
      ['client', 'red', 'shop/shop', `${shop[0]}:80`, 'shop', 'GET'],
    );
    assert.match(first?.origin ?? '', /routes\.yaml:/);
    assert.equal(items.find(({ path }) => path === '/fault')?.method, 'PUT');
    const filters = ['--from-pod', 'shop/cli', '--http-status', '4+'];
    const failed = await mesh.ctl('observe', '-f', '--last', '100', '--first', '1', ...filters);
    assert.match(
      failed.stdout,
      /^\S+Z shop\/client:\d+ -> 10\.96\.0\.10:80 \(shop\/shop\) GET http:\/\/shop\/gone\/1 410 \S+ms route gone\n$/,
    );
    const idle = async () => !(await watched());
    await until('the kernel writes none without an observer', idle, 10_000 * patience);
    const old = await mesh.ctl('observe', '--last', '2', '-o', 'json');
    assert.deepEqual(
      old.stdout
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as RequestItem).status),
      [418, 404],
    );
  });

  test('while tables change, each request is told by the name of the route that took it', async () => {
    const tables = {
      old: '- {name: first, match: [{uri: {prefix: /x}}], directResponse: {status: 410}}\n- {name: old, directResponse: {status: 411}}',
      new: '- {name: new, directResponse: {status: 412}}',
    };
    mesh.write('routes.yaml', virtualService('shop', tables.old));
    await mesh.settled();
    const node = mesh.lab.node;
    const live = node.spawn([`${mesh.checkout}/bin/kmeshctl`, 'observe', '-f', '-o', 'json']);
    const cases = [{ from: ['411', '412'], path: '/', fields: ['host: shop'] }];
    const flags = ['--until-eof', '--rate', '400', '--connections', '2'];
    const load = client.spawn(httpLoadCommand(shop[0], 80, cases, flags), { holdInput: true });
    await load.line(/^ready$/);
    await live.line(/"status":41[12]/);
    for (const version of ['new', 'old', 'new', 'old', 'new', 'old'] as const) {
      mesh.write('routes.yaml', virtualService('shop', tables[version]));
      await mesh.settled();
    }
    load.endInput();
    const { errors, misrouted, answers } = await loadResult(load);
    assert.deepEqual([errors, misrouted, Object.keys(answers).length], [{}, 0, 2]);
    await live.kill('SIGINT');
    const items = live.stdout
      .trimEnd()
      .split('\n')
      .filter((line) => line.endsWith('}'))
      .map((line) => JSON.parse(line) as RequestItem);
    const told = new Set(items.map(({ status, route }) => `${status} ${route}`));
    assert.deepEqual([...told].sort(), ['411 old', '412 new']);
    mesh.write('routes.yaml', routes);
    await mesh.settled();
  });

  test('the access log has a line for each request', async () => {
    assert.equal((await mesh.ctl('accesslog', 'enable')).code, 0);
    await send('/plain', []);
    const [line] = await mesh.daemon.line(/ access: request complete .*/);
    assert.match(line, / src\.workload=client src\.namespace=shop dst\.addr=\S+:8080 dst\.vip=10\.96\.0\.10:80 /);
    assert.match(line, / dst\.service=shop\.shop\.svc\.cluster\.local dst\.workload=red dst\.namespace=shop /);
    assert.match(
      line,
      / method=GET authority=shop path="?\/plain"? response_code=200 response_flags="?-"? route=plain /,
    );
    await send('/nowhere', []);
    const [failed] = await mesh.daemon.line(/ access: request failed .*/);
    assert.match(failed, / response_code=404 response_flags=NR .* error="NR: no route takes the request"/);
    assert.equal((await mesh.ctl('accesslog', 'disable')).code, 0);
  });
});
