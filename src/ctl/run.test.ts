import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, afterEach, before, describe, test } from 'node:test';
import { fixtureTrouble } from '../api/fixture.ts';
import type { CheckResult, ItemList } from '../api/types.ts';
import { type Lab, type Ran, startLab } from './testing.ts';

let lab: Lab;
before(async () => {
  lab = await startLab();
});
afterEach(() => lab.backend.reset());
after(() => lab.server.stop());

function items(ran: Ran): readonly Record<string, unknown>[] {
  const parsed: ItemList<Record<string, unknown>> = JSON.parse(ran.stdout);
  return parsed.items;
}

async function fails(line: string | readonly string[], code: number, message: RegExp): Promise<void> {
  const ran = await lab.ctl(line);
  assert.equal(ran.code, code, `${line}: ${ran.stderr}`);
  assert.equal(ran.stdout, '');
  assert.match(ran.stderr, message);
  assert.match(ran.stderr, /^error: /);
}

describe('explain', () => {
  test('asks with method and fields; the pod’s namespace is as for get', async () => {
    const line = ['explain', '--from', 'frontend', '--to', 'reviews:9080/x', '-X', 'POST', '-H', 'a: b:c', '-H', 'd:'];
    await lab.ctl(line, { env: { KMESH_NAMESPACE: 'shop' } });
    const query = { from: 'frontend', namespace: 'shop', to: 'http://reviews:9080/x', method: 'POST' };
    const headers = [
      ['a', 'b:c'],
      ['d', ''],
    ];
    assert.deepEqual(lab.backend.calls, [`explain ${JSON.stringify({ ...query, headers })}`]);
  });

  test('JSON is the answer of the API', async () => {
    const ran = await lab.ctl('explain --from frontend -n shop --to http://reviews:9080/ -o json');
    const asked = { from: 'frontend', namespace: 'shop', to: 'http://reviews:9080/', method: 'GET', headers: [] };
    assert.deepEqual(JSON.parse(ran.stdout), await lab.backend.explain(asked));
  });

  test('a field without a colon and a missing URL are wrong usage', async () => {
    await fails(['explain', '--from', 'a', '--to', 'b', '-H', 'nothing'], 64, /is not 'NAME: VALUE'/);
    await fails('explain --from a', 64, /--to/);
  });
});

describe('get', () => {
  test('routes keep their order: the first that matches decides', async () => {
    const rows = items(await lab.ctl('get routes -n shop -o json'));
    assert.deepEqual(
      rows.map((row) => row['name']),
      ['jason', 'old', 'default'],
    );
  });

  test('the namespace is -n, then KMESH_NAMESPACE, then default', async () => {
    const names = async (line: string, env = {}) => (await lab.ctl(`${line} -o name`, { env })).stdout;
    assert.equal(await names('get svc'), 'service/payments\n');
    assert.match(await names('get svc', { KMESH_NAMESPACE: 'shop' }), /service\/reviews/);
    assert.equal(await names('get svc -n default', { KMESH_NAMESPACE: 'shop' }), 'service/payments\n');
  });

  test('types have their short names', async () => {
    for (const [short, long] of [
      ['svc', 'services'],
      ['service', 'services'],
      ['wl', 'workloads'],
      ['pods', 'workloads'],
      ['POD', 'workloads'],
      ['ep', 'endpoints'],
      ['ls', 'listeners'],
      ['route', 'routes'],
      ['cl', 'clusters'],
      ['conn', 'connections'],
      ['map', 'maps'],
    ]) {
      assert.equal((await lab.ctl(`get ${short} -A`)).stdout, (await lab.ctl(`get ${long} -A`)).stdout);
    }
  });

  test('JSON and YAML are {"items": [...]} with the raw values of the API', async () => {
    const all = await lab.backend.endpoints();
    const json = items(await lab.ctl('get endpoints -A -o json'));
    assert.equal(json.length, all.length);
    for (const item of all) assert.ok(json.some((one) => JSON.stringify(one) === JSON.stringify(item)));
    assert.deepEqual(items(await lab.ctl('get svc -n empty -o json')), []);
    const yaml = (await lab.ctl('get svc/payments -o yaml')).stdout;
    assert.match(yaml, /^items:\n {2}- namespace: default\n {4}name: payments\n/);
  });

  test('names select, as arguments or TYPE/NAME, also by hostname and address', async () => {
    const names = async (line: string) => (await lab.ctl(`${line} -n shop -o name`)).stdout;
    assert.equal(await names('get svc reviews dns-echo'), 'service/dns-echo\nservice/reviews\n');
    assert.equal(await names('get svc/reviews wl/frontend'), 'service/reviews\nworkload/frontend\n');
    assert.equal(await names('get svc reviews.shop.svc.cluster.local'), 'service/reviews\n');
    const one = await lab.ctl('get ep [fd00:244::99]:9080 -n shop --no-headers');
    assert.match(one.stdout, /^reviews {3}\[fd00:244::99]:9080 .*\n$/);
  });

  test('a name that is not there is an error, those that are there are shown', async () => {
    const ran = await lab.ctl('get services x reviews -n shop -o name');
    assert.equal(ran.code, 1);
    assert.equal(ran.stdout, 'service/reviews\n');
    assert.match(ran.stderr, /^error: KM6004 services "x" not found \(/);
    assert.equal((await lab.ctl('get maps nope')).code, 1);
  });

  test('selectors choose workloads', async () => {
    const names = async (selector: string) =>
      (await lab.ctl(['get', 'wl', '-n', 'shop', '-o', 'name', '-l', selector])).stdout;
    assert.equal(await names('app=reviews,version in (v1,v3)'), 'workload/reviews-v1\n');
    assert.equal(await names('!version'), 'workload/frontend\n');
  });

  test('nothing found is said on stderr and is no failure', async () => {
    const ran = await lab.ctl('get workloads -n empty');
    assert.deepEqual(ran, {
      code: 0,
      stdout: '',
      stderr: 'No workloads found in namespace empty (4 in others: -A shows them).\n',
    });
    lab.backend.set({ workloads: [] });
    assert.equal((await lab.ctl('get workloads -A')).stderr, 'No workloads found.\n');
    assert.equal((await lab.ctl('get workloads -A -o name')).stderr, '');
  });

  test('a control sequence in a name is written out', async () => {
    const [first] = await lab.backend.workloads();
    assert.ok(first !== undefined);
    lab.backend.set({ workloads: [{ ...first, name: 'a\x1b[2Jb' }] });
    for (const output of ['table', 'name']) {
      assert.ok((await lab.ctl(`get wl -A -o ${output}`)).stdout.includes('a\\u001b[2Jb'));
    }
  });

  test('wrong usage exits with 64', async () => {
    await fails('get', 64, /KM6005 say which type to get: services, workloads/);
    await fails('get roads', 64, /KM6005 unknown type "roads"; there are services/);
    await fails('get svc/a b', 64, /KM6005 "b" is not TYPE\/NAME/);
    await fails('get svc/', 64, /is not TYPE\/NAME/);
    await fails('get svc reviews -A', 64, /a name belongs to one namespace/);
    await fails('get svc -l app=x', 64, /-l does not apply to services: only workloads carry labels/);
    await fails('get wl frontend -l app=x', 64, /names or -l, not both/);
    await fails(['get', 'wl', '-l', 'a in'], 64, /selector "a in"/);
    await fails('get svc -o csv', 64, /Allowed choices are table, wide, json, yaml, name/);
    await fails('get svc --colour', 64, /unknown option '--colour'/);
    await fails('gte svc', 64, /unknown command 'gte'\n\(Did you mean get\?\)/);
    await fails('--admin-address a:b get svc', 64, /KM6005 admin address "a:b" is not HOST:PORT/);
  });
});

describe('status', () => {
  test('the exit code is 0 only when all is well', async () => {
    assert.equal((await lab.ctl('status -o json')).code, 0);
    lab.backend.set({ pending: ['kernel'] });
    assert.equal((await lab.ctl('status -o json')).code, 1);
    lab.backend.reset();
    lab.backend.set({ differences: fixtureTrouble.differences });
    assert.equal((await lab.ctl('status')).code, 1);
    lab.backend.reset();
    const [error, warning] = fixtureTrouble.problems;
    lab.backend.set({ problems: [warning] });
    assert.equal((await lab.ctl('status')).code, 0);
    lab.backend.set({ problems: [error] });
    const ran = await lab.ctl('status -o json');
    assert.equal(ran.code, 1);
    assert.deepEqual(JSON.parse(ran.stdout), await lab.backend.status());
  });

  test('--wait ends when the daemon is ready', async () => {
    lab.backend.set({ pending: ['kernel'] });
    const asked = Promise.withResolvers<void>();
    const waiting = lab.ctl('status --wait --timeout 20s', { requestTimeoutMs: 10_000 });
    const { status } = lab.backend;
    lab.backend.status = async () => {
      asked.resolve();
      return status();
    };
    await asked.promise;
    lab.backend.reset();
    const ran = await waiting;
    lab.backend.status = status;
    assert.equal(ran.code, 0);
    assert.match(ran.stdout, /Ready: {6}yes/);
  });

  test('--wait gives up with what is missing, also for a daemon that never comes', async () => {
    lab.backend.set({ pending: ['kernel tables'] });
    const ran = await lab.ctl('status --wait --timeout 10ms');
    assert.equal(ran.code, 1);
    assert.match(ran.stdout, /Ready: {6}no/);
    assert.match(ran.stderr, /^error: KM6006 not healthy after 10ms: pending: kernel tables/);
    const none = await lab.ctl('status --wait --timeout 10ms --admin-address 127.0.0.1:1');
    assert.equal(none.code, 1);
    assert.match(none.stderr, /KM6001/);
  });
});

describe('check', () => {
  test('--pre asks no daemon', async () => {
    const result: CheckResult = { category: 'kernel', description: 'BTF', result: 'warning', error: null, hint: 'x' };
    const env = { KMESH_ADMIN_ADDRESS: '127.0.0.1:1' };
    const ran = await lab.ctl('check --pre', { env, preChecks: async () => [result] });
    assert.deepEqual(ran, {
      code: 0,
      stdout: 'kernel\n------\n‼ BTF\n    x\n\nStatus check results are √\n',
      stderr: '',
    });
    const failed = await lab.ctl('check --pre -o json', { preChecks: async () => [{ ...result, result: 'error' }] });
    assert.equal(failed.code, 1);
    assert.equal(JSON.parse(failed.stdout).success, false);
  });

  test('a daemon that is not there is a failed check with a hint', async () => {
    const ran = await lab.ctl('check --admin-address 127.0.0.1:1');
    assert.equal(ran.code, 1);
    assert.match(ran.stdout, /^× admin API answers at 127.0.0.1:1\n {4}KM6001 .*\n {4}is kmesh-daemon running/m);
  });
});

describe('settings', () => {
  test('log shows and sets levels', async () => {
    assert.equal((await lab.ctl('log bpf')).stdout, 'NAME   LEVEL\nbpf    info\n');
    const set = await lab.ctl('log --set bpf:debug --set default:error');
    assert.equal(set.stdout, 'logger/bpf set to debug\nlogger/default set to error\n');
    assert.deepEqual(lab.backend.calls, ['logger bpf debug', 'logger default error']);
    assert.deepEqual(items(await lab.ctl('log bpf -o json')), [{ name: 'bpf', level: 'debug' }]);
    await fails('log nope', 1, /KM5006 no logger "nope"; there are default, bpf \(/);
    await fails('log --set bpf:loud', 1, /KM5003 no level "loud"/);
    await fails('log --set bpf', 64, /--set "bpf" is not NAME:LEVEL/);
    await fails('log bpf --set bpf:debug', 64, /not both/);
  });

  test('accesslog and monitoring', async () => {
    assert.equal((await lab.ctl('accesslog enable --format json')).stdout, 'accesslog enabled (json)\n');
    assert.equal((await lab.ctl('accesslog disable')).stdout, 'accesslog disabled\n');
    assert.equal((await lab.ctl('monitoring --all disable')).stdout, 'metrics disabled\naccesslog disabled\n');
    assert.equal((await lab.ctl('monitoring --accesslog enable')).stdout, 'accesslog enabled\n');
    assert.equal((await lab.ctl('monitoring --metrics enable')).stdout, 'metrics enabled\n');
    assert.deepEqual(lab.backend.calls, [
      'accesslog true json',
      'accesslog false undefined',
      'monitoring false',
      'accesslog false undefined',
      'accesslog true undefined',
      'monitoring true',
    ]);
    await fails('monitoring', 64, /say what to turn on or off/);
    await fails('monitoring --all yes', 64, /Allowed choices are enable, disable/);
    await fails('monitoring --all enable --metrics enable', 64, /cannot be used with/);
    await fails('accesslog', 64, /missing required argument 'state'/);
  });

  test('dump is of the mode that runs, another is refused by the daemon', async () => {
    await fails('dump dual-engine', 1, /KM5004 the daemon runs in mode kernel-native, not dual-engine/);
    await fails('dump sidecar', 64, /Allowed choices are kernel-native, dual-engine/);
    lab.backend.set({ mode: 'dual-engine' });
    assert.deepEqual(JSON.parse((await lab.ctl('dump')).stdout), await lab.backend.configDump());
  });
});

describe('the daemon', () => {
  test('not reachable: code, address and hint, and the client version all the same', async () => {
    const ran = await lab.ctl('version --admin-address 127.0.0.1:1');
    assert.equal(ran.code, 1);
    assert.equal(ran.stdout, 'client version: v0.1.0\n');
    assert.match(
      ran.stderr,
      /^error: KM6001 no kmesh-daemon at 127.0.0.1:1: .*ECONNREFUSED.*network namespace.*--admin-address/,
    );
    assert.equal((await lab.ctl('version --client --admin-address 127.0.0.1:1')).code, 0);
  });

  test('the flag goes before the environment', async () => {
    const env = { KMESH_ADMIN_ADDRESS: '127.0.0.1:1' };
    const flag = `--admin-address=127.0.0.1:${lab.server.port}`;
    assert.equal((await lab.ctl(`${flag} status`, { env })).code, 0);
    assert.equal((await lab.ctl(`status ${flag}`, { env })).code, 0);
  });

  test('errors of the daemon are shown with their code, in red at a terminal', async () => {
    lab.backend.set({ fail: new Error('map is gone') });
    await fails('get maps', 1, /^error: KM5008 map is gone \(/);
    assert.ok((await lab.ctl('get maps', { tty: true })).stderr.startsWith('\x1b[31merror:\x1b[0m KM5008'));
    assert.ok((await lab.ctl('get maps', { tty: true, env: { NO_COLOR: '1' } })).stderr.startsWith('error:'));
  });

  test('another server on the port is 65, a silent one a time-out', async (t) => {
    const answers: Record<string, string> = {
      '/maps': '<html>',
      '/services': '{"items": 3}',
      '/workloads': '{"items": [{"name": "x"}]}',
      '/status': '{"mode": "x"}',
      '/listeners': '{"error": "KM9999 new"}',
    };
    const other = createServer((request, response) => {
      const text = answers[request.url ?? ''];
      if (text === undefined) return;
      response.statusCode = text.includes('error') ? 500 : 200;
      response.end(text);
    }).listen(0, '127.0.0.1');
    t.after(() => {
      other.closeAllConnections();
      other.close();
    });
    await once(other, 'listening');
    const address = other.address();
    assert.ok(typeof address === 'object' && address !== null);
    const ctl = (line: string) =>
      lab.ctl(`${line} --admin-address 127.0.0.1:${address.port}`, { requestTimeoutMs: 100 });
    for (const [line, code, message] of [
      ['get maps', 65, /KM6003 GET \/maps at .*HTTP 200, not JSON/],
      ['get services', 65, /KM6003 .*no items/],
      ['get workloads -A -o wide', 65, /KM6003 GET \/workloads/],
      ['status', 65, /KM6003 .*it has no version, ready/],
      ['get listeners', 1, /^error: KM9999 new\n/],
      ['get connections', 1, /KM6002 GET \/connections: .* was silent for 0.1 s/],
    ] as const) {
      const ran = await ctl(line);
      assert.match(ran.stderr, message);
      assert.equal(ran.code, code, line);
    }
  });
});

test('the help of every command has examples and goes to stdout', async () => {
  const root = await lab.ctl('--help');
  const commands = [...root.stdout.matchAll(/^ {2}([a-z]+) .*/gm)].map(([, name]) => name ?? '');
  assert.ok(commands.length >= 9);
  for (const name of commands.filter((command) => command !== 'help' && command !== 'kmeshctl')) {
    const ran = await lab.ctl(`${name} --help`);
    assert.equal(ran.code, 0);
    assert.equal(ran.stderr, '');
    assert.match(ran.stdout, new RegExp(`\nExamples:\n {2}# \\S.*\n {2}.*kmeshctl ${name}`));
  }
  assert.deepEqual(await lab.ctl(''), root);
});
