/** A pod's eth0 on which packets get lost or overtake each other: bpf/test/wire.bpf.c, for kernels with netem or without. */
import { readFileSync } from 'node:fs';
import { attachClsact, type Direction } from '../../src/kernel/attach.ts';
import { type Codec, u32, u64 } from '../../src/kernel/codec.ts';
import { openLibbpf } from '../../src/kernel/libbpf.ts';
import type { KernelMap } from '../../src/kernel/map.ts';
import { withNetns } from '../../src/kernel/netns.ts';
import { type LoadedObjects, loadObjects } from '../../src/kernel/object.ts';
import { testObject } from '../../src/kernel/testing.ts';
import type { Host } from './host.ts';
import type { LabProcess } from './process.ts';
import { pythonProgram } from './python.ts';

/** Seen from the pod. */
export interface Faults {
  /** Share of outgoing TCP packets that are lost, 0 to 1. */
  readonly loseOut?: number;
  /** Share of incoming ones. */
  readonly loseIn?: number;
  /** Share of outgoing ones that are sent late: up to {@link lateMs} later. */
  readonly late?: number;
  /** Only packets from or to this port. */
  readonly port?: number;
}

export interface WireCount {
  readonly seen: bigint;
  readonly lost: bigint;
  readonly held: bigint;
}

interface Setting {
  readonly lose: number;
  readonly hold: number;
  readonly device: number;
  readonly port: number;
}

const million = 1_000_000;
/** How late a late packet may be, milliseconds. */
export const lateMs = 3;
/** lo */
const lateDevice = 1;
const directions = { ingress: 0, egress: 1 } as const;

const settingCodec: Codec<Setting> = {
  size: 16,
  encode: ({ lose, hold, device, port }, view, offset) => {
    [lose, hold, device, port].forEach((value, i) => {
      view.setUint32(offset + 4 * i, value, true);
    });
  },
  decode: () => {
    throw new Error('nobody reads it');
  },
};
const countCodec: Codec<WireCount> = {
  size: 24,
  encode: () => undefined,
  decode: (view, offset) => ({
    seen: u64.decode(view, offset),
    lost: u64.decode(view, offset + 8),
    held: u64.decode(view, offset + 16),
  }),
};

/** The programs are attached by clsact in the pod itself: what the mesh attaches to the node's end is not touched. */
export class Wire implements Disposable {
  readonly #pod: Host;
  readonly #loaded: LoadedObjects;
  readonly #settings: KernelMap<number, Setting>;
  readonly #counts: KernelMap<number, WireCount>;
  #late: LabProcess | null = null;

  private constructor(pod: Host, loaded: LoadedObjects) {
    this.#pod = pod;
    this.#loaded = loaded;
    const map = (name: string) => {
      const found = loaded.maps.get(name);
      if (found === undefined) throw new Error(`wire.bpf.c has no ${name}`);
      return found;
    };
    this.#settings = map('km_test_wire').as({ key: u32, value: settingCodec });
    this.#counts = map('km_test_wire_count').as({ key: u32, value: countCodec });
  }

  /** Puts a wire without faults under the pod's eth0. It stays until the pod goes; {@link set} says what goes wrong. */
  static attach(pod: Host): Wire {
    const libbpf = openLibbpf();
    const loaded = loadObjects(libbpf, { objects: [testObject('wire')] });
    const wire = new Wire(pod, loaded);
    wire.set({});
    const ifindex = deviceIndex(pod, 'eth0');
    for (const [direction, name] of [
      ['ingress', 'km_test_wire_in'],
      ['egress', 'km_test_wire_out'],
    ] as const satisfies readonly (readonly [Direction, string])[]) {
      const program = loaded.programs.get(name);
      if (program === undefined) throw new Error(`wire.bpf.c has no ${name}`);
      withNetns(pod.netnsPath, () => attachClsact(libbpf, program, { ifindex, direction, priority: 100, handle: 1 }));
    }
    return wire;
  }

  /** Starts what {@link Faults.late} needs: a process that holds packets back. */
  async prepareLate(): Promise<void> {
    // One packet a segment from now on: they are to overtake each other, not runs of them.
    await this.#pod.output(['ip', 'link', 'set', 'dev', 'eth0', 'gso_max_segs', '1']);
    const program = pythonProgram('clients/late.py');
    this.#late = this.#pod.spawn([...program, 'eth0', String(lateMs)], { cgroup: 'outside' });
    await this.#late.line(/^ready$/);
  }

  /** Ends it. */
  async endLate(): Promise<void> {
    await this.#late?.kill();
    this.#late = null;
  }

  /** From now on; {} mends everything. */
  set({ loseOut = 0, loseIn = 0, late = 0, port = 0 }: Faults): void {
    if (late > 0 && this.#late === null) throw new Error('call prepareLate() first');
    const common = { port, device: lateDevice };
    this.#settings.set(directions.ingress, { lose: Math.round(loseIn * million), hold: 0, ...common });
    this.#settings.set(directions.egress, {
      ...{ lose: Math.round(loseOut * million), hold: Math.round(late * million) },
      ...common,
    });
  }

  /** Packets since the wire was attached. */
  count(direction: Direction): WireCount {
    const zero = { seen: 0n, lost: 0n, held: 0n };
    const each = this.#counts.getPerCpu(directions[direction]) ?? [];
    return each.reduce((a, b) => ({ seen: a.seen + b.seen, lost: a.lost + b.lost, held: a.held + b.held }), zero);
  }

  /** Mends the wire and lets go of the kernel's things; the programs stay attached, and pass everything. */
  [Symbol.dispose](): void {
    this.set({});
    this.#loaded.close();
  }
}

/** Number of a pod's device in its namespace. */
const deviceIndex = (pod: Host, name: string): number =>
  withNetns(pod.netnsPath, () => {
    // sysfs shows the namespace it was mounted in, /proc/self/net the thread's.
    const line = readFileSync('/proc/thread-self/net/igmp', 'utf8')
      .split('\n')
      .find((text) => text.split(/\s+/)[1] === name);
    const index = Number(line?.split('\t')[0]);
    if (!(index > 0)) throw new Error(`${pod.name} has no device ${name}`);
    return index;
  });
