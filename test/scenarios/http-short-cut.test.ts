/** HTTP between pods of one machine: past its stack while nothing there has a say, and through it as soon as something has. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { loadResult } from '../lab/clients.ts';
import { Shop } from '../lab/http-shop.ts';
import { requireRoot } from '../lab/root.ts';
import { until } from '../lab/sockets.ts';

const test = requireRoot(nodeTest);
/** So many that what opens a connection does not count. */
const requests = 2000;

describe('the short cut', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let shop: Shop;

  /** IPv4 packets that the machine has forwarded. */
  const forwarded = async (): Promise<number> => {
    const [names = [], values = []] = (await shop.lab.node.output(['cat', '/proc/net/snmp']))
      .split('\n')
      .filter((line) => line.startsWith('Ip: '))
      .map((line) => line.split(' '));
    return Number(values[names.indexOf('ForwDatagrams')]);
  };
  /** How many packets the machine forwards for each request of a load. */
  const perRequest = async (...flags: readonly string[]): Promise<number> => {
    const before = await forwarded();
    const load = await loadResult(shop.client.spawn(shop.load(4, ['--requests', String(requests), ...flags])));
    assert.deepEqual([load.errors, load.misrouted, load.crossed, load.failed, load.requests], [{}, 0, 0, 0, requests]);
    return ((await forwarded()) - before) / requests;
  };
  const onNode = (...args: readonly string[]): Promise<string> => shop.lab.node.output(args);
  const hostSides = async (): Promise<readonly string[]> =>
    (await onNode('ip', '-o', 'link', 'show', 'type', 'veth')).split('\n').flatMap((line) => {
      const [, name] = /^\d+: ([^@:]+)@/.exec(line) ?? [];
      return name === undefined ? [] : [name];
    });

  before(async () => {
    shop = await Shop.create();
  });
  after(() => shop?.lab.close());

  test('packets of open connections go from device to device', async () => {
    assert.ok((await perRequest('--connections', '4')) < 0.1);
  });

  test('a queue at the devices leads them through the stack, also those of open connections', async () => {
    const devices = await hostSides();
    const load = shop.client.spawn(shop.load(4, ['--requests', String(requests * 50), '--connections', '4']));
    try {
      for (const device of devices) await onNode('tc', 'qdisc', 'add', 'dev', device, 'root', 'pfifo');
      await until('packets pass the stack', async () => (await perRequest('--connections', '1')) > 1);
      const [start, again] = [await forwarded(), async () => (await forwarded()) - start];
      await until('packets pass the stack', async () => (await again()) > 1000);
    } finally {
      for (const device of devices) await onNode('tc', 'qdisc', 'del', 'dev', device, 'root');
    }
    const { errors, misrouted, failed } = await loadResult(load);
    assert.deepEqual([errors, misrouted, failed], [{}, 0, 0]);
    await until('packets pass from device to device', async () => (await perRequest('--connections', '4')) < 0.1);
  });

  test('so does a rule of netfilter, which sees the packets', async () => {
    await onNode('iptables', '-A', 'FORWARD', '-p', 'tcp', '-j', 'ACCEPT');
    await until('packets pass the stack', async () => (await perRequest('--connections', '4')) > 1);
    const counted = /^\s*(\d+)/m.exec(
      (await onNode('iptables', '-L', 'FORWARD', '-v', '-x', '-n')).split('\n')[2] ?? '',
    );
    assert.ok(Number(counted?.[1]) > requests);
  });
});
