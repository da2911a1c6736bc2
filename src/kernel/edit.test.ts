/**
 * Changed heads and local replies (bpf/include/km_edit.h, km_reply.h, km_reply_action.h) against a reference of strings, by test runs of a
 * sched_cls program. KMESH_FUZZ sets the number of random cases, KMESH_FUZZ_SEED where they begin.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request, STATUS_CODES } from 'node:http';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { type Edit, editedHead, type Head, headText, location, RandomEdits } from './edit-reference.ts';
import { EditBlob, EditKernel } from './edit-testing.ts';
import { rootOnly } from './testing.ts';
import { testRun } from './testrun.ts';

const skip = rootOnly();
const cases = Number(process.env['KMESH_FUZZ'] ?? 4000);
const firstSeed = Number(process.env['KMESH_FUZZ_SEED'] ?? 1);
/** enum km_out_error */
const noRoom = -1;
const changed = -2;
const maxOut = 32_640;

const plain: Head = {
  method: 'GET',
  target: { scheme: '', authority: '', path: '/shop/cart', query: '?page=2' },
  version: 'HTTP/1.1',
  lines: [
    ['Host', ': ', 'shop.example:8080', '\r\n'],
    ['User-Agent', ': ', 'Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101', '\r\n'],
    ['Accept', ': ', 'text/html,application/json;q=0.9', '\r\n'],
    ['X-User', ':', 'alice', '\r\n'],
    ['Accept-Encoding', ': ', 'gzip, br', '\r\n'],
    ['x-user', ': ', 'bob', '\r\n'],
    ['Cookie', ': ', `session=${'0123456789abcdef'.repeat(4)}`, '\r\n'],
  ],
};

function edited(kernel: EditKernel, head: Head, edits: readonly Edit[]) {
  const blob = new EditBlob();
  const unit = blob.edits(edits);
  kernel.setBlob(blob);
  kernel.setHead(head);
  return kernel.run('km_test_edit', { unit });
}

test('each kind of change', { skip }, () => {
  using kernel = new EditKernel();
  const made = (edits: readonly Edit[], head = plain) => {
    const { result, text } = edited(kernel, head, edits);
    assert.equal(result, 0);
    assert.equal(text, editedHead(head, edits));
    return text;
  };
  assert.equal(made([]), headText(plain));
  assert.equal(made([{ kind: 'remove', name: 'x-user' }]).match(/x-user/gi), null);
  assert.match(made([{ kind: 'set', name: 'x-user', line: 'X-User: eve\r\n' }]), /6789abcdef\r\nX-User: eve\r\n\r\n$/);
  assert.equal(made([{ kind: 'add', line: 'x-user: eve\r\n' }]).match(/x-user/gi)?.length, 3);
  assert.match(
    made([{ kind: 'host', text: 'other:1' }]),
    /^GET \/shop\/cart\?page=2 HTTP\/1.1\r\nHost: other:1\r\nUser-/,
  );
  assert.equal(made([{ kind: 'remove', name: 'host' }]), headText(plain));
  const line = (edits: readonly Edit[]) => made(edits).split(' ')[1];
  assert.equal(line([{ kind: 'path', text: '/x' }]), '/x?page=2');
  assert.equal(line([{ kind: 'prefix', bytes: 3, text: '/' }]), '/op/cart?page=2');
  assert.equal(line([{ kind: 'segments', bytes: 5, text: '/v2/shop' }]), '/v2/shop/cart?page=2');
  assert.equal(line([{ kind: 'segments', bytes: 5, text: '' }]), '/cart?page=2');
  assert.equal(line([{ kind: 'segments', bytes: 10, text: '' }]), '/?page=2');
  assert.equal(line([{ kind: 'segments', bytes: 1, text: '/v2' }]), '/v2/shop/cart?page=2');
  const proxied: Head = { ...plain, target: { ...plain.target, scheme: 'http://', authority: 'shop.example:8080' } };
  assert.match(
    made(
      [
        { kind: 'host', text: 'b' },
        { kind: 'path', text: '/x' },
      ],
      proxied,
    ),
    /^GET http:\/\/b\/x\?page=2 HTTP\/1.1\r\nHost: b\r\n/,
  );
});

test('random heads and edits', { skip }, () => {
  using kernel = new EditKernel();
  for (let seed = firstSeed; seed < firstSeed + cases; seed++) {
    const random = new RandomEdits(seed);
    const head = random.head();
    const edits = random.edits(head.target.path);
    const { result, text } = edited(kernel, head, edits);
    assert.equal(result, 0, `seed ${seed}`);
    assert.equal(text, editedHead(head, edits), `seed ${seed}: ${JSON.stringify(edits)}`);
  }
});

test('a head of 16 KiB, as many headers as there may be, and the limit of what is made', { skip }, () => {
  using kernel = new EditKernel();
  const lines = Array.from({ length: 127 }, (_, i): Head['lines'][number] => [
    `x-${i % 3 === 0 ? 'gone' : i}`,
    ': ',
    'v'.repeat(100),
    '\r\n',
  ]);
  const short: Head = { ...plain, lines: [['Host', ': ', 'a', '\r\n'], ...lines] };
  const path = `/${'p'.repeat(16_384 - headText(short).length + plain.target.path.length - 1)}`;
  const head: Head = { ...short, target: { ...plain.target, path } };
  assert.equal(headText(head).length, 16_384);
  const edits: Edit[] = [
    { kind: 'remove', name: 'x-gone' },
    { kind: 'segments', bytes: 1, text: '/new' },
    { kind: 'set', name: 'x-125', line: `x-125: ${'s'.repeat(4000)}\r\n` },
  ];
  const { result, text } = edited(kernel, head, edits);
  assert.equal(result, 0);
  assert.equal(text, editedHead(head, edits));

  // Additions of 4000 bytes fit as long as all of it does, to the byte.
  const add = (bytes: number): Edit => ({ kind: 'add', line: `x: ${'a'.repeat(bytes - 5)}\r\n` });
  const most = maxOut - 16_384;
  const four = [4000, 4000, 4000].map(add);
  const last = most - 12_000;
  assert.equal(edited(kernel, head, [...four, add(last - 8)]).text.length, maxOut - 8);
  assert.equal(edited(kernel, head, [...four, add(last + 1)]).result, noRoom);
});

test('a table that was replaced meanwhile', { skip }, () => {
  using kernel = new EditKernel();
  const blob = new EditBlob();
  const unit = blob.edits([{ kind: 'add', line: 'a: b\r\n' }]);
  const reply = blob.reply(200, '', 'x');
  blob.bytes.writeUInt8(1, 8);
  kernel.setBlob(blob);
  kernel.setHead(plain);
  assert.equal(kernel.run('km_test_edit', { unit }).result, changed);
  assert.equal(kernel.run('km_test_reply_action', { unit: reply }).result, changed);
});

test('random redirects', { skip }, () => {
  using kernel = new EditKernel();
  for (let seed = firstSeed; seed < firstSeed + cases; seed++) {
    const random = new RandomEdits(seed);
    const head = random.head();
    const edits = random.redirect(head.target.path);
    const status = [301, 302, 303, 307, 308][seed % 5] ?? 302;
    const blob = new EditBlob();
    const unit = blob.redirect(status, edits);
    kernel.setBlob(blob);
    kernel.setHead(head);
    const { result, text } = kernel.run('km_test_reply_action', { unit, close: seed & 1 });
    const where = location(head, edits);
    const wanted =
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nserver: kmesh\r\nlocation: ${where}\r\ncontent-length: 0\r\n` +
      `${seed & 1 ? 'connection: close\r\n' : ''}\r\n`;
    assert.equal(result, 0, `seed ${seed}`);
    assert.equal(text, wanted, `seed ${seed}: ${JSON.stringify(edits)}`);
  }
});

test('answers of our own have the text that Envoy gives them', { skip }, () => {
  using kernel = new EditKernel();
  kernel.setHead(plain);
  const body = (status: number, close = 0) => kernel.run('km_test_reply', { status, close }).text.split('\r\n\r\n')[1];
  assert.equal(
    kernel.run('km_test_reply', { status: 404 }).text,
    'HTTP/1.1 404 Not Found\r\nserver: kmesh\r\ncontent-length: 0\r\n\r\n',
  );
  assert.equal(
    kernel.run('km_test_reply', { status: 503, close: 1 }).text,
    'HTTP/1.1 503 Service Unavailable\r\nserver: kmesh\r\ncontent-type: text/plain\r\ncontent-length: 19\r\n' +
      'connection: close\r\n\r\nno healthy upstream',
  );
  assert.equal(body(400), 'Bad Request');
  assert.equal(body(431), 'Request Header Fields Too Large');
  assert.equal(body(505), 'HTTP Version Not Supported');
  assert.equal(body(404, 2), 'fault filter abort');
  assert.equal(body(503, 4), 'upstream connect error or disconnect/reset before headers. reset reason: overflow');
  assert.match(kernel.run('km_test_reply', { status: 299 }).text, /^HTTP\/1.1 299 Unknown\r\n/);
});

test('the answer after a failed connect, made and copied', { skip }, () => {
  using kernel = new EditKernel();
  kernel.setHead(plain);
  const { text } = kernel.run('km_test_connect_failed', {});
  const [head = '', body = ''] = text.split('\r\n\r\n');
  assert.equal(body, 'upstream connect error or disconnect/reset before headers');
  assert.match(head, /^HTTP\/1.1 503 Service Unavailable\r\n/);
  assert.match(head, new RegExp(`\r\ncontent-length: ${body.length}\r\nconnection: close$`));
  assert.ok(text.length <= 512);
  const packet = testRun(kernel.program('km_test_copy_connect_failed'), new Uint8Array(600).fill(0x7e));
  assert.equal(packet.returnValue, text.length);
  const copied = Buffer.from(packet.packet).toString('latin1');
  assert.equal(copied, '~'.repeat(16) + text + '~'.repeat(600 - 16 - text.length));
  kernel.setHead({ ...plain, method: 'HEAD' });
  assert.equal(kernel.run('km_test_connect_failed', {}).text, `${head}\r\n\r\n`);
});

test("a real client's parser finds the end of every answer on one connection", { skip }, async () => {
  using kernel = new EditKernel();
  /** Answers by the path: /reply/STATUS, /fault/STATUS, /direct/STATUS. */
  const answer = (method: string, path: string): string => {
    const [, kind, status = ''] = path.split('/');
    kernel.setHead({ ...plain, method });
    if (kind !== 'direct') {
      return kernel.run('km_test_reply', { status: Number(status), close: kind === 'fault' ? 2 : 0 }).text;
    }
    const blob = new EditBlob();
    const unit = blob.reply(Number(status), 'content-type: application/json\r\n', '{"a":1}'.repeat(Number(status)));
    kernel.setBlob(blob);
    return kernel.run('km_test_reply_action', { unit }).text;
  };
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    let got = '';
    socket.on('data', (part) => {
      got += part.toString('latin1');
      if (!got.endsWith('\r\n\r\n')) return;
      const [method = '', path = ''] = got.split(' ');
      got = '';
      socket.write(answer(method, path), 'latin1');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = async (method: string, path: string) => {
    const asked = request({ agent, port: address.port, host: '127.0.0.1', method, path }).end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    const parts: Buffer[] = [];
    for await (const part of response) parts.push(part as Buffer);
    return { status: response.statusCode, phrase: response.statusMessage, body: Buffer.concat(parts).toString() };
  };
  for (let status = 200; status < 600; status++) {
    const phrase = STATUS_CODES[status] ?? 'Unknown';
    const empty = status === 204 || status === 304;
    for (const method of ['GET', 'HEAD']) {
      for (const kind of ['reply', 'fault', 'direct']) {
        const seen = await ask(method, `/${kind}/${status}`);
        assert.equal(seen.status, status);
        if (!renamed.has(status)) assert.equal(seen.phrase, phrase);
        if (method === 'HEAD' || empty) assert.equal(seen.body, '');
        else if (kind === 'fault') assert.equal(seen.body, 'fault filter abort');
        else if (kind === 'direct') assert.equal(seen.body, '{"a":1}'.repeat(status));
      }
    }
  }
  assert.equal(connections, 1);
  agent.destroy();
  server.close();
});

/** Node has names of RFC 7231 and older where RFC 9110 has others, and some of its own. */
const renamed = new Set([413, 418, 422, 509]);

test('what a set header costs', { skip }, (t) => {
  using kernel = new EditKernel();
  const blob = new EditBlob();
  const unit = blob.edits([{ kind: 'set', name: 'x-request-id', line: 'x-request-id: 0123456789abcdef\r\n' }]);
  const all = blob.edits([
    { kind: 'set', name: 'x-user', line: 'X-User: eve\r\n' },
    { kind: 'host', text: 'other.example' },
    { kind: 'segments', bytes: 5, text: '/v2' },
  ]);
  kernel.setBlob(blob);
  kernel.setHead(plain);
  const one = kernel.measure('km_test_edit', { unit });
  t.diagnostic(
    `${headText(plain).length} bytes: one set ${one} ns, set, host and path ${kernel.measure('km_test_edit', { unit: all })} ns`,
  );
  t.diagnostic(`a reply of our own ${kernel.measure('km_test_reply', { status: 503 })} ns`);
  // A sanity limit, far above what an idle machine shows.
  assert.ok(one < 5000);
});
