/**
 * The kernel's parser of request heads (bpf/include/km_http_head.h) by test runs: against a table, against the reference on
 * random heads, and against Node's strict server on what it accepts. KMESH_FUZZ sets the number of random heads,
 * KMESH_FUZZ_SEED where they begin.
 */
import assert from 'node:assert/strict';
import { METHODS } from 'node:http';
import { test } from 'node:test';
import { headCases } from './http-cases.ts';
import { bytesOf, compareHeads, fuzzHttp } from './http-fuzz.ts';
import { HttpPrograms } from './http-programs.ts';
import { type Head, type Range, readHead } from './http-reference.ts';
import { longestBody, type SeenRequest, StrictServer } from './http-strict-server.ts';
import { rootOnly } from './testing.ts';

const skip = rootOnly();
const seed = Number(process.env['KMESH_FUZZ_SEED'] ?? 1);

test('heads are accepted or refused as the table says', { skip }, () => {
  using programs = new HttpPrograms();
  for (const { what, text, verdict, first } of headCases) {
    for (const beginning of first === undefined ? [true, false] : [first]) {
      const got = compareHeads(programs, bytesOf(text), beginning, what);
      assert.equal(got.verdict, verdict, `${what}, first ${beginning}`);
    }
  }
});

test('a head is incomplete at every cut, and a refused one is never accepted by one', { skip }, () => {
  using programs = new HttpPrograms();
  for (const { what, text, verdict } of headCases) {
    if (text.length > 400) continue;
    for (let cut = 0; cut < text.length; cut++) {
      const got = compareHeads(programs, bytesOf(text.slice(0, cut)), true, `${what}, cut at ${cut}`);
      if (verdict !== 'complete') assert.notEqual(got.verdict, 'complete', what);
      else if (cut < (readHead(bytesOf(text), true).head?.bytes ?? 0)) assert.equal(got.verdict, 'incomplete', what);
    }
  }
});

test('every byte in every place, cut behind it and whole', { skip }, () => {
  using programs = new HttpPrograms();
  const texts = [
    'GET /a?b HTTP/1.1\r\nHost: a.b:1\r\nx: y\r\n\r\n',
    'OPTIONS * HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\nContent-Length: 5\r\n\r\n',
    'CONNECT a:1 HTTP/1.1\r\nHost: a\r\nUpgrade:\r\n\r\n',
    'PUT http://a/ HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
  ];
  for (const text of texts) {
    for (let at = 0; at < text.length; at++) {
      // Letters and digits are alike: some of them do.
      for (let byte = 0; byte < 256; byte++) {
        if (/^[b-yB-Y2-8]$/.test(String.fromCharCode(byte)) && byte % 8 !== 0) continue;
        if (byte >= 0x80 && byte % 32 !== 0 && byte !== 0xff && byte !== 0x80 + text.charCodeAt(at)) continue;
        const changed = text.slice(0, at) + String.fromCharCode(byte) + text.slice(at + 1);
        compareHeads(programs, bytesOf(changed), true, `byte ${byte} at ${at}`);
        compareHeads(programs, bytesOf(changed.slice(0, at + 1)), true, `byte ${byte} at ${at}, cut`);
        compareHeads(programs, bytesOf(changed.slice(0, at + 2)), false, `byte ${byte} at ${at}, cut behind`);
      }
    }
  }
});

test('what the last text left behind makes no difference', { skip }, () => {
  using programs = new HttpPrograms();
  const text = 'GET /a?b HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\n\r\n';
  for (let cut = 0; cut <= text.length; cut++) {
    programs.head(bytesOf(text.replace('shop', 'left')), true);
    compareHeads(programs, bytesOf(text.slice(0, cut)), true, `cut at ${cut}`);
  }
});

test('kernel and reference agree on random heads', { skip }, () => {
  const count = Number(process.env['KMESH_FUZZ'] ?? 5000);
  const { verdicts } = fuzzHttp(count, seed);
  for (const verdict of ['complete', 'bad', 'other', 'version', 'too-long'])
    assert.ok((verdicts[verdict] ?? 0) > count / 1000, `${verdict}: ${verdicts[verdict]} of ${count}`);
});

test("Node's strict server sees what was accepted in the same way", { skip }, async (t) => {
  const accepted: { text: Uint8Array; head: Head }[] = [];
  for (const { text } of headCases) {
    const { head } = readHead(bytesOf(text), false);
    if (head !== undefined) accepted.push({ text: bytesOf(text), head });
  }
  fuzzHttp(4000, seed + 1_000_000, { accepted: (text, head) => accepted.push({ text, head }) });
  await using server = await StrictServer.start();
  let refused = 0;
  const next = accepted.values();
  // Several connections at once.
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (const { text, head } of next) {
        const seen = await server.requests(withRest(text, head));
        if (seen.length === 0 && mayBeRefused(text, head)) refused++;
        else assert.deepEqual(seen, expectedRequests(text, head), Buffer.from(text).toString('latin1'));
      }
    }),
  );
  t.diagnostic(`${accepted.length} heads, of which Node refuses ${refused}`);
  assert.ok(refused < accepted.length / 2);
});

test('what it costs', { skip }, (t) => {
  using programs = new HttpPrograms();
  const short = 'GET /api/v1/orders HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n';
  const fields = `Accept-Encoding: gzip, br\r\nX-User: alice\r\nCookie: session=${'0'.repeat(32)}\r\n`;
  const long = `GET / HTTP/1.1\r\nHost: a\r\nCookie: ${'x'.repeat(8000)}\r\n\r\n`;
  for (const text of [short, short.replace('Accept', `${fields}Accept`), long])
    t.diagnostic(`${text.length} bytes: ${programs.measureHead(bytesOf(text))} ns`);
});

const latin1 = (bytes: Uint8Array, [at, length]: Range): string =>
  Buffer.from(bytes.subarray(at, at + length)).toString('latin1');

/** The methods that llhttp knows are a list; versions above 1.1 it takes none. */
function mayBeRefused(text: Uint8Array, head: Head): boolean {
  const line = latin1(text, [0, head.bytes]).split('\r\n')[0] ?? '';
  return !METHODS.includes(latin1(text, head.method)) || !/ HTTP\/1\.[01]$/.test(line);
}

/** After this request the connection may end or speak another protocol. */
function isLast(head: Head): boolean {
  return ['close', 'connect', 'upgrade'].some((flag) => head.flags.includes(flag));
}

/** The head, its body, and another request if there may be one. */
function withRest(text: Uint8Array, head: Head): Uint8Array {
  let rest = '';
  if (head.body === 'chunked') rest = '4\r\nbody\r\n0\r\n\r\n';
  else if (head.contentLength <= longestBody) rest = 'b'.repeat(Number(head.contentLength));
  if (!isLast(head)) rest += 'GET /next HTTP/1.1\r\nHost: next\r\nConnection: close\r\n\r\n';
  return Buffer.concat([text.subarray(0, head.bytes), bytesOf(rest)]);
}

function expectedRequests(text: Uint8Array, head: Head): SeenRequest[] {
  const line = latin1(text, [0, head.bytes]).split('\r\n')[0] ?? '';
  const whole = head.contentLength <= longestBody;
  const own: SeenRequest = {
    method: latin1(text, head.method),
    url: line.slice(head.method[1] + 1, line.lastIndexOf(' ')),
    rawHeaders: head.headers.flatMap(([name, value]) => [latin1(text, name), latin1(text, value)]),
    body: head.body === 'chunked' ? 4 : whole ? Number(head.contentLength) : null,
  };
  if (!whole || isLast(head)) return [own];
  const next = { method: 'GET', url: '/next', rawHeaders: ['Host', 'next', 'Connection', 'close'], body: 0 };
  return [own, next];
}
