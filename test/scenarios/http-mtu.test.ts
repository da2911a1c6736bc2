/** HTTP where a router on the way to an endpoint takes only smaller packets: its ICMP reaches the client's TCP. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { Shop, shopAddresses } from '../lab/http-shop.ts';
import { patternDigest, patternFile } from '../lab/pattern.ts';
import { requireRoot } from '../lab/root.ts';

const test = requireRoot(nodeTest);
const bytes = 3_000_000;

describe('HTTP over a narrow link', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let shop: Shop;

  before(async () => {
    // Handed over from device to device, packets would pass no router.
    shop = await Shop.create({ flags: ['--short-cut', 'off'] });
    for (const server of shop.all) {
      const route = await shop.lab.node.output(['ip', '-4', 'route', 'show', server.ip4]);
      const [, device = ''] = / dev (\S+)/.exec(route) ?? [];
      await shop.lab.node.output(['ip', 'link', 'set', 'dev', device, 'mtu', '1300']);
    }
  });
  after(() => shop?.lab.close());

  for (const [i, address] of shopAddresses.entries()) {
    test(`a body that is sent in packets too large arrives whole, IPv${i === 0 ? 4 : 6}`, async () => {
      const url = `http://${i === 0 ? address : `[${address}]`}/digest`;
      const file = patternFile(shop.lab.directory, bytes);
      const sent = await shop.client.output(['curl', '-sS', '-m', '20', '--data-binary', `@${file}`, url]);
      assert.ok(sent.includes(patternDigest(bytes)), sent);
      const routes = await shop.client.output(['ip', i === 0 ? '-4' : '-6', 'route', 'get', address]);
      assert.match(routes, /mtu 1300/, 'the client has learned the size by ICMP');
    });
  }
});
