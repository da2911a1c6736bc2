import { mapTypeNumber } from './maptype.ts';
import { allocate, BpfAttr, bpfCommand, bytesToRead, close, connectToItself, waitReadable, write } from './syscall.ts';

/**
 * Whether FIONREAD tells what a socket in a sockhash has to read, found out by asking one; null when that cannot be
 * done. Kernels with "bpf, sockmap: Fix FIONREAD for sockmap" (6.6.128, 6.12.75, 6.18.14, 6.19) and without "Account
 * for receive queue in FIONREAD without a verdict program" (July 2026) say that there is nothing.
 */
export function fionreadTells(): boolean | null {
  const map = new BpfAttr()
    .u32(0, mapTypeNumber('sockhash'))
    .u32(4, 4)
    .u32(8, 4)
    .u32(12, 1)
    .call(bpfCommand.MAP_CREATE);
  const socket = connectToItself();
  try {
    return map >= 0 && socket >= 0 ? ask(map, socket) : null;
  } finally {
    for (const fd of [map, socket]) if (fd >= 0) close(fd);
  }
}

function ask(map: number, socket: number): boolean | null {
  const [key, value] = [allocate(4), allocate(4)];
  value.view.setInt32(0, socket, true);
  const added = new BpfAttr().u32(0, map).u64(8, key).u64(16, value).call(bpfCommand.MAP_UPDATE_ELEM);
  if (added < 0 || write(socket, value, 4) !== 4 || !waitReadable(socket, 1000)) return null;
  return bytesToRead(socket) === 4;
}
