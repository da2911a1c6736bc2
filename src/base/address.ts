/**
 * IP addresses as text and as the kernel's 16 bytes. One canonical text per address, so that addresses can be map keys:
 * dotted quad for IPv4, RFC 5952 for IPv6, and an IPv4-mapped IPv6 address (`::ffff:a.b.c.d`) is the IPv4 address.
 */
import { isIPv4, isIPv6 } from 'node:net';

const mappedPrefix = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff] as const;

/** The canonical text of an address, or null when the text is no plain IP address (zones like `%eth0` are refused). */
export function canonicalAddress(text: string): string | null {
  if (isIPv4(text)) return text;
  const bytes = addressToBytes(text);
  return bytes === null ? null : bytesToAddress(bytes);
}

/** 4 or 6 for a canonical text. */
export function addressFamily(canonical: string): 4 | 6 {
  return canonical.includes(':') ? 6 : 4;
}

/** Whether a canonical text is the unspecified address, which listens on every address of its family. */
export function isUnspecified(canonical: string): boolean {
  return canonical === '0.0.0.0' || canonical === '::';
}

/** 16 bytes in network order; IPv4 as `::ffff:a.b.c.d`. Null when the text is no plain IP address. */
export function addressToBytes(text: string): Uint8Array | null {
  const bytes = new Uint8Array(16);
  if (isIPv4(text)) {
    bytes.set(mappedPrefix);
    writeQuad(bytes, 12, text);
    return bytes;
  }
  if (text.includes('%') || !isIPv6(text)) return null;
  const [head = '', tail] = text.split('::') as [string, string?];
  writeGroups(bytes, 0, head);
  if (tail !== undefined) writeGroups(bytes, 16 - groupsLength(tail), tail);
  return bytes;
}

/** Canonical text of 16 bytes in network order. Throws RangeError for another length. */
export function bytesToAddress(bytes: Uint8Array): string {
  if (bytes.length !== 16) throw new RangeError(`an address has 16 bytes, not ${bytes.length}`);
  if (mappedPrefix.every((byte, i) => bytes[i] === byte)) return bytes.subarray(12).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  const gap = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (gap.length < 2) return hex.join(':');
  return `${hex.slice(0, gap.start).join(':')}::${hex.slice(gap.start + gap.length).join(':')}`;
}

/** An address block: canonical network address and prefix length in bits of its family. Null when it is none. */
export function parsePrefix(text: string): { readonly address: string; readonly bits: number } | null {
  const slash = text.indexOf('/');
  const address = canonicalAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === null) return null;
  const width = addressFamily(address) === 4 ? 32 : 128;
  if (slash < 0) return { address, bits: width };
  const bits = text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(bits)) return null;
  // ::ffff:10.0.0.0/104 is 10.0.0.0/8.
  const mapped = width === 32 && text.slice(0, slash).includes(':');
  const value = Number(bits) - (mapped ? 96 : 0);
  return value < 0 || value > width ? null : { address, bits: value };
}

/** `address:port`, with brackets for IPv6. */
export function hostPort(canonical: string, port: number): string {
  return addressFamily(canonical) === 6 ? `[${canonical}]:${port}` : `${canonical}:${port}`;
}

function groupsLength(part: string): number {
  if (part === '') return 0;
  return part.split(':').reduce((sum, group) => sum + (group.includes('.') ? 4 : 2), 0);
}

function writeGroups(bytes: Uint8Array, offset: number, part: string): void {
  if (part === '') return;
  let at = offset;
  for (const group of part.split(':')) {
    if (group.includes('.')) {
      writeQuad(bytes, at, group);
      at += 4;
    } else {
      const value = Number.parseInt(group, 16);
      bytes[at] = value >> 8;
      bytes[at + 1] = value & 0xff;
      at += 2;
    }
  }
}

function writeQuad(bytes: Uint8Array, offset: number, quad: string): void {
  bytes.set(quad.split('.').map(Number), offset);
}

/** RFC 5952 4.2: the longest run of zero groups, the first one of equals. */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = -1;
  for (let i = 0; i <= groups.length; i++) {
    if (groups[i] === 0) {
      if (start < 0) start = i;
    } else if (start >= 0) {
      if (i - start > best.length) best = { start, length: i - start };
      start = -1;
    }
  }
  return best;
}

/** Four 32-bit words, the first the most significant: the shape of an address in the kernel's tables. */
export function addressToWords(canonical: string): readonly number[] {
  if (!canonical.includes(':')) return [0, 0, 0xffff, quadToWord(canonical)];
  const bytes = addressToBytes(canonical);
  if (bytes === null) throw new RangeError(`no IP address: ${canonical}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return [view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12)];
}

function quadToWord(text: string): number {
  let word = 0;
  let byte = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === dot) {
      word = word * 256 + byte;
      byte = 0;
    } else byte = byte * 10 + c - zero;
  }
  return word * 256 + byte;
}

const [dot, zero] = ['.'.charCodeAt(0), '0'.charCodeAt(0)];

/** Canonical text of four words; IPv4-mapped ones as IPv4. */
export function addressFromWords(words: readonly number[]): string {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of words.entries()) view.setUint32(i * 4, word);
  return bytesToAddress(bytes);
}
