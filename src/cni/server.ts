/** The daemon's end of kmesh-cni: a UNIX socket for root alone, one call a connection, each answered within its time. */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { type ErrorCode, KmError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { readCall, versionOf } from './call.ts';
import type { CniPods } from './pods.ts';
import { decodeCall, errorAnswer, maxCallBytes, passAnswer } from './protocol.ts';

/** kmesh-cni waits for 5 s, for a pod of an enrolled namespace for 20. */
const answerWithinMs = 4000;
/** A node starts a hundred pods at once at most; others wait in the socket's queue. */
const maxConnections = 256;

/** Codes of the CNI specification: 7 bad configuration, 11 try again later. */
const cniCodes: Partial<Record<ErrorCode, number>> = { KM5020: 7, KM5021: 11 };
const otherCode = 999;

export interface CniServerOptions {
  /** Directory of the socket, made when it is not there. */
  readonly runDirectory: string;
  readonly pods: Pick<CniPods, 'add' | 'check' | 'release' | 'keepOnly'>;
  readonly log: Logger;
}

export const socketPath = (runDirectory: string): string => join(runDirectory, 'cni.sock');

/** What a daemon that was killed left. */
export function removeSocket(runDirectory: string): void {
  rmSync(socketPath(runDirectory), { force: true });
}

/** Listens. KM5023. Closing it removes the socket. */
export async function startCniServer(options: CniServerOptions): Promise<Server> {
  const { runDirectory, log } = options;
  const path = socketPath(runDirectory);
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    converse(socket, options).catch((error: unknown) =>
      log.error('a call of kmesh-cni failed', { error: String(error) }),
    );
  });
  server.maxConnections = maxConnections;
  try {
    mkdirSync(runDirectory, { recursive: true, mode: 0o755 });
    // Another living daemon would hold the lock of the pins.
    removeSocket(runDirectory);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
  } catch (cause) {
    server.close();
    throw new KmError('KM5023', `${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  return server;
}

async function converse(socket: Socket, options: CniServerOptions): Promise<void> {
  socket.on('error', () => socket.destroy());
  const late = setTimeout(() => socket.destroy(), answerWithinMs + 500);
  try {
    const bytes = await readAll(socket);
    if (bytes !== null) socket.end(await answer(bytes, options));
  } finally {
    clearTimeout(late);
  }
}

/** Null: the other end went away, or sends too much. */
function readAll(socket: Socket): Promise<Buffer | null> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let size = 0;
    socket.on('data', (part: Buffer) => {
      size += part.length;
      if (size > maxCallBytes) socket.destroy();
      else parts.push(part);
    });
    socket.once('end', () => resolve(Buffer.concat(parts)));
    socket.once('close', () => resolve(null));
  });
}

async function answer(bytes: Buffer, { pods, log }: CniServerOptions): Promise<string> {
  let version = '1.0.0';
  try {
    const raw = decodeCall(bytes);
    version = versionOf(raw.config);
    const call = readCall(raw);
    switch (call.command) {
      case 'ADD':
        // A container that is no pod is none of the mesh's.
        if (call.sandbox !== null) await pods.add(call.sandbox, answerWithinMs);
        break;
      case 'CHECK':
        if (call.sandbox !== null) pods.check(call.sandbox);
        break;
      case 'DEL':
        if (call.sandbox !== null) pods.release(call.sandbox);
        break;
      case 'GC':
        pods.keepOnly(call.valid);
        break;
    }
    return passAnswer;
  } catch (error) {
    const known = error instanceof KmError;
    const message = known ? `${error.code} ${error.message}` : String(error);
    log.warn('a call of kmesh-cni got an error', { error: message });
    return errorAnswer(version, known ? (cniCodes[error.code] ?? otherCode) : otherCode, message);
  }
}
