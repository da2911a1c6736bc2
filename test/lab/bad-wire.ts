/**
 * A pod whose packets get lost, come late or overtake each other: by netem where the kernel has it (Debian's kernels),
 * else by bpf/test/wire.bpf.c ({@link Wire}).
 */
import type { Host } from './host.ts';
import { type Faults, lateMs, Wire } from './wire.ts';

/** What goes wrong; with netem {@link Faults.late} is the share of the incoming packets too. All ports. */
export type WireFaults = Omit<Faults, 'port'>;

export interface BadWire extends AsyncDisposable {
  readonly means: 'netem' | 'wire.bpf.c';
  /** Packets that were lost. */
  lost(): Promise<{ readonly in: number; readonly out: number }>;
  /** Packets that were held back; netem does not count them ({@link outOfOrder}): 0. */
  held(): number;
}

/** Puts a bad wire between a pod and its node. Disposing of it mends everything. */
export async function badWire(node: Host, pod: Host, faults: WireFaults): Promise<BadWire> {
  return (await netemWire(node, pod, faults)) ?? (await bpfWire(pod, faults));
}

/** At both ends of the pod's veth, each for what it sends. Null: the kernel has no netem. */
async function netemWire(node: Host, pod: Host, faults: WireFaults): Promise<BadWire | null> {
  const { loseIn = 0, loseOut = 0, late = 0 } = faults;
  const ends = [
    { host: pod, device: 'eth0', lose: loseOut },
    { host: node, device: await nodeEnd(node, pod), lose: loseIn },
  ] as const;
  for (const { host, device, lose } of ends) {
    const half = `${lateMs / 2}ms`;
    // The share of `reorder` is sent at once, ahead of those that wait for anything from nothing to lateMs.
    const delay = late === 0 ? [] : ['delay', half, half, ...(late === 1 ? [] : ['reorder', percent(1 - late)])];
    const command = ['tc', 'qdisc', 'add', 'dev', device, 'root', 'netem', 'limit', '100000', 'loss', percent(lose)];
    const { code, stderr } = await host.exec([...command, ...delay]);
    if (code === 0) continue;
    if (/Specified qdisc (kind is unknown|not found)/.test(stderr)) return null;
    throw new Error(`${host.name}: ${stderr}`);
  }
  const drops = async ({ host, device }: { host: Host; device: string }): Promise<number> => {
    const text = await host.output(['tc', '-s', '-j', 'qdisc', 'show', 'dev', device, 'root']);
    const [netem] = JSON.parse(text) as readonly { readonly drops: number }[];
    if (netem === undefined) throw new Error(`${host.name}: no netem at ${device}`);
    return netem.drops;
  };
  return {
    means: 'netem',
    lost: async () => ({ out: await drops(ends[0]), in: await drops(ends[1]) }),
    held: () => 0,
    [Symbol.asyncDispose]: async () => {
      for (const { host, device } of ends) await host.output(['tc', 'qdisc', 'del', 'dev', device, 'root']);
    },
  };
}

async function bpfWire(pod: Host, faults: WireFaults): Promise<BadWire> {
  const wire = Wire.attach(pod);
  if (faults.late !== undefined) await wire.prepareLate();
  wire.set(faults);
  return {
    means: 'wire.bpf.c',
    lost: async () => ({ out: Number(wire.count('egress').lost), in: Number(wire.count('ingress').lost) }),
    held: () => Number(wire.count('egress').held),
    [Symbol.asyncDispose]: async () => {
      wire[Symbol.dispose]();
      await wire.endLate();
    },
  };
}

const percent = (share: number): string => `${share * 100}%`;

/** The device of the node at the other end of a pod's eth0. */
async function nodeEnd(node: Host, pod: Host): Promise<string> {
  const links = async (host: Host, ...of: readonly string[]) =>
    JSON.parse(await host.output(['ip', '-j', 'link', 'show', ...of])) as readonly {
      readonly ifindex: number;
      readonly ifname: string;
      readonly link_index?: number;
    }[];
  const peer = (await links(pod, 'dev', 'eth0'))[0]?.link_index;
  const found = (await links(node)).find(({ ifindex }) => ifindex === peer);
  if (found === undefined) throw new Error(`the node has no device to ${pod.name}`);
  return found.ifname;
}

/**
 * Lets these pods send each segment as a packet of its own, on connections that are opened from now on: a run of segments
 * that leaves as one packet arrives in its order, whatever the wire does.
 */
export async function singleSegments(pods: readonly Host[]): Promise<AsyncDisposable> {
  const set = async (segments: number): Promise<void> => {
    for (const pod of pods) {
      await pod.output(['ip', 'link', 'set', 'dev', 'eth0', 'gso_max_segs', String(segments)]);
    }
  };
  await set(1);
  return { [Symbol.asyncDispose]: () => set(65_535) };
}

/** Segments that came ahead of others, in these namespaces since they were made: what reordering leaves behind. */
export async function outOfOrder(hosts: readonly Host[]): Promise<number> {
  let sum = 0;
  for (const host of hosts) {
    const counters = await host.output(['nstat', '-asz', 'TcpExtTCPOFOQueue']);
    sum += Number(/TcpExtTCPOFOQueue\s+(\d+)/.exec(counters)?.[1]);
  }
  return sum;
}
