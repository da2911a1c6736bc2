/**
 * Which route tables are in the kernel, by a test run of a program that looks (bpf/routes.bpf.c): in a map of maps each
 * look-up by bpf(2) waits for all readers before Linux 6.8.
 */
import { toBytes } from './codec.ts';
import { type KmRouteQuestion, kmRouteQuestion } from './gen/layout.gen.ts';
import type { Program } from './object.ts';
import { testRun } from './testrun.ts';

/** Places that one run looks at. */
const atOnce = 64;

export class RoutePlaces {
  readonly #program: Program;

  constructor(program: Program) {
    this.#program = program;
  }

  /** The generation of the table with this number; null: there is none. One that is not ours has one of all ones. */
  generation(handle: number): bigint | null {
    const { generation } = this.#ask(handle, 0);
    return generation === 0n ? null : generation;
  }

  /** Of `count` numbers from `first` on those that a table has. */
  *taken(first: number, count: number): Generator<number> {
    for (let at = 0; at < count; at += atOnce) {
      const places = Math.min(atOnce, count - at);
      let { taken } = this.#ask(first + at, places);
      for (let i = 0; taken !== 0n; i++, taken >>= 1n) if ((taken & 1n) === 1n) yield first + at + i;
    }
  }

  #ask(handle: number, places: number): KmRouteQuestion {
    const question = toBytes(kmRouteQuestion, { handle, places, generation: 0n, taken: 0n });
    const { packet } = testRun(this.#program, question);
    return kmRouteQuestion.decode(new DataView(packet.buffer, packet.byteOffset, packet.byteLength), 0);
  }
}
