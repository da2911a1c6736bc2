/**
 * The kernel's parser of responses and chunked bodies (bpf/include/km_http_response.h) by test runs, against a table and a
 * reference, cut into packets everywhere. KMESH_FUZZ sets the number of random texts, KMESH_FUZZ_SEED where they begin.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, compareChunks, compareResponse, fuzzResponses } from './http-fuzz.ts';
import { HttpPrograms } from './http-programs.ts';
import { chunksCases, responseCases } from './http-response-cases.ts';
import { rootOnly } from './testing.ts';

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

test('kernel and reference agree on random responses and chunked bodies', { skip }, () => {
  const count = Number(process.env['KMESH_FUZZ'] ?? 3000);
  const phases = fuzzResponses(count, seed);
  for (const phase of ['done', 'unknown', 'until-close', 'opaque', 'chunks', 'bad chunks'])
    assert.ok((phases[phase] ?? 0) > count / 100, `${phase}: ${phases[phase]} of ${count}`);
});

test('what it costs', { skip }, (t) => {
  using programs = new HttpPrograms();
  const fields = 'Server: nginx/1.22.1\r\nDate: Tue, 24 Nov 2026 04:01:00 GMT\r\nContent-Type: text/plain\r\n';
  const sized = `HTTP/1.1 200 OK\r\n${fields}Content-Length: 12\r\nConnection: keep-alive\r\n\r\nhello world\n`;
  const chunked = `HTTP/1.1 200 OK\r\n${fields}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`;
  for (const [what, text] of Object.entries({ sized, chunked }))
    t.diagnostic(`${what}, ${text.length} bytes: ${programs.measureResponse(bytesOf(text))} ns`);
});
