/** Compares the kernel's HTTP parsers with the reference on random texts. Not for the product. */
import { isDeepStrictEqual } from 'node:util';
import { HttpPrograms } from './http-programs.ts';
import { RandomHttp } from './http-random.ts';
import { type Head, readHead } from './http-reference.ts';

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
