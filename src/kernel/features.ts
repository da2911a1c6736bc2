import { existsSync, readFileSync } from 'node:fs';
import type { CheckResult } from '../api/types.ts';
import { findCgroup2 } from './cgroup.ts';
import { fionreadTells } from './fionread.ts';
import type { Libbpf } from './libbpf.ts';
import { mapTypeNumber } from './maptype.ts';
import { netnsCookieBySocketOption } from './netns.ts';
import { allocate, BpfAttr, bpfCommand, close, cString, errno, errnoName, raiseMemlock } from './syscall.ts';

/** Numbers of linux/bpf.h. */
const programType = { schedCls: 3, sockOps: 13, skMsg: 16, sockAddr: 18, tracing: 26 } as const;
const attachType = { sockOps: 3, connect4: 10, getpeername4: 29, iterator: 28, tcxIngress: 46 } as const;
const helper = { getNetnsCookie: 122, setRetval: 187 } as const;

interface Probe {
  readonly description: string;
  /** Null when the kernel has it, else why not. */
  readonly run: () => string | null;
  /** What it means for the mesh when it is missing. */
  readonly meaning: string;
  readonly required: boolean;
}

/**
 * What this kernel and this process can do, found out by trying (tiny programs and maps, gone at once), not by version
 * numbers. A missing feature that Kmesh cannot do without is an `error`, one that it works around a `warning`.
 */
export function probeFeatures(libbpf: Libbpf): CheckResult[] {
  raiseMemlock();
  return probes(libbpf).map(({ description, run, meaning, required }) => {
    const missing = run();
    if (missing === null) return { category: 'kernel', description, result: 'success', hint: null, error: null };
    return { category: 'kernel', description, result: required ? 'error' : 'warning', hint: meaning, error: missing };
  });
}

function probes(libbpf: Libbpf): Probe[] {
  const need = (description: string, meaning: string, run: () => string | null): Probe => ({
    description,
    meaning,
    run,
    required: true,
  });
  const like = (description: string, meaning: string, run: () => string | null): Probe => ({
    ...need(description, meaning, run),
    required: false,
  });
  return [
    need('may load eBPF programs', 'run as root (or CAP_BPF, CAP_NET_ADMIN, CAP_SYS_ADMIN)', () =>
      loads(programType.sockAddr, attachType.connect4),
    ),
    need('kernel has BTF', 'a kernel with CONFIG_DEBUG_INFO_BTF=y is needed', () =>
      existsSync('/sys/kernel/btf/vmlinux') ? null : '/sys/kernel/btf/vmlinux is missing',
    ),
    need('kernel has the BPF file system', 'a kernel with CONFIG_BPF_SYSCALL=y is needed', () =>
      /\tbpf$/m.test(readFileSync('/proc/filesystems', 'utf8')) ? null : 'no bpf in /proc/filesystems',
    ),
    need('cgroup v2 is mounted', 'mount one: mount -t cgroup2 none DIR', cgroup2),
    need('bpf_link for cgroups', 'Linux 5.7 or later is needed', cgroupLink),
    need('ring buffer', 'Linux 5.8 or later is needed', ringBuffer),
    need('network namespace cookie in connect hooks', 'Linux 5.7 or later is needed', () =>
      hasHelper(programType.sockAddr, attachType.connect4, helper.getNetnsCookie),
    ),
    need('iterator over socket storage', 'Linux 5.9 or later is needed', () => socketStorageIterator(libbpf)),
    need('programs at network devices', 'a kernel with CONFIG_NET_CLS_BPF or tcx is needed', () =>
      loads(programType.schedCls, 0),
    ),
    need('programs at the messages of sockets', 'a kernel with CONFIG_BPF_STREAM_PARSER=y is needed', () =>
      loads(programType.skMsg, 0),
    ),
    like('getpeername hooks', 'applications see the endpoint instead of the service address', () =>
      loads(programType.sockAddr, attachType.getpeername4),
    ),
    like(
      'bpf_set_retval in connect hooks',
      'a datagram to a service without endpoints fails with EPERM in place of ECONNREFUSED',
      () => hasHelper(programType.sockAddr, attachType.connect4, helper.setRetval),
    ),
    like('SO_NETNS_COOKIE', 'the cookie of a namespace is learned by a connect() in it', () =>
      netnsCookieBySocketOption() === null ? 'getsockopt refuses it' : null,
    ),
    like('network namespace cookie in sockops', 'inbound connections are not observed', () =>
      hasHelper(programType.sockOps, attachType.sockOps, helper.getNetnsCookie),
    ),
    like('tcx links', 'programs at devices are attached by clsact', tcx),
    like(
      'FIONREAD of sockets in a sockhash',
      'HTTP clients that ask it, such as nginx, hang on answers larger than their buffer; a later kernel has it mended',
      () => (fionreadTells() === false ? 'it tells of nothing that is there' : null),
    ),
    like('batched map operations', 'tables are written one entry a call', batch),
  ];
}

/** An instruction of 8 bytes: opcode, registers, immediate. */
function instruction(opcode: number, registers: number, immediate: number): number[] {
  return [opcode, registers, 0, 0, immediate & 0xff, (immediate >> 8) & 0xff, (immediate >> 16) & 0xff, 0];
}

const setReturn = (value: number): number[] => instruction(0xb7, 0, value);
const exit = instruction(0x95, 0, 0);
const call = (number: number): number[] => instruction(0x85, 0, number);

/** BPF_PROG_LOAD. Returns a descriptor or the negative errno, and the verifier's words. */
function load(code: readonly number[][], type: number, attach: number, btfId = 0): { fd: number; log: string } {
  const instructions = allocate(code.length * 8);
  instructions.bytes.set(code.flat());
  const license = cString('GPL');
  const log = allocate(1 << 16);
  const attr = new BpfAttr()
    .u32(0, type)
    .u32(4, code.length)
    .u64(8, instructions)
    .u64(16, license)
    .u32(24, 1)
    .u32(28, log.bytes.length)
    .u64(32, log)
    .u32(68, attach)
    .u32(108, btfId);
  const fd = attr.call(bpfCommand.PROG_LOAD);
  return { fd, log: Buffer.from(log.bytes.subarray(0, log.bytes.indexOf(0))).toString() };
}

function loads(type: number, attach: number, btfId = 0, returned = 1): string | null {
  const { fd, log } = load([setReturn(returned), exit], type, attach, btfId);
  return verdict(fd, log);
}

function verdict(fd: number, log = ''): string | null {
  if (fd < 0) return [errnoName(fd), log.trim().split('\n')[0] ?? ''].filter((text) => text !== '').join(': ');
  close(fd);
  return null;
}

/** A helper that is known may still be refused for its arguments; only the verifier's words tell them apart. */
function hasHelper(type: number, attach: number, number: number): string | null {
  const { fd, log } = load([call(number), setReturn(1), exit], type, attach);
  if (fd < 0 && fd !== -errno.EINVAL && fd !== -errno.EACCES) return verdict(fd, log);
  if (fd >= 0) return verdict(fd);
  const unknown = log.split('\n').find((line) => /unknown func|invalid func|cannot use helper/.test(line));
  return unknown?.trim() ?? null;
}

function cgroup2(): string | null {
  try {
    findCgroup2();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** A kernel that knows the command says EBADF about the missing cgroup; one that does not, EINVAL. */
function cgroupLink(): string | null {
  const { fd } = load([setReturn(1), exit], programType.sockAddr, attachType.connect4);
  if (fd < 0) return verdict(fd);
  const result = new BpfAttr().u32(0, fd).u32(4, 0xffffffff).u32(8, attachType.connect4).call(bpfCommand.LINK_CREATE);
  close(fd);
  return result === -errno.EBADF ? null : errnoName(result);
}

function createMap(type: number, keySize: number, valueSize: number, maxEntries: number): number {
  const attr = new BpfAttr().u32(0, type).u32(4, keySize).u32(8, valueSize).u32(12, maxEntries);
  return attr.call(bpfCommand.MAP_CREATE);
}

const ringBuffer = (): string | null => verdict(createMap(mapTypeNumber('ringbuf'), 0, 0, 65536));

function batch(): string | null {
  const fd = createMap(mapTypeNumber('hash'), 4, 4, 4);
  if (fd < 0) return verdict(fd);
  const [keys, values, position] = [allocate(64), allocate(64), allocate(8)];
  const attr = new BpfAttr().u64(8, position).u64(16, keys).u64(24, values);
  const result = attr.u32(32, 4).u32(36, fd).call(bpfCommand.MAP_LOOKUP_BATCH);
  close(fd);
  return result === -errno.ENOENT ? null : errnoName(result);
}

/** Asks what is attached to the loopback device; a kernel without tcx does not know the attach type. */
function tcx(): string | null {
  const result = new BpfAttr().u32(0, 1).u32(4, attachType.tcxIngress).call(bpfCommand.PROG_QUERY);
  return result < 0 && result !== -errno.ENOENT ? errnoName(result) : null;
}

function socketStorageIterator(libbpf: Libbpf): string | null {
  const { result } = libbpf.quietly(() => libbpf.findVmlinuxBtfId('bpf_sk_storage_map', attachType.iterator));
  if (result <= 0) return 'the kernel has no such iterator';
  return loads(programType.tracing, attachType.iterator, result, 0);
}
