/** Where the programs of an enrolled network namespace belong, and what else only a look inside it tells. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { deviceName, type NetDevice, netDevices, netnsNumber } from './netlink.ts';
import { globalAddresses, openNetns, withNetns } from './netns.ts';

/**
 * A device that carries a namespace's traffic. `outer`: the other end, which is in the namespace that the calling thread
 * is in, where the workload cannot reach it. `inner`: the namespace's own device, its other end being elsewhere.
 */
export interface TrafficDevice {
  readonly side: 'outer' | 'inner';
  /** In the caller's namespace for `outer`, in the workload's for `inner`. */
  readonly ifindex: number;
  readonly name: string;
}

export interface NetnsView {
  /** By which the caller's namespace knows this one, and events name it; null when no cable is between them. */
  readonly number: number | null;
  readonly devices: readonly TrafficDevice[];
  /** Of global scope, canonical text. */
  readonly addresses: readonly string[];
  /** net.ipv4.ip_local_port_range: first and last port that sockets get by themselves. */
  readonly localPorts: readonly [first: number, last: number];
  /** net.ipv4.ip_local_reserved_ports, first and last of each run. */
  readonly reservedPorts: readonly (readonly [first: number, last: number])[];
}

/** Devices that are the two ends of a cable. */
const pairKinds: readonly string[] = ['veth', 'netkit'];

/** Looks into a namespace. One look costs some 200 µs. KM4011, KM4013. */
export function viewNetns(path: string): NetnsView {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  const target = openNetns(path);
  try {
    const { here, devices, ...rest } = withNetns(path, () => ({
      here: netnsNumber(home),
      devices: netDevices().filter(({ loopback }) => !loopback),
      addresses: globalAddresses(),
      localPorts: portRange(sysctl('net/ipv4/ip_local_port_range').split(/\s+/)),
      reservedPorts: portRuns(sysctl('net/ipv4/ip_local_reserved_ports')),
    }));
    const traffic = devices.flatMap((device) => trafficDevice(device, here));
    // To ask for the other end of a cable has given the namespace its number.
    return { ...rest, devices: traffic, number: netnsNumber(target) };
  } finally {
    closeSync(target);
    closeSync(home);
  }
}

/** The devices of the calling thread's own namespace, without the outer ends of pods in `except`. KM4013. */
export function viewOwnNetns(path: string, except: ReadonlySet<number>): NetnsView {
  const view = viewNetns(path);
  // Seen from inside, an end of a cable is `inner` whatever is at the other one.
  return { ...view, devices: view.devices.filter(({ ifindex }) => !except.has(ifindex)) };
}

function trafficDevice(device: NetDevice, here: number | null): TrafficDevice[] {
  const inner: TrafficDevice = { side: 'inner', ifindex: device.ifindex, name: device.name };
  const isPair = pairKinds.includes(device.kind);
  if (!isPair || device.peerNetns === null || device.peerNetns !== here) return [inner];
  // A cable that is being removed has no other end.
  const name = device.peer === 0 ? null : deviceName(device.peer);
  return name === null ? [] : [{ side: 'outer', ifindex: device.peer, name }];
}

/** A sysctl of the namespace that the calling thread is in. */
const sysctl = (name: string): string => readFileSync(`/proc/sys/${name}`, 'utf8').trim();

function portRange([first, last]: readonly string[]): readonly [number, number] {
  return [Number(first), Number(last)];
}

/** `8080,9000-9010`, or nothing. */
function portRuns(text: string): (readonly [number, number])[] {
  if (text === '') return [];
  return text.split(',').map((run) => {
    const [first, last = first] = run.split('-');
    return [Number(first), Number(last)];
  });
}
