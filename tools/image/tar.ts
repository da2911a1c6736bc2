/** tar archives, POSIX ustar (pax(1)): the same entries give the same bytes, whoever writes them and when. */
import type { Entry } from './tree.ts';

const blockSize = 512;

/** All entries are root's and of 1970. Paths without the leading slash. */
export function tar(entries: readonly (readonly [path: string, entry: Entry])[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const [path, entry] of entries) {
    const name = path.replace(/^\//, '');
    if (entry.kind === 'directory') parts.push(header(`${name}/`, '5', entry.mode, 0, ''));
    else if (entry.kind === 'link') parts.push(header(name, '2', 0o777, 0, entry.target));
    else {
      const { bytes, mode } = entry;
      parts.push(header(name, '0', mode, bytes.length, ''), bytes, Buffer.alloc(-bytes.length & (blockSize - 1)));
    }
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * blockSize)]);
}

function header(path: string, type: string, mode: number, size: number, target: string): Buffer {
  const block = Buffer.alloc(blockSize);
  const [prefix, name] = split(path);
  if (Buffer.byteLength(target) > 100) throw new Error(`tar: ${path}: the link's target is too long`);
  block.write(name, 0);
  const octal = (value: number, offset: number, length: number): void => {
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, offset);
  };
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  block.fill(' ', 148, 156);
  block.write(type, 156);
  block.write(target, 157);
  block.write('ustar\u000000', 257);
  block.write(prefix, 345);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** A name has 100 bytes, and 155 more before one of its slashes. */
function split(path: string): readonly [prefix: string, name: string] {
  if (Buffer.byteLength(path) <= 100) return ['', path];
  for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
    const [prefix, name] = [path.slice(0, slash), path.slice(slash + 1)];
    if (name !== '' && Buffer.byteLength(prefix) <= 155 && Buffer.byteLength(name) <= 100) return [prefix, name];
  }
  throw new Error(`tar: the path ${path} is too long`);
}
