/**
 * Tells in which network namespaces devices have come, gone or changed, by one rtnetlink socket of the namespace that the
 * calling thread is in (NETLINK_LISTEN_ALL_NSID of netlink(7), Linux 4.2). It hears those namespaces that this one has a
 * number for, which it gets with the first cable between them.
 */
import { KmError } from '../base/errors.ts';
import { allocate, bind, close, errno, errnoName, receiveMessage, setsockopt32, socket } from './syscall.ts';

const [afNetlink, solNetlink] = [16, 270];
const listenAllNsid = 8;
const groupLink = 1;
/** Longer messages are cut; what they say is not read. */
const [messageSize, controlSize] = [64, 64];

/** What has happened since the last look. */
export interface LinkEvents {
  /** Numbers of other namespaces in which a device has changed, as netnsNumber() gives them. */
  readonly others: ReadonlySet<number>;
  /** A device of our own namespace has changed. */
  readonly own: boolean;
  /** Events were lost: anything may have happened anywhere. */
  readonly lost: boolean;
}

export class LinkListener {
  readonly #fd: number;
  readonly #message = allocate(messageSize);
  readonly #control = allocate(controlSize);
  readonly #part = allocate(16);
  readonly #header = allocate(56);

  /** KM4013 */
  constructor() {
    const [sockRawCloexec, netlinkRoute] = [3 | 0o2000000, 0];
    this.#fd = socket(afNetlink, sockRawCloexec, netlinkRoute);
    const address = allocate(12);
    address.view.setUint16(0, afNetlink, true);
    address.view.setUint32(8, groupLink, true);
    const result =
      this.#fd < 0 ? this.#fd : setsockopt32(this.#fd, solNetlink, listenAllNsid, 1) || bind(this.#fd, address, 12);
    if (result >= 0) return;
    this.close();
    throw new KmError('KM4013', `listening to changes of devices: ${errnoName(result)}`);
  }

  /** Takes what has come. Without an event it costs one call into the kernel. */
  drain(): LinkEvents {
    const others = new Set<number>();
    let [own, lost] = [false, false];
    for (;;) {
      const result = this.#receive();
      if (result === -errno.EAGAIN) return { others, own, lost };
      if (result === -errno.ENOBUFS) lost = true;
      else if (result < 0) throw new KmError('KM4013', `changes of devices: ${errnoName(result)}`);
      else {
        const number = this.#namespace();
        if (number === null) own = true;
        else others.add(number);
      }
    }
  }

  close(): void {
    if (this.#fd >= 0) close(this.#fd);
  }

  /** struct msghdr and struct iovec: the kernel writes lengths back, so they are set each time. */
  #receive(): number {
    const { view } = this.#header;
    this.#part.view.setBigUint64(0, this.#message.address, true);
    this.#part.view.setBigUint64(8, BigInt(messageSize), true);
    view.setBigUint64(16, this.#part.address, true);
    view.setBigUint64(24, 1n, true);
    view.setBigUint64(32, this.#control.address, true);
    view.setBigUint64(40, BigInt(controlSize), true);
    return receiveMessage(this.#fd, this.#header);
  }

  /** The namespace's number comes beside the message (struct cmsghdr); none with those of our own. */
  #namespace(): number | null {
    const { view } = this.#control;
    const length = Number(this.#header.view.getBigUint64(40, true));
    if (length < 20 || view.getInt32(8, true) !== solNetlink || view.getInt32(12, true) !== listenAllNsid) return null;
    return view.getInt32(16, true);
  }
}
