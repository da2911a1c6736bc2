/** Sets of Unicode code points, as sorted ranges that do not touch, and their UTF-8 form (RFC 3629). */
export type CodeRanges = readonly (readonly [low: number, high: number])[];

/** Ranges of bytes, one for each byte of a character. */
export type ByteSequence = readonly (readonly [low: number, high: number])[];

const last = 0x10ffff;

export function normalise(ranges: CodeRanges): CodeRanges {
  const merged: [number, number][] = [];
  for (const [low, high] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const before = merged.at(-1);
    if (before !== undefined && low <= before[1] + 1) before[1] = Math.max(before[1], high);
    else merged.push([low, high]);
  }
  return merged;
}

export function negate(ranges: CodeRanges): CodeRanges {
  const rest: [number, number][] = [];
  let from = 0;
  for (const [low, high] of normalise(ranges)) {
    if (low > from) rest.push([from, low - 1]);
    from = high + 1;
  }
  if (from <= last) rest.push([from, last]);
  return rest;
}

export function hasNonAscii(ranges: CodeRanges): boolean {
  return ranges.some(([, high]) => high >= 0x80);
}

/** Both cases of ASCII letters, with the two characters beyond ASCII that fold to one: U+017F to s, U+212A to k. */
export function foldAscii(ranges: CodeRanges): CodeRanges {
  const folded: [number, number][] = [];
  const holds = (code: number) => ranges.some(([low, high]) => low <= code && code <= high);
  for (let upper = 0x41; upper <= 0x5a; upper++) {
    const lower = upper + 0x20;
    if (!holds(upper) && !holds(lower)) continue;
    folded.push([upper, upper], [lower, lower]);
    if (upper === 0x53) folded.push([0x17f, 0x17f]);
    if (upper === 0x4b) folded.push([0x212a, 0x212a]);
  }
  return normalise([...ranges, ...folded]);
}

/** The UTF-8 forms of a set, without surrogates, as sequences of byte ranges that do not overlap. */
export function utf8Sequences(ranges: CodeRanges): ByteSequence[] {
  const sequences: ByteSequence[] = [];
  // Ends of the code points of 1, 2, 3 and 4 bytes, with the surrogates left out.
  const parts: CodeRanges = [
    [0, 0x7f],
    [0x80, 0x7ff],
    [0x800, 0xd7ff],
    [0xe000, 0xffff],
    [0x10000, last],
  ];
  for (const [low, high] of normalise(ranges)) {
    for (const [partLow, partHigh] of parts) {
      const from = Math.max(low, partLow);
      const to = Math.min(high, partHigh);
      if (from > to) continue;
      if (to <= 0x7f) sequences.push([[from, to]]);
      else split(from, to, sequences);
    }
  }
  return sequences;
}

/** Cuts a range until each byte of its characters is a range of its own, whatever the others are. */
function split(low: number, high: number, out: ByteSequence[]): void {
  for (let bits = 6; bits < 24; bits += 6) {
    const mask = 2 ** bits - 1;
    if (low >> bits === high >> bits) break;
    if ((low & mask) !== 0) {
      split(low, low | mask, out);
      split((low | mask) + 1, high, out);
      return;
    }
    if ((high & mask) !== mask) {
      split(low, (high & ~mask) - 1, out);
      split(high & ~mask, high, out);
      return;
    }
  }
  const first = [...Buffer.from(String.fromCodePoint(low))];
  const second = [...Buffer.from(String.fromCodePoint(high))];
  out.push(first.map((byte, i) => [byte, second[i] ?? byte]));
}
