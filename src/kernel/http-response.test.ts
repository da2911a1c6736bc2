/**
 * The kernel's parser of responses and chunked bodies (bpf/include/km_http_response.h) by test runs, against a table and a
 * reference, cut into packets everywhere. KMESH_FUZZ sets the number of random texts, KMESH_FUZZ_SEED where they begin.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { attachClsact, type Filter } from './attach.ts';
import { bytesOf, compareChunks, compareResponse, fuzzResponses } from './http-fuzz.ts';
import { HttpPrograms } from './http-programs.ts';
import { chunksCases, responseCases } from './http-response-cases.ts';
import { openLibbpf } from './libbpf.ts';
import { withNetns } from './netns.ts';
import { rootOnly, run, testNamespace } from './testing.ts';

const skip = rootOnly();
const seed = Number(process.env['KMESH_FUZZ_SEED'] ?? 1);

/** The text in packets of the kernel's test runs. */
function whole(text: string): string[] {
  return text.match(/.{1,2500}/gs) ?? [];
}

test('responses end as the table says', { skip }, () => {
  using programs = new HttpPrograms();
  for (const { what, text, phase, status, close, behind, asked } of responseCases) {
    const got = compareResponse(programs, whole(text), { noBody: false, tunnel: false, ...asked }, what);
    assert.equal(got.phase, phase, what);
    if (status !== undefined) assert.equal(got.status, status, what);
    if (close !== undefined) assert.equal(got.close, close, what);
    if (behind !== undefined) assert.equal(got.end, text.length - behind, what);
  }
});

test('chunked bodies end as the table says', { skip }, () => {
  using programs = new HttpPrograms();
  for (const { what, text, behind } of chunksCases) {
    const { bad, end } = compareChunks(programs, [text], what);
    assert.equal(bad ? 'bad' : end === null ? null : text.length - end, behind, what);
  }
});

test('where the packets are cut makes no difference', { skip }, () => {
  using programs = new HttpPrograms();
  for (const { what, text, asked } of responseCases) {
    if (text.length > 400) continue;
    const question = { noBody: false, tunnel: false, ...asked };
    for (let cut = 1; cut < text.length; cut++)
      compareResponse(programs, [text.slice(0, cut), text.slice(cut)], question, `${what}, cut at ${cut}`);
    compareResponse(programs, [...text], question, `${what}, byte by byte`);
  }
  for (const { what, text } of chunksCases) {
    for (let cut = 1; cut < text.length; cut++)
      compareChunks(programs, [text.slice(0, cut), text.slice(cut)], `${what}, cut at ${cut}`);
    compareChunks(programs, [...text], `${what}, byte by byte`);
  }
});

test('every byte in every place', { skip }, () => {
  using programs = new HttpPrograms();
  const asked = { noBody: false, tunnel: false };
  const texts = [
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx: y\r\nConnection: close\r\n\r\nhello',
    'HTTP/1.1 404\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nc: d\r\n\r\n',
  ];
  for (const text of texts) {
    for (let at = 0; at < text.length; at++) {
      for (let byte = 0; byte < 256; byte++) {
        if (byte >= 0x80 && byte % 32 !== 0 && byte !== 0xff && byte !== 0x80 + text.charCodeAt(at)) continue;
        const changed = text.slice(0, at) + String.fromCharCode(byte) + text.slice(at + 1);
        compareResponse(programs, [changed], asked, `byte ${byte} at ${at}`);
        compareResponse(programs, [changed.slice(0, at), changed.slice(at)], asked, `byte ${byte} at ${at}, cut`);
      }
    }
  }
});

test('kernel and reference agree on random responses and chunked bodies', { skip }, () => {
  const count = Number(process.env['KMESH_FUZZ'] ?? 3000);
  const phases = fuzzResponses(count, seed);
  for (const phase of ['done', 'unknown', 'until-close', 'opaque', 'chunks', 'bad chunks'])
    assert.ok((phases[phase] ?? 0) > count / 100, `${phase}: ${phases[phase]} of ${count}`);
});

test('real packets, of tens of kilobytes in pieces, are followed to the byte', { skip }, () => {
  using programs = new HttpPrograms();
  using namespace = testNamespace('http');
  run('ip', '-n', namespace.name, 'link', 'set', 'lo', 'up');
  const filter: Filter = { ifindex: 1, direction: 'egress', priority: 1, handle: 1 };
  withNetns(namespace.path, () => attachClsact(openLibbpf(), programs.program('km_test_http_traffic'), filter));
  const script = join(import.meta.dirname, 'http-traffic.ts');
  const ends = run('ip', 'netns', 'exec', namespace.name, process.execPath, script).trim().split('\n').map(Number);
  const { largest, ...seen } = programs.traffic();
  assert.deepEqual(seen, { bytes: ends.at(-1), ends });
  assert.ok(largest > 20_000, `the largest packet had ${largest} bytes`);
});

test('what it costs', { skip }, (t) => {
  using programs = new HttpPrograms();
  const fields = 'Server: nginx/1.22.1\r\nDate: Tue, 24 Nov 2026 04:01:00 GMT\r\nContent-Type: text/plain\r\n';
  const sized = `HTTP/1.1 200 OK\r\n${fields}Content-Length: 12\r\nConnection: keep-alive\r\n\r\nhello world\n`;
  const chunked = `HTTP/1.1 200 OK\r\n${fields}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`;
  for (const [what, text] of Object.entries({ sized, chunked }))
    t.diagnostic(`${what}, ${text.length} bytes: ${programs.measureResponse(bytesOf(text))} ns`);
});
