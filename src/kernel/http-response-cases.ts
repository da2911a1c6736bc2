/** Responses and chunked bodies, and how they end. Not for the product. */
import type { Asked, Phase } from './http-response-reference.ts';

export interface ResponseCase {
  readonly what: string;
  /** One byte a character. */
  readonly text: string;
  readonly phase: Phase;
  readonly status?: number;
  readonly close?: boolean;
  /** Bytes behind the response, when it ends. */
  readonly behind?: number;
  readonly asked?: Partial<Asked>;
}

export interface ChunksCase {
  readonly what: string;
  readonly text: string;
  /** Bytes behind the body; null: it is not complete; `bad`: it is none. */
  readonly behind: number | null | 'bad';
}

const head = (...lines: readonly string[]): string => `${lines.join('\r\n')}\r\n\r\n`;
const ok = (...fields: readonly string[]): string => head('HTTP/1.1 200 OK', ...fields);

const done = (what: string, text: string, more: Partial<ResponseCase> = {}): ResponseCase => ({
  what,
  text,
  phase: 'done',
  status: 200,
  close: false,
  behind: 0,
  ...more,
});
const unknown = (what: string, text: string): ResponseCase => ({ what, text, phase: 'unknown' });

export const responseCases: readonly ResponseCase[] = [
  done('a length', `${ok('Server: a', 'Content-Length: 5', 'Date: x')}hello`),
  done('a length of zero', ok('Content-Length: 0')),
  done('a length in any case, padded', `${ok('cONTENT-lENGTH: \t 0005 ')}hello`),
  done('another response behind it', `${ok('Content-Length: 5')}helloHTTP/1.1`, { behind: 8 }),
  done('no reason', `${head('HTTP/1.1 404', 'Content-Length: 1')}x`, { status: 404 }),
  done('an empty reason', `${head('HTTP/1.1 500 ', 'Content-Length: 1')}x`, { status: 500 }),
  done('a later minor version', `${head('HTTP/1.5 200 OK', 'Content-Length: 1')}x`),
  done('chunks', `${ok('Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`),
  done('chunks behind another coding', `${ok('Transfer-Encoding: gzip, , Chunked\t')}0\r\n\r\n`),
  done('codings in two fields', `${ok('Transfer-Encoding: gzip', 'Transfer-Encoding: chunked')}0\r\n\r\n`),
  done('an answer to HEAD', ok('Content-Length: 500'), { asked: { noBody: true } }),
  done('an answer to HEAD in chunks', `${ok('Transfer-Encoding: chunked')}x`, { asked: { noBody: true }, behind: 1 }),
  done('204', head('HTTP/1.1 204 No Content', 'Content-Length: 5'), { status: 204 }),
  done('304', `${head('HTTP/1.1 304 Not Modified', 'Content-Length: 5')}HTTP/1.1`, { status: 304, behind: 8 }),
  done('behind 100', `${head('HTTP/1.1 100 Continue')}${ok('Content-Length: 1')}x`),
  done(
    'behind 100 and 103',
    `${head('HTTP/1.1 100')}${head('HTTP/1.1 103 Early Hints', 'Link: <a>', 'Connection: close')}${ok('Content-Length: 1')}x`,
  ),
  done('100 to HEAD', `${head('HTTP/1.1 100 Continue')}${ok('Content-Length: 7')}`, { asked: { noBody: true } }),
  done('a connection that closes', ok('Connection: close', 'Content-Length: 0'), { close: true }),
  done('an option among others', ok('Connection: a, b ,cLOSE\t, upgrade', 'Content-Length: 0'), { close: true }),
  done('options that only look like it', ok('Connection: closed, clos, c lose, xclose, close x', 'Content-Length: 0')),
  done('HTTP/1.0', head('HTTP/1.0 200 OK', 'Content-Length: 0'), { close: true }),
  done('HTTP/1.0 that stays', head('HTTP/1.0 200 OK', 'Connection: Keep-Alive', 'Content-Length: 0')),
  done('a tunnel that was refused', `${head('HTTP/1.1 403 No', 'Content-Length: 2')}no`, {
    status: 403,
    asked: { tunnel: true },
  }),
  done(
    'names that only begin like these',
    ok('Content-Lengths: 7', 'Transfer-Encodingx: y', 'Connect: close', 'Content-Length: 0', 'T: a', 'C: b'),
  ),
  done('a long field', ok(`Set-Cookie: ${'x'.repeat(1500)}`, 'Content-Length: 0')),
  done(
    'a long field that begins like a length',
    ok(`Content-Security-Policy: ${'x'.repeat(1500)}`, 'Content-Length: 0'),
  ),
  done('many fields', ok(...Array.from({ length: 80 }, (_, i) => `n${i}: ${'y'.repeat(20)}`), 'Content-Length: 0')),
  { what: 'a part of a body', text: `${ok('Content-Length: 50')}hello`, phase: 'length', status: 200 },
  { what: 'no length', text: `${ok('Server: a')}hello`, phase: 'until-close', status: 200 },
  { what: 'another coding', text: `${ok('Transfer-Encoding: gzip')}hello`, phase: 'until-close', status: 200 },
  { what: 'an empty coding', text: `${ok('Transfer-Encoding: ')}hello`, phase: 'until-close', status: 200 },
  {
    what: 'an upgrade',
    text: `${head('HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket')}\x81\0`,
    phase: 'opaque',
    status: 101,
  },
  {
    what: 'a tunnel',
    text: `${head('HTTP/1.1 200 Connected', 'Content-Length: 5')}\x16\x03`,
    phase: 'opaque',
    asked: { tunnel: true },
  },
  { what: 'half a head', text: ok('Content-Length: 5').slice(0, -1), phase: 'head' },
  { what: 'only an interim response', text: head('HTTP/1.1 102 Processing'), phase: 'head' },
  unknown('length and chunks', ok('Content-Length: 5', 'Transfer-Encoding: chunked')),
  unknown('two lengths', ok('Content-Length: 5', 'Content-Length: 5')),
  unknown('a list of lengths', ok('Content-Length: 5, 5')),
  unknown('a length that is none', ok('Content-Length: 5x')),
  unknown('an empty length', ok('Content-Length: ')),
  unknown('a negative length', ok('Content-Length: -1')),
  unknown('a length too large', ok('Content-Length: 1234567890123456789')),
  unknown('a space before the colon of a length', ok('Content-Length : 5')),
  unknown('chunked twice', ok('Transfer-Encoding: chunked, chunked')),
  unknown('chunked first', ok('Transfer-Encoding: chunked', 'Transfer-Encoding: gzip')),
  unknown('chunks in HTTP/1.0', head('HTTP/1.0 200 OK', 'Transfer-Encoding: chunked')),
  unknown('a line ended by LF', 'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello'),
  unknown('a folded line', ok('a: b', ' c')),
  unknown('CR in a value', ok('a: b\rc')),
  unknown('NUL in a value', ok('a: b\0c')),
  unknown('an empty name', ok(': b')),
  unknown('HTTP/2', head('HTTP/2.0 200 OK')),
  unknown('no version', head('200 OK')),
  unknown('a status of two digits', head('HTTP/1.1 20 OK')),
  unknown('a status of four digits', head('HTTP/1.1 2000 OK')),
  unknown('a status below 100', head('HTTP/1.1 099 OK')),
  unknown('another protocol', '220 mail ESMTP\r\n'),
  unknown('chunks that are none', `${ok('Transfer-Encoding: chunked')}hello\r\n`),
];

export const chunksCases: readonly ChunksCase[] = [
  { what: 'two chunks', text: '5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET', behind: 3 },
  { what: 'no data', text: '0\r\n\r\n', behind: 0 },
  { what: 'three zeros', text: '1\r\na\r\n000\r\n\r\n', behind: 0 },
  { what: 'any case', text: 'A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n', behind: 0 },
  { what: 'extensions', text: '5;a;b=c;d="e;f"\r\nhello\r\n0;g\r\n\r\n', behind: 0 },
  { what: 'trailers', text: '5\r\nhello\r\n0\r\nVary: *\r\nContent-Length: 7\r\n\r\nx', behind: 1 },
  { what: 'data that looks like chunks', text: '7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n', behind: 0 },
  { what: 'a size of fifteen digits', text: '100000000000000\r\nx', behind: null },
  { what: 'no end yet', text: '5\r\nhello\r\n0\r\n', behind: null },
  { what: 'a size of sixteen digits', text: '0000000000000001\r\nx', behind: 'bad' },
  { what: 'no size', text: '\r\nhello', behind: 'bad' },
  { what: 'a size with a sign', text: '+5\r\nhello', behind: 'bad' },
  { what: 'a size with 0x', text: '0x5\r\nhello', behind: 'bad' },
  { what: 'a space behind the size', text: '5 \r\nhello', behind: 'bad' },
  { what: 'a space before the size', text: ' 5\r\nhello', behind: 'bad' },
  { what: 'a size ended by LF', text: '5\nhello', behind: 'bad' },
  { what: 'LF in an extension', text: '5;a\nhello\r\n0\r\n\r\n', behind: 'bad' },
  { what: 'CR in an extension', text: '5;a\rb\r\nhello', behind: 'bad' },
  { what: 'NUL in an extension', text: '5;\0\r\nhello', behind: 'bad' },
  { what: 'data too short', text: '6\r\nhello\r\n0\r\n\r\n', behind: 'bad' },
  { what: 'data too long', text: '4\r\nhello\r\n0\r\n\r\n', behind: 'bad' },
  { what: 'data ended by LF', text: '5\r\nhello\n0\r\n\r\n', behind: 'bad' },
  { what: 'a folded trailer', text: '0\r\na: b\r\n c\r\n\r\n', behind: 'bad' },
  { what: 'a trailer without a colon', text: '0\r\nab\r\n\r\n', behind: 'bad' },
  { what: 'a trailer ended by LF', text: '0\r\na: b\n\r\n', behind: 'bad' },
  { what: 'an end of LF', text: '0\r\n\n', behind: 'bad' },
];
