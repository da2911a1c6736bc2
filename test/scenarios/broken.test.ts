/** Broken objects while traffic flows: each is told with file and line, and the last good state stays in force. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { type Problem, problemLine } from '../../src/model/types.ts';
import { clientResult, type ManyResult, manyConnectionsCommand } from '../lab/clients.ts';
import { Lab } from '../lab/lab.ts';
import { entry, file, meshOf, namespace, patience, pod, type TestMesh } from '../lab/mesh.ts';
import { startNginx } from '../lab/nginx.ts';
import { pythonProgram } from '../lab/python.ts';
import { requireRoot } from '../lab/root.ts';

const test = requireRoot(nodeTest);

const service = (changes: string): string => `apiVersion: v1
kind: Service
metadata: {name: shop, namespace: shop}
spec:
  clusterIP: 10.96.0.1
  selector: {app: server}
  ports:
  - port: 80
    targetPort: 8080
${changes}`;

const good = service('');

/** What is wrong → the file's text and the end of the problem line, from the line number on. */
const broken: Readonly<Record<string, readonly [string, RegExp]>> = {
  'a port out of range': [good.replace('port: 80', 'port: 70000'), /:8 spec\.ports\[0\]\.port: /],
  'an address that is none': [good.replace('10.96.0.1', '10.96.0'), /:5 spec\.clusterIP: /],
  'a tab for indentation': [good.replace('  selector', '\tselector'), /:6/],
  'a list in place of a map': [good.replace('{app: server}', '[app]'), /:6 spec\.selector: /],
  'a policy that nobody knows': [service('  internalTrafficPolicy: Near\n'), /:10 spec\.internalTrafficPolicy: /],
  'an affinity that nobody knows': [service('  sessionAffinity: Cookie\n'), /:10 spec\.sessionAffinity: /],
  'no name': [good.replace('name: shop, ', ''), /metadata/],
  'half a file': [good.slice(0, 60), /shop\.yaml:\d+/],
};

describe('broken objects', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let lab: Lab;
  let mesh: TestMesh;

  before(async () => {
    lab = await Lab.create();
    const [client, server] = await Promise.all([lab.pod('client'), lab.pod('server')]);
    await startNginx(server, { port: 8080 });
    mesh = meshOf(lab);
    mesh.write('pods.yaml', file(namespace('shop', true), pod(client), pod(server)));
    mesh.write('shop.yaml', good);
    await mesh.start();
    await mesh.settled();
  });
  after(() => lab?.close());

  const errors = async (): Promise<Problem[]> => (await mesh.status()).problems.filter((p) => p.severity === 'error');

  test('every broken version is refused with its line, in status and log, and traffic goes on', async () => {
    const client = lab.pods.get('client') ?? lab.node;
    const keepAlive = [...pythonProgram('clients/keep_alive.py'), '10.96.0.1', '80', '--until-eof'];
    const open = client.spawn(keepAlive, { holdInput: true });
    await open.line(/^ready$/);
    // Each takes several starts of kmeshctl; on an emulated machine two kinds have to do.
    for (const [what, [text, line]] of Object.entries(broken).slice(0, patience === 1 ? undefined : 2)) {
      const seen = mesh.daemon.line(new RegExp(`ERROR source: .*${line.source}`), {
        stream: 'stderr',
        timeoutMs: 10_000 * patience,
      });
      mesh.write('shop.yaml', text);
      await seen;
      const problems = await errors();
      assert.equal(problems.length, 1, `${what}: ${problems.map(problemLine).join('\n')}`);
      assert.match(problemLine(problems[0] as Problem), line, what);
      const { code, stdout } = await mesh.ctl('status');
      assert.equal(code, 1, `${what}: kmeshctl status must fail`);
      assert.match(stdout, line, what);
      const { answers } = JSON.parse(await one(client)) as ManyResult;
      assert.deepEqual(answers, { server: 1 }, what);
      mesh.write('shop.yaml', good);
      await mesh.settled();
      assert.deepEqual(await errors(), []);
    }
    open.endInput();
    await open.exited;
    assert.deepEqual(clientResult(open)['errors'], {});
  });

  const one = (client: { output(args: readonly string[]): Promise<string> }): Promise<string> =>
    client.output(manyConnectionsCommand(['10.96.0.1', '80', '1']));

  test('a second claim of the same address is the error of the second, and takes over when the first goes', async () => {
    const client = lab.pods.get('client') ?? lab.node;
    mesh.write('thief.yaml', entry('thief', { addresses: ['10.96.0.1'], endpoints: [] }));
    await mesh.daemon.line(/ERROR source: KM2001 ServiceEntry shop\/thief .*thief\.yaml:\d+/, { stream: 'stderr' });
    assert.deepEqual((JSON.parse(await one(client)) as ManyResult).answers, { server: 1 });
    mesh.write('shop.yaml', null);
    await mesh.settled();
    assert.deepEqual((JSON.parse(await one(client)) as ManyResult).errors, { ECONNREFUSED: 1 });
    mesh.write('thief.yaml', null);
    mesh.write('shop.yaml', good);
    await mesh.settled();
    assert.deepEqual((JSON.parse(await one(client)) as ManyResult).answers, { server: 1 });
  });

  test('an object that is broken when the daemon starts keeps what the kernel has of it', async () => {
    const client = lab.pods.get('client') ?? lab.node;
    await mesh.daemon.kill('SIGKILL');
    mesh.write('shop.yaml', good.replace('port: 80', 'port: 70000'));
    await mesh.start();
    assert.equal((await errors()).length, 1);
    assert.deepEqual((JSON.parse(await one(client)) as ManyResult).answers, { server: 1 });
    mesh.write('shop.yaml', good.replace('10.96.0.1', '10.96.0.77'));
    await mesh.settled();
    assert.equal(
      (JSON.parse(await one(client)) as ManyResult).failures,
      1,
      'the old address is gone with the good version',
    );
    mesh.write('shop.yaml', good);
    await mesh.settled();
  });

  test('a table that is full refuses the service that does not fit and names the setting', async () => {
    await mesh.daemon.kill('SIGTERM');
    await mesh.start(['--max-listeners', '2']);
    mesh.write(
      'more.yaml',
      file(...[2, 3].map((n) => entry(`more${n}`, { addresses: [`10.96.0.${n}`], endpoints: [] }))),
    );
    await mesh.daemon.line(/service does not fit .*KM3001 km_listener is full .*--max-listeners/, { stream: 'stderr' });
    assert.equal((await mesh.ctl('status')).code, 1);
    assert.match((await mesh.ctl('status')).stdout, /--max-listeners/);
    mesh.write('more.yaml', null);
    await mesh.settled();
  });
});
