import { KmError } from '../base/errors.ts';
import type { Program } from './object.ts';
import { openPin, replacePin, unpin } from './pin.ts';
import { allocate, BpfAttr, bpfCommand, close, errnoName } from './syscall.ts';

export interface LinkInfo {
  readonly id: number;
  readonly programId: number;
  /** Of a cgroup's link: the inode of the cgroup's directory; 0 when the link was detached or the cgroup is gone. */
  readonly cgroupId: bigint;
  /** Of a device's link: its number; of an sk_msg link: the map's. 0 when the link was detached or that is gone. */
  readonly target: number;
}

/**
 * An attachment that lives as long as a descriptor or a pin of it. It can be switched to another program in one step,
 * so that no packet or connect() passes without one.
 */
export class Link {
  readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Puts another program of the same type in place of the present one (BPF_LINK_UPDATE). KM4010. */
  update(program: Program): void {
    const result = new BpfAttr().u32(0, this.fd).u32(4, program.fd).call(bpfCommand.LINK_UPDATE);
    if (result < 0) throw new KmError('KM4010', `switch a link to ${program.name}: ${errnoName(result)}`);
  }

  /**
   * The kernel's numbers of the link and its program, and of what it is attached to (struct bpf_link_info). KM4010.
   */
  info(): LinkInfo {
    const info = allocate(64);
    const result = new BpfAttr().u32(0, this.fd).u32(4, 64).u64(8, info).call(bpfCommand.OBJ_GET_INFO_BY_FD);
    if (result < 0) throw new KmError('KM4010', `link info: ${errnoName(result)}`);
    return {
      id: info.view.getUint32(4, true),
      programId: info.view.getUint32(8, true),
      cgroupId: info.view.getBigUint64(16, true),
      target: info.view.getUint32(16, true),
    };
  }

  pin(path: string): void {
    replacePin(this.fd, path);
  }

  /** Ends the attachment now, whoever still holds the link. A link whose cgroup or device is gone is ended already. */
  detach(): void {
    new BpfAttr().u32(0, this.fd).call(bpfCommand.LINK_DETACH);
  }

  /** Gives up this descriptor; without a pin the attachment ends. */
  close(): void {
    close(this.fd);
  }
}

/** The link pinned at `path`, or null. KM4008. */
export function openLink(path: string): Link | null {
  const fd = openPin(path);
  return fd === null ? null : new Link(fd);
}

/**
 * Makes sure that the link pinned at `path` runs `program`: switches the one that is there in place, or makes one with
 * `create` and pins it. A pinned link that cannot be switched (its cgroup or device is gone) is replaced.
 */
export function ensureLink(path: string, program: Program, create: () => Link): Link {
  const pinned = openLink(path);
  if (pinned !== null) {
    try {
      pinned.update(program);
      return pinned;
    } catch (error) {
      if (!(error instanceof KmError)) throw error;
      pinned.detach();
      pinned.close();
      unpin(path);
    }
  }
  const link = create();
  link.pin(path);
  return link;
}

/** BPF_LINK_CREATE. `what` is for the message of KM4010. */
export function createLink(program: Program, target: number, attachType: number, what: string): Link {
  const fd = tryCreateLink(program, target, attachType);
  if (fd < 0) throw new KmError('KM4010', `attach ${program.name} to ${what}: ${errnoName(fd)}`);
  return new Link(fd);
}

/** The same, but returns the descriptor or the negative errno. */
export function tryCreateLink(program: Program, target: number, attachType: number, flags = 0): number {
  const attr = new BpfAttr().u32(0, program.fd).u32(4, target).u32(8, attachType).u32(12, flags);
  return attr.call(bpfCommand.LINK_CREATE);
}

/** The kernel's number of a loaded program (struct bpf_prog_info). KM4010. */
export function programId(program: Program): number {
  const info = allocate(64);
  const result = new BpfAttr().u32(0, program.fd).u32(4, 64).u64(8, info).call(bpfCommand.OBJ_GET_INFO_BY_FD);
  if (result < 0) throw new KmError('KM4010', `program ${program.name}: info: ${errnoName(result)}`);
  return info.view.getUint32(4, true);
}
