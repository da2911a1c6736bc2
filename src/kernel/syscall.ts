import { release } from 'node:os';
import koffi from 'koffi';

/**
 * System calls that Node has no function for. Each returns what the kernel returned when that is 0 or more, and the
 * negative errno otherwise, so that a caller on a hot path pays for no exception.
 */

/** Memory outside the JavaScript heap whose address the kernel may be given. It lives as long as this object. */
export interface Memory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly address: bigint;
}

/** Zeroed memory. An ArrayBuffer's store never moves, unlike small typed arrays inside the heap. */
export function allocate(size: number): Memory {
  const buffer = new ArrayBuffer(Math.max(size, 8));
  return { bytes: new Uint8Array(buffer), view: new DataView(buffer), address: koffi.address(buffer) };
}

/** A NUL-terminated string for the kernel. */
export function cString(text: string): Memory {
  const encoded = new TextEncoder().encode(text);
  const memory = allocate(encoded.length + 1);
  memory.bytes.set(encoded);
  return memory;
}

const libc = koffi.load('libc.so.6');
const bpfSyscall: (nr: number, cmd: number, attr: bigint, size: number) => number = libc.func(
  'long syscall(long nr, long cmd, uintptr_t attr, long size)',
);
const setnsCall: (fd: number, type: number) => number = libc.func('int setns(int fd, int type)');
const closeCall: (fd: number) => number = libc.func('int close(int fd)');
const fcntlCall: (fd: number, cmd: number, arg: number) => number = libc.func('int fcntl(int fd, int cmd, long arg)');
const mountCall: (source: string, target: string, type: string, flags: number, data: bigint) => number = libc.func(
  'int mount(const char *source, const char *target, const char *type, ulong flags, uintptr_t data)',
);
const umountCall: (target: string, flags: number) => number = libc.func('int umount2(const char *target, int flags)');
const mmapCall: (
  address: bigint,
  length: number,
  protection: number,
  flags: number,
  fd: number,
  offset: number,
) => number | bigint = libc.func('intptr_t mmap(uintptr_t a, size_t length, int prot, int flags, int fd, int64_t off)');
const munmapCall: (address: bigint, length: number) => number = libc.func('int munmap(uintptr_t a, size_t length)');
const readCall: (fd: number, address: bigint, length: number) => number = libc.func(
  'intptr_t read(int fd, uintptr_t address, size_t length)',
);
const writeCall: (fd: number, address: bigint, length: number) => number = libc.func(
  'intptr_t write(int fd, uintptr_t address, size_t length)',
);
const socketCall: (domain: number, type: number, protocol: number) => number = libc.func(
  'int socket(int domain, int type, int protocol)',
);
const connectCall: (fd: number, address: bigint, length: number) => number = libc.func(
  'int connect(int fd, uintptr_t address, uint length)',
);
const bindCall: (fd: number, address: bigint, length: number) => number = libc.func(
  'int bind(int fd, uintptr_t address, uint length)',
);
const getsocknameCall: (fd: number, address: bigint, length: bigint) => number = libc.func(
  'int getsockname(int fd, uintptr_t address, uintptr_t length)',
);
const ioctlCall: (fd: number, request: number, argument: bigint) => number = libc.func(
  'int ioctl(int fd, ulong request, uintptr_t argument)',
);
const pollCall: (fds: bigint, count: number, timeoutMs: number) => number = libc.func(
  'int poll(uintptr_t fds, ulong count, int timeout)',
);
const setsockoptCall: (fd: number, level: number, name: number, value: bigint, length: number) => number = libc.func(
  'int setsockopt(int fd, int level, int name, uintptr_t value, uint length)',
);
const recvmsgCall: (fd: number, message: bigint, flags: number) => number = libc.func(
  'intptr_t recvmsg(int fd, uintptr_t message, int flags)',
);
const getsockoptCall: (fd: number, level: number, name: number, value: bigint, length: bigint) => number = libc.func(
  'int getsockopt(int fd, int level, int name, uintptr_t value, uintptr_t length)',
);
const setrlimitCall: (resource: number, limit: bigint) => number = libc.func(
  'int setrlimit(int resource, uintptr_t limit)',
);

const mallocTrimCall: (pad: number) => number = libc.func('int malloc_trim(size_t pad)');

const negative = (result: number): number => (result < 0 ? -koffi.errno() : result);

const bpfNumbers: Readonly<Record<string, number>> = { x64: 321, arm64: 280 };
const bpfNumber = bpfNumbers[process.arch] ?? -1;

/** Size of every attribute buffer: more than the kernels of today know; they want unknown tail bytes to be zero. */
const attrSize = 144;

/** The argument of one bpf(2) call: fields by offset as `union bpf_attr` of linux/bpf.h lays them out. */
export class BpfAttr {
  readonly #memory = allocate(attrSize);
  readonly view = this.#memory.view;
  readonly #pointers = new Map<number, Memory>();

  u32(offset: number, value: number): this {
    this.view.setUint32(offset, value, true);
    return this;
  }

  /** A number, or the address of memory that then lives as long as this argument, whoever else forgets it. */
  u64(offset: number, value: bigint | Memory): this {
    if (typeof value !== 'bigint') this.#pointers.set(offset, value);
    this.view.setBigUint64(offset, typeof value === 'bigint' ? value : value.address, true);
    return this;
  }

  /** Runs bpf(2). Returns a file descriptor or 0, or the negative errno. */
  call(command: number): number {
    const result = bpfSyscall(bpfNumber, command, this.#memory.address, attrSize);
    return result < 0 ? -koffi.errno() : result;
  }
}

/** Commands of bpf(2), enum bpf_cmd. */
export const bpfCommand = {
  MAP_CREATE: 0,
  MAP_LOOKUP_ELEM: 1,
  MAP_UPDATE_ELEM: 2,
  MAP_DELETE_ELEM: 3,
  MAP_GET_NEXT_KEY: 4,
  PROG_LOAD: 5,
  OBJ_PIN: 6,
  OBJ_GET: 7,
  PROG_ATTACH: 8,
  PROG_DETACH: 9,
  PROG_TEST_RUN: 10,
  OBJ_GET_INFO_BY_FD: 15,
  PROG_QUERY: 16,
  BTF_LOAD: 18,
  MAP_LOOKUP_BATCH: 24,
  MAP_UPDATE_BATCH: 26,
  MAP_DELETE_BATCH: 27,
  LINK_CREATE: 28,
  LINK_UPDATE: 29,
  ITER_CREATE: 33,
  LINK_DETACH: 34,
} as const;

export const close = (fd: number): number => negative(closeCall(fd));
/** F_DUPFD_CLOEXEC */
export const duplicate = (fd: number): number => negative(fcntlCall(fd, 1030, 3));
/** `type` 0x40000000 is CLONE_NEWNET. Changes the calling thread only. */
export const setns = (fd: number, type: number): number => negative(setnsCall(fd, type));
export const mount = (source: string, target: string, type: string, flags = 0): number =>
  negative(mountCall(source, target, type, flags, 0n));
export const unmount = (target: string): number => negative(umountCall(target, 0));
export const munmap = (address: bigint, length: number): number => negative(munmapCall(address, length));
export const socket = (domain: number, type: number, protocol: number): number =>
  negative(socketCall(domain, type, protocol));

/** A shared mapping of `fd`: its address, or the negative errno as a number. */
export function mmapShared(fd: number, length: number, writable: boolean, offset: number): bigint | number {
  const result = BigInt(mmapCall(0n, length, writable ? 3 : 1, 1, fd, offset));
  return result === -1n ? -koffi.errno() : result;
}

/** read(2) into memory that the caller owns. */
export const read = (fd: number, target: Memory): number => negative(readCall(fd, target.address, target.bytes.length));

/** write(2) of the first `length` bytes. */
export const write = (fd: number, source: Memory, length: number): number =>
  negative(writeCall(fd, source.address, length));

export const bind = (fd: number, address: Memory, length: number): number =>
  negative(bindCall(fd, address.address, length));

/** setsockopt(2) of a 32-bit value. */
export function setsockopt32(fd: number, level: number, name: number, value: number): number {
  const memory = allocate(4);
  memory.view.setUint32(0, value, true);
  return negative(setsockoptCall(fd, level, name, memory.address, 4));
}

/** recvmsg(2) that does not wait; `header` is struct msghdr and points to memory that the caller keeps. */
export const receiveMessage = (fd: number, header: Memory): number => {
  const dontWait = 0x40;
  return negative(recvmsgCall(fd, header.address, dontWait));
};

/** getsockopt(2) of a 64-bit value, or the negative errno as a number. */
export function getsockopt64(fd: number, level: number, name: number): bigint | number {
  const value = allocate(8);
  const length = allocate(4);
  length.view.setUint32(0, 8, true);
  const result = getsockoptCall(fd, level, name, value.address, length.address);
  return result < 0 ? -koffi.errno() : value.view.getBigUint64(0, true);
}

/** Version of the running kernel as numbers, such as [6, 12]. */
export function kernelVersion(text: string = release()): readonly [number, number] {
  const match = /^(\d+)\.(\d+)/.exec(text);
  return [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)];
}

/** True for kernels that charge maps and programs to RLIMIT_MEMLOCK (before 5.11; later ones use the memory cgroup). */
export function chargesMemlock([major, minor]: readonly [number, number] = kernelVersion()): boolean {
  return major < 5 || (major === 5 && minor < 11);
}

/** Lifts RLIMIT_MEMLOCK where the kernel looks at it. A refusal shows later as EPERM of a map, so it is not an error. */
export function raiseMemlock(): void {
  if (!chargesMemlock()) return;
  const limit = allocate(16);
  limit.bytes.fill(0xff);
  setrlimitCall(8, limit.address);
}

const names = new Map<number, string>();
for (const [name, value] of Object.entries(koffi.os.errno)) {
  if (!names.has(value) || name === 'EOPNOTSUPP') names.set(value, name);
}
// The kernel's own, never meant for user space, but bpf(2) returns it.
names.set(524, 'ENOTSUPP');

/** `ENOSPC` for 28 or -28. */
export function errnoName(errno: number): string {
  return names.get(Math.abs(errno)) ?? `errno ${Math.abs(errno)}`;
}

export const errno = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENOSPC: 28,
  ENOSYS: 38,
  ENOLINK: 67,
  ENOBUFS: 105,
  EOPNOTSUPP: 95,
  ENOTSUPP: 524,
} as const;

/** Connects a fresh IPv4 datagram socket to the loopback's discard port and closes it; nothing is sent. */
export function connectDatagram(): void {
  const [afInet, sockDgramCloexec, discardPort] = [2, 2 | 0o2000000, 9];
  const fd = socket(afInet, sockDgramCloexec, 0);
  if (fd < 0) return;
  const address = allocate(16);
  address.view.setUint16(0, afInet, true);
  address.view.setUint16(2, discardPort);
  address.view.setUint32(4, 0x7f000001);
  connectCall(fd, address.address, 16);
  close(fd);
}

/** A TCP connection of loopback whose both ends are one socket, or the negative errno. */
export function connectToItself(): number {
  const [afInet, sockStreamCloexec] = [2, 1 | 0o2000000];
  const fd = socket(afInet, sockStreamCloexec, 0);
  if (fd < 0) return fd;
  const address = allocate(16);
  address.view.setUint16(0, afInet, true);
  address.view.setUint32(4, 0x7f000001);
  const length = allocate(4);
  length.view.setUint32(0, 16, true);
  const done =
    bindCall(fd, address.address, 16) === 0 &&
    getsocknameCall(fd, address.address, length.address) === 0 &&
    connectCall(fd, address.address, 16) === 0;
  const error = -koffi.errno();
  if (done) return fd;
  close(fd);
  return error;
}

/** Waits until there is something to read. */
export function waitReadable(fd: number, timeoutMs: number): boolean {
  const pollIn = 1;
  const one = allocate(8);
  one.view.setInt32(0, fd, true);
  one.view.setInt16(4, pollIn, true);
  return pollCall(one.address, 1, timeoutMs) === 1;
}

/** FIONREAD, or the negative errno. */
export function bytesToRead(fd: number): number {
  const fionread = 0x541b;
  const count = allocate(4);
  const result = negative(ioctlCall(fd, fionread, count.address));
  return result < 0 ? result : count.view.getInt32(0, true);
}

/** Gives memory back to the system that the C library keeps for the next who asks: what large messages lay in. */
export function trimMemory(): void {
  mallocTrimCall(0);
}
