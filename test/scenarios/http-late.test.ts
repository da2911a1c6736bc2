/** HTTP: an acknowledgement that speaks of one endpoint and comes when another has the connection. */
import { after, before, describe, test as nodeTest } from 'node:test';
import type { Host } from '../lab/host.ts';
import { fastAddresses, fastPort, Shop } from '../lab/http-shop.ts';
import { pythonProgram } from '../lab/python.ts';
import { requireRoot } from '../lab/root.ts';
import { until } from '../lab/sockets.ts';
import { Wire } from '../lab/wire.ts';

const test = requireRoot(nodeTest);

describe('HTTP, packets that come late', {
  skip: process.getuid?.() !== 0 && process.env['CI'] === undefined,
}, () => {
  let shop: Shop;

  before(async () => {
    shop = await Shop.create();
  });
  after(() => shop?.[Symbol.asyncDispose]());

  const wireOf = (stack: DisposableStack, host: Host): Wire => stack.use(Wire.attach(host));

  for (const family of [4, 6] as const) {
    test(`an endpoint that has not seen the end of its handshake does not get an older one’s acknowledgement, IPv${family}`, async () => {
      using stack = new DisposableStack();
      const { client, servers } = shop;
      const [clientWire, greenWire] = [wireOf(stack, client), wireOf(stack, servers.green)];
      const address = fastAddresses[family === 4 ? 0 : 1];
      const asking = client.spawn([...pythonProgram('clients/replay.py'), 'eth0', address, '80'], { holdInput: true });
      await asking.line(/^ready$/);
      asking.write('ask fast /\n');
      await asking.line(/^answer red/);

      // The request opens a connection to another endpoint, whose SYN-ACK is lost, until the client's packets are too.
      greenWire.set({ loseOut: 1, port: fastPort });
      asking.write('ask fast /green/late\n');
      await until('the SYN-ACK is lost', async () => greenWire.count('egress').lost > 0n);
      clientWire.set({ loseOut: 1, port: 80 });
      greenWire.set({});
      // So that endpoint waits for the end of its handshake, while the connection is its already.
      await until('it comes the next time', async () => {
        const { seen, lost } = greenWire.count('egress');
        return seen > lost;
      });
      const lost = clientWire.count('egress').lost;
      await until('the request is lost', async () => clientWire.count('egress').lost > lost);
      asking.write('replay\n');
      await asking.line(/^replayed$/);
      clientWire.set({});
      await asking.line(/^answer green/);
      asking.endInput();
      await asking.exited;
    });
  }
});
