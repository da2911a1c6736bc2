import { closeSync, openSync } from 'node:fs';
import { KmError } from '../base/errors.ts';
import type { Libbpf } from './libbpf.ts';
import { libbpfErrorName } from './libbpf.ts';
import { createLink, Link, tryCreateLink } from './link.ts';
import type { RawMap } from './map.ts';
import type { Program } from './object.ts';
import { allocate, BpfAttr, bpfCommand, errno, errnoName, type Memory } from './syscall.ts';

/** enum bpf_attach_type */
const attachTypes = { skMsgVerdict: 7, tcxIngress: 46, tcxEgress: 47 } as const;

/** Attaches a program to a cgroup v2 directory, at the hook that its section names. KM4010. */
export function attachCgroup(program: Program, cgroup: string): Link {
  const fd = openDirectory(cgroup);
  try {
    return createLink(program, fd, program.attachType, `cgroup ${cgroup}`);
  } finally {
    closeSync(fd);
  }
}

function openDirectory(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    throw new KmError('KM4010', `${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** Which packets of a device: those that come in or those that go out. */
export type Direction = 'ingress' | 'egress';

export interface Device {
  /** Number of the device in the network namespace that the calling thread is in. */
  readonly ifindex: number;
  readonly direction: Direction;
}

/** BPF_F_BEFORE of linux/bpf.h; without another program's number: before all of them. */
const before = 8;

/**
 * Attaches a sched_cls program by a tcx link (Linux 6.6), or null when this kernel has none. It runs after those that
 * are there, or with `first` before them. KM4010.
 */
export function attachTcx(program: Program, { ifindex, direction }: Device, first = false): Link | null {
  const type = direction === 'ingress' ? attachTypes.tcxIngress : attachTypes.tcxEgress;
  const fd = tryCreateLink(program, ifindex, type, first ? before : 0);
  // The program was loaded and the device is checked first (ENODEV), so EINVAL is the attach type.
  if (fd === -errno.EINVAL) return null;
  if (fd < 0)
    throw new KmError('KM4010', `attach ${program.name} to ${direction} of device ${ifindex}: ${errnoName(fd)}`);
  return new Link(fd);
}

/** How many programs a device has by tcx; 0 where there is no such device or no tcx. */
export function countTcx({ ifindex, direction }: Device): number {
  const type = direction === 'ingress' ? attachTypes.tcxIngress : attachTypes.tcxEgress;
  const attr = new BpfAttr().u32(0, ifindex).u32(4, type);
  return attr.call(bpfCommand.PROG_QUERY) < 0 ? 0 : attr.view.getUint32(24, true);
}

/** A place in a device's classifier chain: programs of lower priority numbers run first. */
export interface Filter extends Device {
  readonly priority: number;
  readonly handle: number;
}

/** Makes a device's clsact qdisc; false when it has one, or an ingress qdisc. KM4010. */
export function createClsact(libbpf: Libbpf, ifindex: number): boolean {
  const { hook } = tcArguments({ ifindex, direction: 'ingress', priority: 0, handle: 0 });
  const { result } = libbpf.quietly(() => libbpf.tcHookCreate(hook.address));
  if (result === -errno.EEXIST) return false;
  if (result < 0) throw new KmError('KM4010', `clsact qdisc of device ${ifindex}: ${libbpfErrorName(result)}`);
  return true;
}

/**
 * Attaches a sched_cls program by a clsact qdisc, which is made when missing; a filter of the same priority and handle
 * is replaced in one step. It stays until {@link detachClsact} or the device's end, whatever becomes of this process.
 */
export function attachClsact(libbpf: Libbpf, program: Program, filter: Filter): void {
  const where = `${filter.direction} of device ${filter.ifindex}`;
  const { hook, options } = tcArguments(filter);
  const replace = 1;
  options.view.setInt32(8, program.fd, true);
  options.view.setUint32(12, replace, true);
  const { result } = libbpf.quietly(() => {
    const made = libbpf.tcHookCreate(hook.address);
    return made < 0 && made !== -errno.EEXIST ? made : libbpf.tcAttach(hook.address, options.address);
  });
  if (result < 0) throw new KmError('KM4010', `attach ${program.name} to ${where}: ${libbpfErrorName(result)}`);
}

/** Takes a filter away; false when it was not there. The qdisc stays, because others may use it. */
export function detachClsact(libbpf: Libbpf, filter: Filter): boolean {
  const { hook, options } = tcArguments(filter);
  const { result } = libbpf.quietly(() => libbpf.tcDetach(hook.address, options.address));
  // Without a clsact qdisc the kernel says EINVAL, without the device ENODEV.
  return result >= 0;
}

/** The kernel's number of the program at that place, or null. */
export function queryClsact(libbpf: Libbpf, filter: Filter): number | null {
  const { hook, options } = tcArguments(filter);
  const { result } = libbpf.quietly(() => libbpf.tcQuery(hook.address, options.address));
  return result < 0 ? null : options.view.getUint32(16, true);
}

/** Removes a device's clsact qdisc with everything in it. Only when it is known to be ours. */
export function destroyClsact(libbpf: Libbpf, ifindex: number): boolean {
  const { hook } = tcArguments({ ifindex, direction: 'ingress', priority: 0, handle: 0 });
  const both = 3;
  hook.view.setUint32(12, both, true);
  return libbpf.quietly(() => libbpf.tcHookDestroy(hook.address)).result >= 0;
}

/** struct bpf_tc_hook and struct bpf_tc_opts of libbpf 1.0. */
function tcArguments({ ifindex, direction, priority, handle }: Filter): { hook: Memory; options: Memory } {
  const hook = allocate(24);
  hook.view.setBigUint64(0, 24n, true);
  hook.view.setInt32(8, ifindex, true);
  hook.view.setUint32(12, direction === 'ingress' ? 1 : 2, true);
  const options = allocate(32);
  options.view.setBigUint64(0, 32n, true);
  options.view.setUint32(20, handle, true);
  options.view.setUint32(24, priority, true);
  return { hook, options };
}

/**
 * Makes an sk_msg program run for the sockets of a sockhash or sockmap. From 6.10 by a link; before, the map holds the
 * program until it is detached or the map goes, and null is returned. KM4010.
 */
export function attachSkMsg(program: Program, map: RawMap): Link | null {
  const link = tryCreateLink(program, map.fd, attachTypes.skMsgVerdict);
  if (link >= 0) return new Link(link);
  const attr = new BpfAttr().u32(0, map.fd).u32(4, program.fd).u32(8, attachTypes.skMsgVerdict);
  const result = attr.call(bpfCommand.PROG_ATTACH);
  if (result < 0) throw new KmError('KM4010', `attach ${program.name} to map ${map.name}: ${errnoName(result)}`);
  return null;
}

/** Undoes an {@link attachSkMsg} that returned null. */
export function detachSkMsg(program: Program, map: RawMap): boolean {
  const attr = new BpfAttr().u32(0, map.fd).u32(4, program.fd).u32(8, attachTypes.skMsgVerdict);
  return attr.call(bpfCommand.PROG_DETACH) >= 0;
}
