/** Dual-engine mode: a control plane speaks Istio's workload API, and connections of enrolled pods go where it says. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import type { Any } from '@bufbuild/protobuf/wkt';
import { AuthorizationSchema, IstioAddressSchema } from '../../src/source/xds/gen/messages.gen.ts';
import { service as serviceOf, web, workload as workloadOf } from '../../src/source/xds/testing-hostile.ts';
import { manyConnections } from '../lab/clients.ts';
import { LabControlPlane } from '../lab/control-plane.ts';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, pod, type TestMesh } from '../lab/mesh.ts';
import { requireRoot } from '../lab/root.ts';
import { startWeb } from '../lab/servers.ts';
import { until } from '../lab/sockets.ts';

const test = requireRoot(nodeTest);
const names = ['red', 'green', 'blue'] as const;
const vip = '10.96.0.10';

const bytes = (address: string): Uint8Array => Uint8Array.from(address.split('.').map(Number));

describe('the workload API', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let plane: LabControlPlane;
  let client: Host;
  let servers: Host[];

  const uid = (host: Host): string => `Kubernetes//Pod/shop/${host.name}`;
  const put = (name: string, { typeUrl, value }: Any): void => {
    plane.put({ name, typeUrl, value: Buffer.from(value).toString('base64') });
  };
  const workload = (host: Host, rest: { status?: number; capacity?: number } = {}): void => {
    const services = { [web]: { ports: [{ servicePort: 80, targetPort: 8080 }] } };
    const own = { uid: uid(host), name: host.name, serviceAccount: host.name, addresses: [bytes(host.ip4)] };
    put(uid(host), workloadOf({ ...own, services, ...rest }));
  };
  const service = (init: object = {}): void => put(web, serviceOf(vip, init));
  const answers = async (count = 60) => await manyConnections(client, [vip, '80', String(count)]);
  /** Who answers, when exactly these do; the push is on its way. */
  const answerers = async (wanted: readonly string[]): Promise<void> => {
    let seen: readonly string[] = [];
    const same = async () => {
      seen = Object.keys((await answers()).answers).sort();
      return seen.join() === [...wanted].sort().join();
    };
    await until(`only ${wanted.join()} answer`, same, 10_000, async () => `${seen.join()}\n${mesh.daemon.stderr}`);
  };

  before(async () => {
    lab = await Lab.create();
    client = await lab.pod('client');
    servers = await Promise.all(names.map((name) => lab.pod(name)));
    await Promise.all(servers.map((s) => startWeb(s, { port: 8080 })));
    plane = await LabControlPlane.start(lab);
    service();
    for (const one of servers) workload(one);
    await plane.push();
    mesh = meshOf(lab);
    // Enrolment and network namespaces are this machine's own matter.
    mesh.write('pods.yaml', file(namespace('shop', true), pod(client)));
    await mesh.start(['--mesh-controller', plane.address]);
    await mesh.settled();
  });
  after(() => lab?.close());

  test('a service of the control plane is balanced over its workloads', async () => {
    const { answers: seen, failures } = await answers(600);
    assert.equal(failures, 0);
    for (const name of names) assert.ok((seen[name] ?? 0) > 120, `${name}: ${seen[name]}`);
  });

  test('status tells of the control plane', async () => {
    const { sources } = await mesh.status();
    const xds = sources.find(({ name }) => name === 'xds');
    assert.deepEqual(
      xds?.xds?.types.map(({ type, answered, resources, nacks }) => [type, answered, resources, nacks]),
      [
        ['WDS', true, 4, 0],
        ['WADS', true, 0, 0],
      ],
    );
    assert.equal(xds.xds.connected, true);
  });

  test('an unhealthy workload, one that is removed, one that comes back', async () => {
    const [red, green] = servers;
    assert.ok(red && green);
    workload(red, { status: 1 });
    await plane.push();
    await answerers(['green', 'blue']);
    plane.remove(IstioAddressSchema, uid(green));
    await plane.push();
    await answerers(['blue']);
    workload(red);
    workload(green);
    await plane.push();
    await answerers(names);
  });

  test('a bad resource is refused by name, and its last good version stays in force', async () => {
    service({ ports: [{ servicePort: 0 }] });
    await plane.push();
    await plane.process.line(/^NACK WDS shop\/web.*service.ports\[0\].service_port: 0 is no port/);
    await answerers(names);
    await until('the problem is told', async () => (await mesh.status()).problems.some((p) => p.code === 'KM1040'));
    service();
    await plane.push();
    await mesh.settled();
  });

  test('a policy is warned about, since nothing enforces it', async () => {
    plane.set(AuthorizationSchema, 'shop/deny', { namespace: 'shop', name: 'deny', action: 1 });
    await plane.push();
    await mesh.daemon.line(/WARN source: KM1041 Authorization shop\/deny .*not enforced/, { stream: 'stderr' });
    plane.remove(AuthorizationSchema, 'shop/deny');
    await plane.push();
  });

  test('traffic goes on without the control plane, and without a daemon that knows it', async () => {
    await plane.stop();
    assert.equal((await answers()).failures, 0);
    await mesh.daemon.kill('SIGKILL');
    // The control plane is away: what the earlier daemon published stays.
    const daemon = mesh.launch(['--mesh-controller', plane.address]);
    await daemon.line(/ INFO daemon: ready /, { stream: 'stderr' });
    assert.match((await mesh.ctl('status')).stdout, /pending: the control plane .* has not said all yet/);
    await answerers(names);
    const [red] = servers;
    assert.ok(red);
    plane.remove(IstioAddressSchema, uid(red));
    await plane.restart();
    await plane.push();
    await answerers(['green', 'blue']);
    await mesh.settled();
  });
});
