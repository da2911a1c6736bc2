/** HTTP: the clients and the bodies that people have, unmodified, through the mesh. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { httpClients, uploads } from '../lab/http-clients.ts';
import { forgotten, many } from '../lab/http-mesh.ts';
import { colors, Shop, shopAddresses } from '../lab/http-shop.ts';
import { patternDigest, patternFile } from '../lab/pattern.ts';
import { requireRoot } from '../lab/root.ts';
import { noConnections } from '../lab/sockets.ts';

const test = requireRoot(nodeTest);

describe('HTTP clients', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let shop: Shop;
  before(async () => {
    shop = await Shop.create();
  });
  after(() => shop?.lab.close());

  for (const { name, run } of httpClients) {
    for (const [i, family] of ([4, 6] as const).entries()) {
      test(`${name} works as it is, IPv${family}`, async () => {
        const address = shopAddresses[i] ?? '';
        assert.deepEqual(await run(shop.client, { address, port: 80, names: colors }), []);
      });
    }
  }

  for (const [i, family] of ([4, 6] as const).entries()) {
    const size = many(50_000_000, 1_000_000_000);
    const base = () => `http://${family === 4 ? shopAddresses[i] : `[${shopAddresses[i]}]`}`;
    const curl = ['curl', '-sS', '-f', '-m', '300', '-H', 'Host: shop'];
    const options = { timeoutMs: 400_000 };

    test(`${size} bytes come down whole, by content-length and chunked, IPv${family}`, async () => {
      for (const path of [`/bytes?n=${size}`, `/chunked?n=${size}&piece=100000`]) {
        const script = 'timeout 300 "$@" | sha256sum';
        const sum = await shop.client.output(['sh', '-c', script, 'sh', ...curl, `${base()}${path}`], options);
        assert.equal(sum.split(' ')[0], patternDigest(size), path);
      }
    });

    test(`${size} bytes go up whole, by content-length and chunked, IPv${family}`, async () => {
      const file = patternFile(shop.lab.directory, size);
      for (const flags of [[], ['-H', 'Transfer-Encoding: chunked']]) {
        const answer = await shop.client.output([...curl, ...flags, '-T', file, `${base()}/digest`], options);
        assert.match(answer, new RegExp(`"length":${size},"sha256":"${patternDigest(size)}"`));
      }
    });
  }

  test('uploads of several programs, whose packets leave on both CPUs and overtake each other', async () => {
    const target = (i: number) => ({ address: shopAddresses[i % 2] ?? '', port: 80, names: colors });
    const each = Array.from({ length: 3 }, (_, i) => uploads(shop.client, target(i), many(60, 1000)));
    assert.deepEqual((await Promise.all(each)).flat(), []);
  });

  test('afterwards no server has a connection left and the kernel has forgotten everything', async () => {
    for (const server of shop.all) await noConnections(server, 8080);
    await forgotten(shop.mesh);
  });
});
