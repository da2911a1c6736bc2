/** Test runs of the kernel's HTTP parsers (bpf/test/http.bpf.c). Not for the product. */
import { readLayout, type Struct } from './gen/btf.ts';
import type { Head, Range, Verdict } from './http-reference.ts';
import type { Asked, Followed } from './http-response-reference.ts';
import { openLibbpf } from './libbpf.ts';
import { loadObjects, type Program } from './object.ts';
import { testObject } from './testing.ts';
import { testRun } from './testrun.ts';

const ethernet = 14;
/** A packet of a test run is one page with the kernel's own parts around it. */
const longestPacket = 3000;
/** enum km_http_verdict */
const verdicts = ['complete', 'incomplete', 'bad', 'too-long', 'version', 'preface', 'tls', 'other'] as const;
/** enum km_http_body */
const bodies = ['none', 'length', 'chunked'] as const;
/** enum km_http_flags, by bit */
const flagNames = ['close', 'expect', 'upgrade', 'connect', 'head', 'version-10'] as const;
/** enum km_response_phase */
const phases = ['head', 'length', 'chunked', 'until-close', 'opaque', 'done', 'unknown'] as const;
/** enum km_response_flags */
const responseFlags = { noBody: 1, tunnel: 2, close: 4 } as const;
/** KM_CHUNKS_BAD */
const badStep = 12;

/** The parsers in the kernel, for test runs. */
export class HttpPrograms implements Disposable {
  readonly #loaded;
  readonly #structs: ReadonlyMap<string, Struct>;

  constructor() {
    const object = testObject('http');
    this.#loaded = loadObjects(openLibbpf(), { objects: [object] });
    this.#structs = readLayout(object).structs;
  }

  [Symbol.dispose](): void {
    this.#loaded.close();
  }

  program(name: string): Program {
    const program = this.#loaded.programs.get(name);
    if (program === undefined) throw new Error(`no program ${name}`);
    return program;
  }

  /** What the kernel says of a request's head. */
  head(text: Uint8Array, first: boolean): { readonly verdict: Verdict; readonly head?: Head } {
    if (text.length > longestPacket) return this.#headInSlot(text, first);
    const packet = new Uint8Array(ethernet + text.length);
    packet[0] = first ? 1 : 0;
    packet.set(text, ethernet);
    const { returnValue, packet: after } = testRun(this.program('km_test_http_head'), packet);
    const view = new DataView(after.buffer, after.byteOffset + ethernet);
    return this.#result(returnValue, view, 0, this.#struct('km_http_head').size);
  }

  /** The same for one that is longer than a packet: user space writes and reads the scratch slot. */
  #headInSlot(text: Uint8Array, first: boolean): { readonly verdict: Verdict; readonly head?: Head } {
    this.#fillSlot(text);
    const { returnValue } = testRun(this.program('km_test_http_slot'), this.#slotPacket(text.length, first));
    // The run was on one of the CPUs, whose slot alone has a head.
    for (const value of this.#slots().getPerCpu(new Uint8Array(4)) ?? []) {
      const view = new DataView(value.buffer, value.byteOffset);
      const result = this.#result(returnValue, view, this.#at('km_route_scratch', 'head'), 0);
      if (result.head === undefined || result.head.bytes > 0) return result;
    }
    throw new Error('no CPU has the head');
  }

  /** Nanoseconds of reading one head, without the run's own cost: the least of several means. */
  measureHead(text: Uint8Array, repeat = 20_000): number {
    this.#fillSlot(text);
    const packet = this.#slotPacket(text.length, true);
    const time = (name: string) =>
      Math.min(...Array.from({ length: 7 }, () => testRun(this.program(name), packet, repeat).durationNs));
    return time('km_test_http_slot') - time('km_test_http_nothing');
  }

  /** What the kernel says of a response that comes in these packets; those behind its end are not sent. */
  response(packets: readonly Uint8Array[], asked: Asked): Followed {
    const flags = (asked.noBody ? responseFlags.noBody : 0) | (asked.tunnel ? responseFlags.tunnel : 0);
    const { view, end } = this.#stream('km_test_http_response', packets, flags);
    const field = (name: string) => this.#at('km_test_stream', 'response') + this.#at('km_response', name);
    const phase = phases[view.getUint8(field('phase'))];
    if (phase === undefined) throw new Error('a phase of no kind');
    return {
      phase,
      status: view.getUint16(field('status'), true),
      close: (view.getUint16(field('flags'), true) & responseFlags.close) !== 0,
      end,
    };
  }

  /** The same for a chunked body. */
  chunks(packets: readonly Uint8Array[]): { readonly bad: boolean; readonly end: number | null } {
    const { view, end } = this.#stream('km_test_http_chunks', packets, 0);
    const step = this.#at('km_test_stream', 'response') + this.#at('km_chunks', 'step');
    return { bad: view.getUint8(step) === badStep, end };
  }

  /** What km_test_http_traffic has seen. */
  traffic() {
    const value = this.#loaded.maps.get('km_test_traffic')?.get(new Uint8Array(4));
    if (value === undefined) throw new Error('no map km_test_traffic');
    const view = new DataView(value.buffer, value.byteOffset);
    const at = (field: string) => this.#at('km_test_traffic', field);
    const responses = view.getUint32(at('responses'), true);
    return {
      bytes: Number(view.getBigUint64(at('bytes'), true)),
      ends: Array.from({ length: responses }, (_, i) => Number(view.getBigUint64(at('ends') + 8 * (i & 3), true))),
      largest: view.getUint32(at('largest'), true),
    };
  }

  /** Nanoseconds of following one packet from a response's beginning. */
  measureResponse(text: Uint8Array, repeat = 20_000): number {
    const packet = new Uint8Array(ethernet + this.#struct('km_test_stream').size + text.length);
    packet.set(text, packet.length - text.length);
    const time = (name: string) =>
      Math.min(...Array.from({ length: 7 }, () => testRun(this.program(name), packet, repeat).durationNs));
    return time('km_test_http_response_fresh') - time('km_test_http_nothing');
  }

  /** Runs the program over the packets in turn, each with the state that the one before left. */
  #stream(name: string, packets: readonly Uint8Array[], flags: number) {
    const { size } = this.#struct('km_test_stream');
    const program = this.program(name);
    let state = new Uint8Array(size);
    const flagsAt = this.#at('km_test_stream', 'response') + this.#at('km_response', 'flags');
    new DataView(state.buffer).setUint16(flagsAt, flags, true);
    let before = 0;
    for (const payload of packets) {
      const packet = new Uint8Array(ethernet + size + payload.length);
      packet.set(state, ethernet);
      packet.set(payload, ethernet + size);
      state = testRun(program, packet).packet.slice(ethernet, ethernet + size);
      const view = new DataView(state.buffer);
      if (view.getUint32(this.#at('km_test_stream', 'ended'), true) !== 0)
        return { view, end: before + view.getUint32(this.#at('km_test_stream', 'end'), true) };
      before += payload.length;
    }
    return { view: new DataView(state.buffer), end: null };
  }

  #slots() {
    const map = this.#loaded.maps.get('km_route_scratch');
    if (map === undefined) throw new Error('no map km_route_scratch');
    return map;
  }

  #fillSlot(text: Uint8Array): void {
    const slots = this.#slots();
    const value = new Uint8Array(slots.info.valueSize);
    value.set(text, this.#at('km_route_scratch', 'bytes'));
    slots.setEachCpu(new Uint8Array(4), value);
  }

  #slotPacket(length: number, first: boolean): Uint8Array {
    const packet = new Uint8Array(64);
    const view = new DataView(packet.buffer);
    view.setUint32(0, length, true);
    view.setUint32(4, first ? 1 : 0, true);
    return packet;
  }

  #struct(name: string): Struct {
    const struct = this.#structs.get(name);
    if (struct === undefined) throw new Error(`no struct ${name}`);
    return struct;
  }

  #at(struct: string, field: string): number {
    const found = this.#struct(struct).fields.find(({ name }) => name === field);
    if (found === undefined) throw new Error(`struct ${struct} has no ${field}`);
    return found.offset;
  }

  #result(code: number, view: DataView, headAt: number, requestAt: number) {
    const verdict = verdicts[code];
    if (verdict === undefined) throw new Error(`the program returned ${code}`);
    if (verdict !== 'complete') return { verdict };
    const head = (field: string) => headAt + this.#at('km_http_head', field);
    const request = (field: string) => requestAt + this.#at('km_route_request', field);
    const range = (at: number): Range => [view.getUint16(at, true), view.getUint16(at + 2, true)];
    const flags = view.getUint16(head('flags'), true);
    const count = view.getUint32(request('header_count'), true);
    const body = bodies[view.getUint8(head('body'))];
    if (body === undefined) throw new Error('a body of no kind');
    const headers = Array.from({ length: count }, (_, i) => {
      const at = request('headers') + 8 * i;
      return [range(at), range(at + 4)] as const;
    });
    return {
      verdict,
      head: {
        bytes: view.getUint32(head('bytes'), true),
        flags: flagNames.filter((_, bit) => (flags >> bit) & 1).sort(),
        body,
        contentLength: view.getBigUint64(head('content_length'), true),
        method: range(request('method')),
        host: range(request('host')),
        path: range(request('path')),
        query: range(request('query')),
        headers,
      },
    };
  }
}
