/**
 * Copying between messages and scratch slots (bpf/include/km_msg_copy.h): a program replaces the heads of real messages on
 * real connections, and the peer says what came.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect as openSocket, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { attachCgroup, attachSkMsg, detachSkMsg } from './attach.ts';
import { u32, u64 } from './codec.ts';
import { openLibbpf } from './libbpf.ts';
import { loadObjects, type Program } from './object.ts';
import { rootOnly, testCgroup, testObject } from './testing.ts';

const skip = rootOnly();
/** enum km_test_mode */
const mode = { replace: 0, apart: 1, before: 2 } as const;
/** enum km_test_count */
const counter = { runs: 0, corked: 1, replaced: 2, failed: 3, joined: 4 } as const;
const maxHead = 16_384;
const maxOut = 32_640;

interface Ask {
  readonly head: number;
  readonly out: number;
  readonly body: number;
  readonly mode?: number;
}

/** A message that asks for `out` bytes in place of its first `head`, and what must arrive. */
function message({ head, out, body, mode: how = mode.replace }: Ask): { readonly sent: Buffer; readonly seen: Buffer } {
  const sent = Buffer.alloc(head + body);
  for (let i = 0; i < sent.length; i++) sent[i] = (i * 31 + (i >> 8) * 7 + head) & 255;
  for (const [i, value] of [0x4b4d5347, how, head, out, sent.length].entries()) sent.writeUInt32LE(value, i * 4);
  const old = sent.subarray(0, head);
  const made = Buffer.alloc(out, old);
  return { sent, seen: Buffer.concat([made, sent.subarray(head)]) };
}

/** A server that gathers what one client sends, and clients whose messages pass the program. */
class Messages implements AsyncDisposable {
  readonly #loaded = loadObjects(openLibbpf(), { objects: [testObject('msg')] });
  readonly #cgroup = testCgroup('msg');
  readonly #undo: (() => void)[] = [];
  readonly #server: Server = createServer({ allowHalfOpen: true });
  port = 0;

  static async start(): Promise<Messages> {
    const messages = new Messages();
    messages.#server.listen(0, '127.0.0.1');
    await once(messages.#server, 'listening');
    const address = messages.#server.address();
    assert.ok(typeof address === 'object' && address !== null);
    messages.port = address.port;
    return messages;
  }

  constructor() {
    const sockets = this.#loaded.maps.get('km_test_sockets');
    assert.ok(sockets);
    const message = this.#program('km_test_msg');
    const link = attachSkMsg(message, sockets);
    this.#undo.push(link === null ? () => detachSkMsg(message, sockets) : () => link.close());
    const sockops = attachCgroup(this.#program('km_test_sockops'), this.#cgroup.path);
    this.#undo.push(() => sockops.close());
  }

  #program(name: string): Program {
    const program = this.#loaded.programs.get(name);
    assert.ok(program, name);
    return program;
  }

  get cgroup(): string {
    return this.#cgroup.path;
  }

  count(index: number): number {
    const counts = this.#loaded.maps.get('km_test_counts')?.as({ key: u32, value: u64 });
    return Number(counts?.get(index) ?? -1n);
  }

  /** All that the next client of the server sends until it closes. */
  async received(): Promise<Buffer> {
    const [socket] = (await once(this.#server, 'connection')) as [Socket];
    const parts: Buffer[] = [];
    socket.on('data', (part: Buffer) => parts.push(part));
    await once(socket, 'end');
    socket.end();
    return Buffer.concat(parts);
  }

  /** A connection of this process whose messages pass the program. */
  async client(): Promise<Socket> {
    this.#cgroup.enter();
    const socket = openSocket({ port: this.port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return socket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const undo of this.#undo.reverse()) undo();
    this.#loaded.close();
    this.#cgroup[Symbol.dispose]();
  }
}

/** Hands bytes to the kernel and waits until it took them: each write is a message of its own. */
async function write(socket: Socket, bytes: Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => socket.write(bytes, (error) => (error ? reject(error) : resolve())));
}

/** Sends messages one after the other over one connection; all must arrive as they ought to be. */
async function exchange(messages: Messages, asks: readonly Ask[], pieces: (bytes: Buffer) => Buffer[]): Promise<void> {
  const received = messages.received();
  const client = await messages.client();
  const before = messages.count(counter.replaced);
  const expected: Buffer[] = [];
  for (const ask of asks) {
    const { sent, seen } = message(ask);
    expected.push(seen);
    for (const piece of pieces(sent)) await write(client, piece);
  }
  client.end();
  const came = await received;
  const wanted = Buffer.concat(expected);
  const place = came.findIndex((byte, i) => byte !== wanted[i]);
  assert.equal(came.length, wanted.length);
  assert.ok(came.equals(wanted), `the first wrong byte is ${place} of ${wanted.length}`);
  assert.equal(messages.count(counter.replaced) - before, asks.length);
  assert.equal(messages.count(counter.failed), 0);
}

const whole = (bytes: Buffer): Buffer[] => [bytes];

test('heads of all sizes grow, shrink and stay, and what is behind them is left alone', { skip }, async () => {
  await using messages = await Messages.start();
  const sizes = [20, 21, 63, 64, 65, 100, 300, 1000, 1023, 1024, 1025, 4096, 10_001, 16_383, maxHead];
  const asks: Ask[] = [];
  for (const head of sizes) {
    for (const out of [1, 8, head - 1, head, head + 1, head + 40, 2 * head - 1]) {
      for (const body of [0, 1, 5000]) if (out <= maxOut) asks.push({ head, out, body });
    }
  }
  asks.push({ head: maxHead, out: maxOut, body: 20_000 }, { head: 600, out: maxOut, body: 3 });
  await exchange(messages, asks, whole);
  assert.ok(messages.count(counter.joined) > 0, 'some heads lay in several elements');
});

test('a message that is written in pieces is held until it is whole', { skip }, async () => {
  await using messages = await Messages.start();
  const asks: Ask[] = [
    { head: 200, out: 260, body: 0 },
    { head: 200, out: 120, body: 50 },
    { head: 9000, out: 9100, body: 9000 },
    { head: maxHead, out: maxHead + 500, body: 10 },
    { head: maxHead, out: 1000, body: 10 },
  ];
  await exchange(messages, asks, (bytes) => {
    const parts: Buffer[] = [];
    const step = Math.max(21, Math.ceil(bytes.length / 9));
    for (let at = 0; at < bytes.length; at += step) parts.push(bytes.subarray(at, at + step));
    return parts;
  });
  assert.equal(messages.count(counter.corked), asks.length, 'the program runs for the first piece and for the whole');
});

test('a head that cannot be made one element is written in two; room before the old one does as well', {
  skip,
}, async () => {
  await using messages = await Messages.start();
  for (const how of [mode.apart, mode.before]) {
    const asks = [20, 100, 1500, maxHead].flatMap((head) =>
      [head + 1, head + 64, 2 * head - 3]
        .filter((out) => out <= maxOut)
        .map((out) => ({ head, out, body: how === mode.apart ? 700 : 0, mode: how })),
    );
    await exchange(messages, asks, whole);
  }
});

test('sendfile: the pages of the file keep their bytes', { skip }, async () => {
  await using messages = await Messages.start();
  const directory = mkdtempSync(join(tmpdir(), 'km-test-msg-'));
  try {
    for (const ask of [
      { head: 300, out: 360, body: 30_000 },
      { head: 9000, out: 8000, body: 10 },
      { head: 9000, out: 9000, body: 0 },
    ]) {
      const { sent, seen } = message(ask);
      const file = join(directory, 'message');
      writeFileSync(file, sent);
      const received = messages.received();
      const script =
        'import os,socket,sys\n' +
        's=socket.create_connection(("127.0.0.1",int(sys.argv[1])))\n' +
        'f=open(sys.argv[2],"rb");n=os.fstat(f.fileno()).st_size;at=0\n' +
        'while at<n: at+=os.sendfile(s.fileno(),f.fileno(),at,n-at)\n' +
        's.shutdown(socket.SHUT_WR);s.recv(1)\n';
      const enter = 'echo $$ > "$0/cgroup.procs" && exec python3 -c "$@"';
      const python = spawn('sh', ['-c', enter, messages.cgroup, script, String(messages.port), file], {
        stdio: 'inherit',
      });
      const [came] = await Promise.all([received, once(python, 'exit')]);
      assert.ok(came.equals(seen), `${came.length} bytes came, ${seen.length} should`);
      assert.ok(readFileSync(file).equals(sent), 'the file is as it was');
    }
    assert.equal(messages.count(counter.failed), 0);
    assert.equal(messages.count(counter.replaced), 3);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
