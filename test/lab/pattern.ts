/** Bytes that everybody knows: bodies of the lab's HTTP tests, and their digest. */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** A prime: no power of two that a packet or a buffer may have as its size falls together with it. */
const period = 65_521;
/** Repetitions that are handed out at once. */
const repetitions = 16;

const block = (() => {
  const bytes = Buffer.alloc(period * repetitions);
  let state = 1;
  for (let i = 0; i < period; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state >>> 16;
  }
  for (let i = 1; i < repetitions; i++) bytes.copy(bytes, i * period, 0, period);
  return bytes;
})();

/** Bytes of the pattern from `at` on: `most`, or fewer; never none. */
export function patternPart(at: number, most: number): Buffer {
  const from = at % period;
  return block.subarray(from, Math.min(block.length, from + most));
}

/** The pattern's first `size` bytes, piece by piece. */
export function* patternOf(size: number): Generator<Buffer> {
  for (let at = 0; at < size; ) {
    const part = patternPart(at, size - at);
    at += part.length;
    yield part;
  }
}

const digests = new Map<number, string>();

/** SHA-256 of the pattern's first `size` bytes, in hexadecimal. */
export function patternDigest(size: number): string {
  const known = digests.get(size);
  if (known !== undefined) return known;
  const hash = createHash('sha256');
  for (const part of patternOf(size)) hash.update(part);
  const digest = hash.digest('hex');
  digests.set(size, digest);
  return digest;
}

/** A file with the pattern's first `size` bytes, made once in a directory. */
export function patternFile(directory: string, size: number): string {
  const path = join(directory, `pattern-${size}`);
  if (existsSync(path)) return path;
  const fd = openSync(`${path}.new`, 'w');
  try {
    for (const part of patternOf(size)) writeSync(fd, part);
  } finally {
    closeSync(fd);
  }
  renameSync(`${path}.new`, path);
  return path;
}
