/** Compares the kernel's HTTP parsers with the reference on random texts. Not for the product. */
import { isDeepStrictEqual } from 'node:util';
import { HttpPrograms } from './http-programs.ts';
import { RandomHttp } from './http-random.ts';
import { type Head, readHead } from './http-reference.ts';
import { type Asked, type Followed, followChunks, followResponse } from './http-response-reference.ts';

export interface HttpFuzzResult {
  /** How often each verdict was given. */
  readonly verdicts: Readonly<Record<string, number>>;
}

export interface HttpFuzzOptions {
  /** Is told of each head that was accepted. */
  readonly accepted?: (text: Uint8Array, head: Head) => void;
}

/**
 * `count` random heads, each whole and cut at a random place; one in a hundred is cut everywhere. Throws with the seed and
 * the text when the kernel and the reference differ.
 */
export function fuzzHttp(count: number, seed: number, options: HttpFuzzOptions = {}): HttpFuzzResult {
  using programs = new HttpPrograms();
  const verdicts: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    const random = new RandomHttp(seed + i);
    const text = bytesOf(random.head());
    const first = random.chance(50);
    const { verdict, head } = compareHeads(programs, text, first, `seed ${seed + i}`);
    verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
    if (head !== undefined) options.accepted?.(text, head);
    const cuts = i % 100 === 0 && text.length < 1000 ? [...text.keys()] : [random.below(text.length)];
    for (const cut of cuts) compareHeads(programs, text.subarray(0, cut), first, `seed ${seed + i}, cut at ${cut}`);
  }
  return { verdicts };
}

/** `count` random responses and chunked bodies, cut into packets at random. Throws as {@link fuzzHttp} does. */
export function fuzzResponses(count: number, seed: number): Readonly<Record<string, number>> {
  using programs = new HttpPrograms();
  const phases: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    const random = new RandomHttp(seed + i);
    const text = random.response();
    const asked = { noBody: random.chance(10), tunnel: random.chance(5) };
    const { phase } = compareResponse(programs, random.cut(text), asked, `seed ${seed + i}`);
    phases[phase] = (phases[phase] ?? 0) + 1;
    const body = random.cut(random.oddChunks());
    const { bad, end } = compareChunks(programs, body, `seed ${seed + i}`);
    const verdict = bad ? 'bad chunks' : end === null ? 'more chunks' : 'chunks';
    phases[verdict] = (phases[verdict] ?? 0) + 1;
  }
  return phases;
}

/** What both say of a response in these packets; throws when that differs. */
export function compareResponse(
  programs: HttpPrograms,
  packets: readonly string[],
  asked: Asked,
  about: string,
): Followed {
  const expected = followResponse(packets.join(''), asked);
  const got = programs.response(packets.map(bytesOf), asked);
  // What is not complete has no status yet, and what is malformed may have any.
  const open = expected.phase === 'head' || expected.phase === 'unknown';
  const same = open ? got.phase === expected.phase && got.end === expected.end : isDeepStrictEqual(got, expected);
  if (same) return expected;
  throw new Error(`${about}: ${JSON.stringify({ packets, asked, got, expected })}`);
}

/** The same for a chunked body. */
export function compareChunks(programs: HttpPrograms, packets: readonly string[], about: string) {
  const expected = followChunks(packets.join(''));
  const got = programs.chunks(packets.map(bytesOf));
  if (isDeepStrictEqual(got, expected)) return expected;
  throw new Error(`${about}: ${JSON.stringify({ packets, got, expected })}`);
}

/** What both say of a head; throws when that differs. */
export function compareHeads(programs: HttpPrograms, text: Uint8Array, first: boolean, about: string) {
  const expected = readHead(text, first);
  const got = programs.head(text, first);
  if (isDeepStrictEqual(got, expected)) return expected;
  const show = (value: unknown) => JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? `${v}n` : v));
  const shown = JSON.stringify(Buffer.from(text).toString('latin1'));
  throw new Error(`${about}, first ${first}: ${shown}\nkernel ${show(got)}\nreference ${show(expected)}`);
}

/** One byte a character. */
export function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'));
}
