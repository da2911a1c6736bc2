/** Runs bpf/test/edit.bpf.c on heads and blobs that a test makes. For tests, not for the product. */
import assert from 'node:assert/strict';
import type { Edit, Head } from './edit-reference.ts';
import { hostAndPort } from './edit-reference.ts';
import { type Layout, readLayout } from './gen/btf.ts';
import { openLibbpf } from './libbpf.ts';
import { rawMap } from './map.ts';
import { loadObjects, type Program } from './object.ts';
import { BpfAttr, bpfCommand, close } from './syscall.ts';
import { testObject } from './testing.ts';
import { testRun } from './testrun.ts';

const unitBytes = 8;
/** Where a program's arguments stand in its packet, and where it leaves the CPU's number. */
const [argumentsPlace, cpuPlace] = [16, 32];
const generation = 0x0123_4567_89ab_cdefn;
/** enum km_edit_kind, from 1 */
const kinds = ['remove', 'set', 'add', 'host', 'path', 'prefix', 'segments', 'scheme', 'port', 'query'] as const;

/** A blob of 16 KiB with the records of one action; texts grow from its end, so that the last one ends with it. */
export class EditBlob {
  readonly bytes = Buffer.alloc(2 ** 14);
  readonly #texts = new Map<string, number>();
  #free = 8;
  #end = this.bytes.length / unitBytes;

  constructor() {
    this.bytes.writeBigUInt64LE(generation, unitBytes);
  }

  /** Equal texts are stored once, as the compiler does. */
  #text(text: string): number {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    const bytes = Buffer.from(text, 'latin1');
    this.#end -= Math.ceil(bytes.length / unitBytes);
    assert.ok(this.#end > this.#free, 'the test blob is large enough');
    bytes.copy(this.bytes, this.#end * unitBytes);
    this.#texts.set(text, this.#end);
    return this.#end;
  }

  #records(units: number): number {
    const unit = this.#free;
    this.#free += units;
    return unit;
  }

  /** Writes struct km_edits and returns its unit. */
  edits(edits: readonly Edit[]): number {
    const start = this.#records(1 + 2 * edits.length);
    this.bytes.writeUInt32LE(edits.length, start * unitBytes);
    edits.forEach((edit, index) => {
      const at = (start + 1 + 2 * index) * unitBytes;
      const name = 'name' in edit ? edit.name : '';
      const text = 'line' in edit ? edit.line : 'text' in edit ? edit.text : '';
      this.bytes.writeUInt8(kinds.indexOf(edit.kind) + 1, at);
      this.bytes.writeUInt16LE(name.length, at + 2);
      this.bytes.writeUInt16LE(text.length, at + 4);
      this.bytes.writeUInt16LE('bytes' in edit ? edit.bytes : 0, at + 6);
      this.bytes.writeUInt32LE(this.#text(name + text), at + 8);
    });
    return start;
  }

  /** Writes the struct km_action of a redirect and returns its unit. */
  redirect(status: number, edits: readonly Edit[]): number {
    const list = this.edits(edits);
    const action = this.#action(1, status);
    this.bytes.writeUInt32LE(list, action * unitBytes + 20);
    return action;
  }

  /** The same of a reply. */
  reply(status: number, fields: string, body: string): number {
    const action = this.#action(2, status);
    this.bytes.writeUInt32LE(this.#text(fields + body), action * unitBytes + 24);
    this.bytes.writeUInt32LE(fields.length, action * unitBytes + 28);
    this.bytes.writeUInt32LE(body.length, action * unitBytes + 32);
    return action;
  }

  #action(kind: number, status: number): number {
    const action = this.#records(5);
    this.bytes.writeUInt8(kind, action * unitBytes);
    this.bytes.writeUInt16LE(status, action * unitBytes + 2);
    return action;
  }
}

export interface Made {
  /** 0, or an enum km_out_error. */
  readonly result: number;
  readonly text: string;
}

interface Arguments {
  readonly unit?: number;
  readonly status?: number;
  readonly close?: number;
}

/** The programs in the kernel, with one blob in place 0 of km_route_14. */
export class EditKernel implements Disposable {
  readonly #loaded = loadObjects(openLibbpf(), { objects: [testObject('edit')] });
  readonly #layout: Layout = readLayout(testObject('edit'));
  readonly #blobFd: number;
  readonly #scratch: Buffer;

  constructor() {
    const attr = new BpfAttr()
      .u32(0, 2)
      .u32(4, 4)
      .u32(8, 2 ** 14)
      .u32(12, 1);
    this.#blobFd = attr.call(bpfCommand.MAP_CREATE);
    assert.ok(this.#blobFd >= 0);
    this.#map('km_route_14').set(new Uint8Array(4), new Uint8Array(Uint32Array.of(this.#blobFd).buffer));
    this.#scratch = Buffer.alloc(this.#map('km_route_scratch').info.valueSize);
    this.#scratch.writeBigUInt64LE(generation, this.#offset('km_route_scratch', 'generation'));
  }

  [Symbol.dispose](): void {
    close(this.#blobFd);
    this.#loaded.close();
  }

  #map(name: string) {
    const map = this.#loaded.maps.get(name);
    assert.ok(map, name);
    return map;
  }

  program(name: string): Program {
    const program = this.#loaded.programs.get(name);
    assert.ok(program, name);
    return program;
  }

  #offset(struct: string, field: string): number {
    const found = this.#layout.structs.get(struct)?.fields.find(({ name }) => name === field);
    assert.ok(found, `${struct}.${field}`);
    return found.offset;
  }

  setBlob(blob: EditBlob): void {
    rawMap(this.#blobFd, 'blob').set(new Uint8Array(4), blob.bytes);
  }

  /** Puts a head into the scratch slot of each CPU, as the parser would leave it. */
  setHead(head: Head): void {
    const scratch = this.#scratch;
    const bytesAt = this.#offset('km_route_scratch', 'bytes');
    const request = this.#offset('km_route_scratch', 'request');
    let end = 0;
    const put = (text: string): readonly [number, number] => {
      const start = end;
      end += scratch.write(text, bytesAt + start, 'latin1');
      return [start, text.length];
    };
    const range = (at: number, [offset, length]: readonly [number, number]): void => {
      scratch.writeUInt16LE(offset, at);
      scratch.writeUInt16LE(length, at + 2);
    };
    const field = (name: string): number => request + this.#offset('km_route_request', name);
    const { method, target, version, lines } = head;
    range(field('method'), put(method));
    put(` ${target.scheme}`);
    const authority = put(target.authority);
    range(field('path'), put(target.path));
    const [query, queryLength] = put(target.query);
    range(field('query'), queryLength > 0 ? [query + 1, queryLength - 1] : [0, 0]);
    put(` ${version}\r\n`);
    let host: readonly [number, number] = target.authority === '' ? [0, 0] : authority;
    lines.forEach(([name, colon, value, rest], index) => {
      const at = field('headers') + index * 8;
      range(at, put(name));
      put(colon);
      const place = put(value);
      range(at + 4, place);
      put(rest);
      if (name.toLowerCase() === 'host' && target.authority === '') host = place;
    });
    put('\r\n');
    range(field('host'), [host[0], hostAndPort(head)[0].length]);
    scratch.writeUInt32LE(lines.length, field('header_count'));
    const headAt = this.#offset('km_route_scratch', 'head');
    scratch.writeUInt32LE(end, headAt);
    scratch.writeUInt16LE(method === 'HEAD' ? 16 : 0, headAt + 4);
    // What an earlier request left behind the head must not show.
    scratch.fill(0xee, bytesAt + end, bytesAt + end + 64);
    this.#map('km_route_scratch').setEachCpu(new Uint8Array(4), scratch);
  }

  #packet({ unit = 0, status = 0, close: last = 0 }: Arguments): Uint8Array {
    const packet = Buffer.alloc(64);
    [14 * 2 ** 24, unit, status, last].forEach((value, i) => {
      packet.writeUInt32LE(value, argumentsPlace + 4 * i);
    });
    return packet;
  }

  run(name: string, args: Arguments): Made {
    const { returnValue, packet } = testRun(this.program(name), this.#packet(args));
    const cpu = new DataView(packet.buffer, packet.byteOffset).getUint32(cpuPlace, true);
    const out = this.#map('km_out').getPerCpu(new Uint8Array(4))?.[cpu];
    assert.ok(out);
    const length = new DataView(out.buffer, out.byteOffset).getUint32(0, true);
    const start = this.#offset('km_out', 'text');
    return { result: returnValue | 0, text: Buffer.from(out.subarray(start, start + length)).toString('latin1') };
  }

  /** Nanoseconds of one run, without the run's own cost. */
  measure(name: string, args: Arguments, repeat = 20_000): number {
    const time = (program: string) =>
      Math.min(
        ...Array.from({ length: 5 }, () => testRun(this.program(program), this.#packet(args), repeat).durationNs),
      );
    return time(name) - time('km_test_nothing');
  }
}
