import koffi from 'koffi';
import { KmError } from '../base/errors.ts';
import type { RawMap } from './map.ts';
import { errnoName, mmapShared, munmap } from './syscall.ts';

/** Called for each record: `length` bytes at `offset` of `view`, valid only during the call. */
export type RecordHandler = (view: DataView, offset: number, length: number) => void;

const headerSize = 8;
const busyBit = 0x80000000;
const discardBit = 0x40000000;
const lengthMask = 0x3fffffff;

/** Records after which the producers are told of the space that was freed. */
const commitEvery = 64;

/**
 * The reader's end of a BPF_MAP_TYPE_RINGBUF, by the memory that it shares with the kernel (kernel/bpf/ringbuf.c): a page
 * with the consumer's position, a page with the producers', and the data twice in a row, so that a record that wraps
 * around is still one piece. Nothing wakes the process: call {@link drain} by a timer. Records that found the buffer full
 * are counted by the programs, not here.
 */
export class RingBuffer {
  /** Bytes of the data area, a power of two. */
  readonly size: number;
  readonly #consumerAddress: bigint;
  readonly #dataAddress: bigint;
  readonly #pageSize: number;
  readonly #consumer: BigUint64Array;
  readonly #producer: BigUint64Array;
  readonly #words: Uint32Array;
  readonly #view: DataView;
  #closed = false;

  /** KM4012 when the memory cannot be mapped. One reader per map. */
  constructor(map: RawMap, pageSize: number = systemPageSize()) {
    this.size = map.info.maxEntries;
    this.#pageSize = pageSize;
    this.#consumerAddress = mapMemory(map, pageSize, true, 0);
    this.#dataAddress = mapMemory(map, this.#dataLength, false, pageSize);
    this.#consumer = new BigUint64Array(koffi.view(this.#consumerAddress, pageSize));
    const data = koffi.view(this.#dataAddress, this.#dataLength);
    this.#producer = new BigUint64Array(data, 0, 1);
    this.#words = new Uint32Array(data);
    this.#view = new DataView(data);
  }

  get #dataLength(): number {
    return this.#pageSize + 2 * this.size;
  }

  /**
   * Hands over at most `budget` records, oldest first; returns how many. Stops at a record that a program is still
   * writing. A record whose handler throws counts as taken.
   */
  drain(handler: RecordHandler, budget: number = Number.POSITIVE_INFINITY): number {
    if (this.#closed) return 0;
    // Atomics give the order that the kernel's smp_load_acquire and smp_store_release ask of the other side.
    const end = Number(Atomics.load(this.#producer, 0));
    let position = Number(Atomics.load(this.#consumer, 0));
    let taken = 0;
    try {
      while (position < end && taken < budget) {
        const at = this.#pageSize + (position % this.size);
        const header = Atomics.load(this.#words, at / 4);
        if ((header & busyBit) !== 0) break;
        const length = header & lengthMask;
        position += (length + headerSize + 7) & ~7;
        if ((header & discardBit) !== 0) continue;
        taken++;
        handler(this.#view, at + headerSize, length);
        if (taken % commitEvery === 0) this.#commit(position);
      }
    } finally {
      this.#commit(position);
    }
    return taken;
  }

  /** Bytes that wait, records' headers and discarded ones included; `size` is full. */
  fill(): number {
    if (this.#closed) return 0;
    return Number(Atomics.load(this.#producer, 0) - Atomics.load(this.#consumer, 0));
  }

  /** Unmaps the memory. The map goes on; another reader goes on where this one stopped. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    munmap(this.#consumerAddress, this.#pageSize);
    munmap(this.#dataAddress, this.#dataLength);
  }

  #commit(position: number): void {
    Atomics.store(this.#consumer, 0, BigInt(position));
  }
}

function mapMemory(map: RawMap, length: number, writable: boolean, offset: number): bigint {
  const address = mmapShared(map.fd, length, writable, offset);
  if (typeof address === 'bigint') return address;
  throw new KmError('KM4012', `ring buffer ${map.name}: mmap: ${errnoName(address)}`);
}

function systemPageSize(): number {
  const sysconf: (name: number) => number = koffi.load('libc.so.6').func('long sysconf(int name)');
  const pageSizeName = 30;
  return sysconf(pageSizeName);
}
