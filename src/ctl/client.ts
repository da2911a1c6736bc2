import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
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

  /** JSON values, one a line, for as long as the daemon sends some. Only the first must not keep waiting. */
  async *lines<T extends object>(path: string): AsyncGenerator<T> {
    const { request, response } = await this.#open('GET', path, '');
    request.setTimeout(0);
    try {
      const { statusCode: status = 0 } = response;
      if (status !== 200) this.#parse('GET', path, status, await this.#text(response));
      let rest = '';
      for await (const piece of this.#pieces(response)) {
        const lines = (rest + piece).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) yield this.#parse<T>('GET', path, status, line);
      }
    } finally {
      request.destroy();
    }
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
    const { response } = await this.#open(method, path, body === undefined ? '' : JSON.stringify(body));
    return this.#parse<T>(method, path, response.statusCode ?? 0, await this.#text(response));
  }

  async #text(response: IncomingMessage): Promise<string> {
    let text = '';
    for await (const piece of this.#pieces(response)) text += piece;
    return text;
  }

  async *#pieces(response: IncomingMessage): AsyncGenerator<string> {
    try {
      for await (const piece of response.setEncoding('utf8')) yield String(piece);
    } catch (cause) {
      throw cause instanceof Error ? this.#failed(cause) : cause;
    }
  }

  #failed(cause: Error): KmError {
    if (cause instanceof KmError) return cause;
    return new KmError('KM6001', `no kmesh-daemon at ${this.address}: ${reason(cause)}`, { cause });
  }

  #parse<T extends object>(method: string, path: string, status: number, text: string): T {
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

  /** Resolves when the answer begins. */
  #open(method: string, path: string, body: string): Promise<{ request: ClientRequest; response: IncomingMessage }> {
    const { host, port } = this.#address;
    return new Promise((resolve, reject) => {
      const headers = body === '' ? {} : { 'content-type': 'application/json' };
      // No agent: a kept-alive connection would keep the process from its end.
      const request = httpRequest({ host, port, path, method, headers, agent: false }, (response) => {
        resolve({ request, response });
      });
      request.setTimeout(this.#timeoutMs, () => {
        const seconds = this.#timeoutMs / 1000;
        request.destroy(new KmError('KM6002', `${method} ${path}: ${this.address} was silent for ${seconds} s`));
      });
      request.on('error', (cause: Error) => reject(this.#failed(cause)));
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
