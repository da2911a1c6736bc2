/**
 * Questions to rtnetlink (rtnetlink(7), linux/rtnetlink.h) that Node has no function for: the devices of the network
 * namespace that the calling thread is in, and what is attached to them; and whether nf_tables is in use there. Synchronous, so that it can run in withNetns().
 */
import { KmError } from '../base/errors.ts';
import { allocate, close, errno, errnoName, type Memory, read, socket, write } from './syscall.ts';

/** A device as its namespace sees it. */
export interface NetDevice {
  readonly ifindex: number;
  readonly name: string;
  readonly loopback: boolean;
  /** `veth`, `bridge`, …; empty for hardware. */
  readonly kind: string;
  /** Of the other end of a pair or the device below, in the namespace `peerNetns`; 0 when there is none. */
  readonly peer: number;
  /** The number by which this namespace knows the other one; null: the peer is in this namespace. */
  readonly peerNetns: number | null;
}

const messageType = { error: 2, done: 3, newLink: 16, getLink: 18, newQdisc: 36, getQdisc: 38 } as const;
const filterType = { new: 44, get: 46 } as const;
const nsidType = { new: 88, get: 90 } as const;
const flag = { request: 1, interrupted: 0x10, dump: 0x300 } as const;
/** Attributes: IFLA_…, NETNSA_…, TCA_… */
const attribute = {
  ifName: 3,
  ifLink: 5,
  linkInfo: 18,
  extMask: 29,
  linkNetnsid: 37,
  infoKind: 1,
  nsid: 1,
  nsidFd: 3,
  tcKind: 1,
} as const;
const skipStatistics = 8;
/** NETLINK_ROUTE */
const routing = 0;
const headerSize = 16;
const [linkSize, tcSize, nsidSize] = [16, 20, 4];
/** ARPHRD_LOOPBACK of linux/if_arp.h */
const loopbackType = 772;
/** `parent` of what is at a device's clsact qdisc (linux/pkt_sched.h). */
const ingressHandle = 0xffff_0000;
const parents = { root: 0xffff_ffff, ingress: 0xffff_fff2, egress: 0xffff_fff3 } as const;
/** The kernel never sends more of a dump at once (NLMSG_GOODSIZE is at most 32 KiB). */
const receiveSize = 32768;

/** All devices, loopback among them. KM4013. */
export function netDevices(): NetDevice[] {
  const request = new Request(messageType.getLink, linkSize).u32(attribute.extMask, skipStatistics);
  return dump(request, 'devices').flatMap((message) => {
    if (message.type !== messageType.newLink) return [];
    const attributes = message.attributes(linkSize);
    const info = attributes.get(attribute.linkInfo);
    return [
      {
        ifindex: message.view.getInt32(headerSize + 4, true),
        name: text(attributes.get(attribute.ifName)),
        loopback: message.view.getUint16(headerSize + 2, true) === loopbackType,
        kind: info === undefined ? '' : text(attributesOf(info).get(attribute.infoKind)),
        peer: attributes.get(attribute.ifLink)?.getUint32(0, true) ?? 0,
        peerNetns: attributes.get(attribute.linkNetnsid)?.getInt32(0, true) ?? null,
      },
    ];
  });
}

/** Name of one device; null when there is none of this number. KM4013. */
export function deviceName(ifindex: number): string | null {
  const request = new Request(messageType.getLink, linkSize).u32(attribute.extMask, skipStatistics);
  request.view.setInt32(headerSize + 4, ifindex, true);
  const [answer] = ask(request, `device ${ifindex}`, [errno.ENODEV]);
  return answer === undefined ? null : text(answer.attributes(linkSize).get(attribute.ifName));
}

/** The number by which this namespace knows the one of an open file; null when it has none for it. KM4013. */
export function netnsNumber(fd: number): number | null {
  const [answer] = ask(new Request(nsidType.get, nsidSize).u32(attribute.nsidFd, fd), 'number of a namespace');
  const number = answer?.attributes(nsidSize).get(attribute.nsid)?.getInt32(0, true) ?? -1;
  return number < 0 ? null : number;
}

/** What holds a device's ingress place: `clsact`, or an older `ingress` qdisc; null: nothing. KM4013. */
export function ingressQdisc(ifindex: number): string | null {
  const found = dump(tcRequest(messageType.getQdisc, ifindex, 0), `qdiscs of device ${ifindex}`).find(
    ({ type, view }) =>
      type === messageType.newQdisc &&
      view.getInt32(headerSize + 4, true) === ifindex &&
      view.getUint32(headerSize + 8, true) === ingressHandle,
  );
  return found === undefined ? null : text(found.attributes(tcSize).get(attribute.tcKind));
}

/** Numbers of the devices whose packets wait in no queue: their root qdisc is `noqueue`. KM4013. */
export function queuelessDevices(): Set<number> {
  const found = dump(tcRequest(messageType.getQdisc, 0, 0), 'qdiscs').filter(
    (answer) =>
      answer.type === messageType.newQdisc &&
      answer.view.getUint32(headerSize + 12, true) === parents.root &&
      text(answer.attributes(tcSize).get(attribute.tcKind)) === 'noqueue',
  );
  return new Set(found.map(({ view }) => view.getInt32(headerSize + 4, true)));
}

/** How many filters, whoever's, are at a device's clsact qdisc. KM4013. */
export function countFilters(ifindex: number): number {
  const gone = [errno.ENODEV, errno.EINVAL];
  const found = [parents.ingress, parents.egress].flatMap((parent) =>
    dump(tcRequest(filterType.get, ifindex, parent), `filters of device ${ifindex}`, gone),
  );
  // Each priority is told of once more, with no handle.
  return found.filter(({ type, view }) => type === filterType.new && view.getUint32(headerSize + 8, true) !== 0).length;
}

/** Whether nf_tables has a table of any family, in the namespace of the calling thread. KM4013. */
export function hasNfTables(): boolean {
  const [netfilter, newTable, getTable] = [12, 0x0a00, 0x0a01];
  const request = new Request(getTable, 4);
  const answers = dump(request, 'tables of nf_tables', [errno.EINVAL, errno.EOPNOTSUPP], netfilter);
  return answers.some(({ type }) => type === newTable);
}

function tcRequest(type: number, ifindex: number, parent: number): Request {
  const request = new Request(type, tcSize);
  request.view.setInt32(headerSize + 4, ifindex, true);
  request.view.setUint32(headerSize + 12, parent, true);
  return request;
}

/** A request message: struct nlmsghdr, the family's struct (zeros), attributes. */
class Request {
  readonly memory = allocate(128);
  readonly view = this.memory.view;
  length: number;

  constructor(type: number, size: number) {
    this.length = headerSize + size;
    this.view.setUint16(4, type, true);
  }

  u32(type: number, value: number): this {
    this.view.setUint16(this.length, 8, true);
    this.view.setUint16(this.length + 2, type, true);
    this.view.setUint32(this.length + 4, value, true);
    this.length += 8;
    return this;
  }
}

class Answer {
  readonly type: number;
  readonly flags: number;
  readonly view: DataView;

  constructor(view: DataView) {
    this.view = view;
    this.type = view.getUint16(4, true);
    this.flags = view.getUint16(6, true);
  }

  attributes(size: number): Map<number, DataView> {
    const { buffer, byteOffset, byteLength } = this.view;
    return attributesOf(new DataView(buffer, byteOffset + headerSize + size, byteLength - headerSize - size));
  }
}

/** struct nlattr: length with this header of 4 bytes, type with two flags on top; aligned to 4. */
function attributesOf(view: DataView): Map<number, DataView> {
  const found = new Map<number, DataView>();
  for (let at = 0; at + 4 <= view.byteLength; ) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > view.byteLength) break;
    found.set(view.getUint16(at + 2, true) & 0x3fff, new DataView(view.buffer, view.byteOffset + at + 4, length - 4));
    at += (length + 3) & ~3;
  }
  return found;
}

function text(view: DataView | undefined): string {
  if (view === undefined) return '';
  const bytes = Buffer.from(view.buffer, view.byteOffset, view.byteLength);
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}

/** Everything of a kind; asked again when something changed meanwhile. `empty`: errors that mean that there is nothing. */
function dump(request: Request, what: string, empty: readonly number[] = [], protocol = routing): Answer[] {
  for (let tries = 0; ; tries++) {
    const answers = exchange(request, flag.request | flag.dump, what, empty, protocol);
    if (tries === 3 || !answers.some(({ flags }) => (flags & flag.interrupted) !== 0)) return answers;
  }
}

const ask = (request: Request, what: string, empty: readonly number[] = []): Answer[] =>
  exchange(request, flag.request, what, empty, routing);

function exchange(request: Request, flags: number, what: string, empty: readonly number[], protocol: number): Answer[] {
  const [afNetlink, sockRawCloexec] = [16, 3 | 0o2000000];
  const fd = checked(socket(afNetlink, sockRawCloexec, protocol), what);
  try {
    request.view.setUint32(0, request.length, true);
    request.view.setUint16(6, flags, true);
    // Without an address the message goes to the kernel, which has answered when write() returns.
    checked(write(fd, request.memory, request.length), what);
    const answers: Answer[] = [];
    const memory = allocate(receiveSize);
    while (receive(fd, memory, what, empty, answers) && (flags & flag.dump) !== 0);
    return answers;
  } finally {
    close(fd);
  }
}

/** Takes one datagram of messages. Returns whether more follows. */
function receive(fd: number, memory: Memory, what: string, empty: readonly number[], answers: Answer[]): boolean {
  const size = checked(read(fd, memory), what);
  for (let at = 0; at + headerSize <= size; ) {
    const length = memory.view.getUint32(at, true);
    if (length < headerSize || at + length > size) throw new KmError('KM4013', `${what}: a cut answer`);
    const answer = new Answer(new DataView(memory.bytes.slice(at, at + length).buffer));
    if (answer.type === messageType.done || answer.type === messageType.error) {
      // Both begin with an errno; a dump's end has 0, or why it ended early.
      const result = length >= headerSize + 4 ? answer.view.getInt32(headerSize, true) : 0;
      if (result < 0 && !empty.includes(-result)) checked(result, what);
      return false;
    }
    answers.push(answer);
    at += (length + 3) & ~3;
  }
  return true;
}

function checked(result: number, what: string): number {
  if (result < 0) throw new KmError('KM4013', `${what}: ${errnoName(result)}`);
  return result;
}
