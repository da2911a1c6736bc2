import { KmError } from '../base/errors.ts';
import type { Program } from './object.ts';
import { allocate, BpfAttr, bpfCommand, errno, errnoName } from './syscall.ts';

export interface TestRun {
  readonly returnValue: number;
  /** The packet as the program left it. */
  readonly packet: Uint8Array;
  /** Average time of one run, nanoseconds. */
  readonly durationNs: number;
}

/**
 * Runs a sched_cls program on a packet without any device (BPF_PROG_TEST_RUN). The packet is an Ethernet frame of at
 * least 14 bytes. Not for cgroup hooks, sockops or sk_msg: the kernel refuses them. KM4010.
 */
export function testRun(program: Program, packet: Uint8Array, repeat = 1): TestRun {
  const input = allocate(packet.length);
  input.bytes.set(packet);
  const output = allocate(packet.length + 4096);
  const attr = new BpfAttr()
    .u32(0, program.fd)
    .u32(8, packet.length)
    .u32(12, output.bytes.length)
    .u64(16, input)
    .u64(24, output)
    .u32(32, repeat);
  // A signal ends many runs early.
  let result = attr.call(bpfCommand.PROG_TEST_RUN);
  for (let i = 0; i < 10 && result === -errno.EINTR; i++) result = attr.call(bpfCommand.PROG_TEST_RUN);
  if (result < 0) throw new KmError('KM4010', `test run of ${program.name}: ${errnoName(result)}`);
  return {
    returnValue: attr.view.getUint32(4, true),
    packet: output.bytes.slice(0, attr.view.getUint32(12, true)),
    durationNs: attr.view.getUint32(36, true),
  };
}
