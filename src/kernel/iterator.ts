import { KmError } from '../base/errors.ts';
import { Link } from './link.ts';
import type { Program } from './object.ts';
import { allocate, BpfAttr, bpfCommand, close, errno, errnoName, read } from './syscall.ts';

/**
 * Runs an iterator program once over everything and returns the bytes that it wrote (bpf_seq_write). `mapFd`: the map
 * that `iter/bpf_sk_storage_map` and `iter/bpf_map_elem` walk. KM4012.
 */
export function readIterator(program: Program, options: { readonly mapFd?: number } = {}): Uint8Array {
  const link = new Link(check(program, 'attach', attachIterator(program, options.mapFd)));
  try {
    const fd = check(program, 'create', new BpfAttr().u32(0, link.fd).call(bpfCommand.ITER_CREATE));
    try {
      return readAll(program, fd);
    } finally {
      close(fd);
    }
  } finally {
    link.close();
  }
}

function attachIterator(program: Program, mapFd: number | undefined): number {
  const attr = new BpfAttr().u32(0, program.fd).u32(8, program.attachType);
  // union bpf_iter_link_info
  const info = allocate(8);
  if (mapFd !== undefined) {
    info.view.setUint32(0, mapFd, true);
    attr.u64(16, info).u32(24, 8);
  }
  return attr.call(bpfCommand.LINK_CREATE);
}

function readAll(program: Program, fd: number): Uint8Array {
  const piece = allocate(1 << 16);
  const pieces: Uint8Array[] = [];
  for (;;) {
    const length = read(fd, piece);
    if (length === 0) return Buffer.concat(pieces);
    // The kernel lets go after a million objects without output.
    if (length === -errno.EAGAIN) continue;
    check(program, 'read', length);
    pieces.push(piece.bytes.slice(0, length));
  }
}

function check(program: Program, what: string, result: number): number {
  if (result < 0) throw new KmError('KM4012', `iterator ${program.name}: ${what}: ${errnoName(result)}`);
  return result;
}
