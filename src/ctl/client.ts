import { request as httpRequest } from 'node:http';
import type { ItemList } from '../api/types.ts';
import { type ErrorCode, errorTable, KmError } from '../base/errors.ts';
import { type AdminAddress, formatAddress } from './address.ts';

/** Asks the daemon's admin API. Not reachable: KM6001, silent: KM6002, not understood: KM6003, refused: its own code. */
export class AdminClient {
  readonly #address: AdminAddress;
  readonly #timeoutMs: number;

  constructor(address: AdminAddress, timeoutMs: number) {
    this.#address = address;
    this.#timeoutMs = timeoutMs;
  }

  /** `HOST:PORT` that is asked. */
  get address(): string {
    return formatAddress(this.#address);
  }

  /** An object of the API's types. Only that it has the required fields is checked: daemons of other versions exist. */
  async get<T extends object>(path: string, required: readonly (keyof T & string)[]): Promise<T> {
    return this.#complete('GET', path, await this.#object<T>('GET', path), required);
  }

  /** The same of a question that has a body. */
  async ask<T extends object>(path: string, body: object, required: readonly (keyof T & string)[]): Promise<T> {
    return this.#complete('POST', path, await this.#object<T>('POST', path, body), required);
  }

  async list<T extends object>(path: string): Promise<readonly T[]> {
    const { items } = await this.#object<Partial<ItemList<T>>>('GET', path);
    if (!Array.isArray(items)) throw this.#notUnderstood('GET', path, 'it has no items');
    return items;
  }

  async post(path: string, body?: object): Promise<void> {
    await this.#object('POST', path, body);
  }

  #complete<T extends object>(method: string, path: string, answer: T, required: readonly string[]): T {
    const lacking = required.filter((field) => !(field in answer));
    if (lacking.length > 0) throw this.#notUnderstood(method, path, `it has no ${lacking.join(', ')}`);
    return answer;
  }

  async #object<T extends object>(method: string, path: string, body?: object): Promise<T> {
    const { status, text } = await this.#send(method, path, body === undefined ? '' : JSON.stringify(body));
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch {
      throw this.#notUnderstood(method, path, `HTTP ${status}, not JSON`);
    }
    if (typeof answer !== 'object' || answer === null) throw this.#notUnderstood(method, path, 'it is no object');
    if (status >= 400) throw this.#refused(method, path, status, answer);
    return answer as T;
  }

  #send(method: string, path: string, body: string): Promise<{ status: number; text: string }> {
    const { host, port } = this.#address;
    return new Promise((resolve, reject) => {
      const headers = body === '' ? {} : { 'content-type': 'application/json' };
      // No agent: a kept-alive connection would keep the process from its end.
      const request = httpRequest({ host, port, path, method, headers, agent: false }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', fail);
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') });
        });
      });
      const fail = (cause: Error): void => {
        if (cause instanceof KmError) reject(cause);
        else reject(new KmError('KM6001', `no kmesh-daemon at ${this.address}: ${reason(cause)}`, { cause }));
      };
      request.setTimeout(this.#timeoutMs, () => {
        const seconds = this.#timeoutMs / 1000;
        request.destroy(new KmError('KM6002', `${method} ${path}: ${this.address} was silent for ${seconds} s`));
      });
      request.on('error', fail);
      request.end(body);
    });
  }

  #refused(method: string, path: string, status: number, answer: object): Error {
    const text = 'error' in answer && typeof answer.error === 'string' ? answer.error : '';
    const [, code = '', message = ''] = /^(KM\d{4}) (.*)$/s.exec(text) ?? [];
    if (isErrorCode(code)) return new KmError(code, message);
    // A newer daemon may have codes that this kmeshctl does not know.
    return code === '' ? this.#notUnderstood(method, path, `HTTP ${status}`) : new Error(text);
  }

  #notUnderstood(method: string, path: string, why: string): KmError {
    return new KmError('KM6003', `${method} ${path} at ${this.address}: ${why}`);
  }
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorTable, code);
}

/** A name with several addresses fails with an AggregateError whose own message is empty. */
function reason(error: Error): string {
  const all = error instanceof AggregateError ? error.errors : [error];
  const texts = all.map((one: unknown) => (one instanceof Error ? one.message : String(one)));
  return texts.filter((text) => text !== '').join(', ') || error.name;
}
