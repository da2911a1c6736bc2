/**
 * What kmesh-cni, the program that the container runtime runs, and the daemon say to each other, once a connection: the
 * program sends a line of protocol, the variables of its environment, and the configuration that it got on stdin; the daemon
 * answers `pass` or an error of the CNI specification. `cni/kmesh-cni.c` is the other end.
 */
import { KmError } from '../base/errors.ts';

const protocol = 'kmesh-cni/1';

/** More than any runtime gives; kmesh-cni itself takes no larger configuration. */
export const maxCallBytes = (4 << 20) + 16_384;

/** One run of kmesh-cni as the runtime made it. */
export interface RawCall {
  /** CNI_COMMAND and others, as they are. */
  readonly env: ReadonlyMap<string, string>;
  readonly config: string;
}

/** Takes a call apart. KM5020. */
export function decodeCall(bytes: Buffer): RawCall {
  const env = new Map<string, string>();
  let at = 0;
  const next = (): string => {
    const end = bytes.indexOf(0, at);
    if (end < 0) throw new KmError('KM5020', 'the call has no end of its variables');
    const text = bytes.toString('utf8', at, end);
    at = end + 1;
    return text;
  };
  const first = next();
  if (first !== protocol) throw new KmError('KM5020', `the call begins with ${JSON.stringify(first.slice(0, 40))}`);
  for (let text = next(); text !== ''; text = next()) {
    const equals = text.indexOf('=');
    const name = text.slice(0, equals);
    if (equals < 0 || env.has(name)) throw new KmError('KM5020', `the variable ${JSON.stringify(text.slice(0, 40))}`);
    env.set(name, text.slice(equals + 1));
  }
  return { env, config: bytes.toString('utf8', at) };
}

/** kmesh-cni prints the result of the plugin before it. */
export const passAnswer = `${protocol} pass\n`;

/** kmesh-cni prints this error and exits with 1. One line: one that was cut off has no end. */
export function errorAnswer(version: string, code: number, message: string): string {
  return `${protocol} error\n${JSON.stringify({ cniVersion: version, code, msg: `kmesh-cni: ${message}` })}\n`;
}
