/**
 * Keeps a store as an API server has one kind: list, then watch, again and again. A watch goes on from the last version
 * heard; only when the server does not know that any more (410) everything is listed again, and then what is in force stays
 * until the list is complete. Whatever fails is tried again, later and later.
 */
import { type ErrorCode, KmError } from '../../base/errors.ts';
import type { Timers } from '../timers.ts';
import { errorText, isExpired, isTooLarge, readEvent, readList } from './answers.ts';
import { type ApiClient, ApiError, ProtocolError } from './client.ts';
import type { ApiResource, Discovery, Resource } from './resources.ts';
import type { ObjectStore } from './store.ts';

export type ReflectorState = 'waiting' | 'reading' | 'watching' | 'absent' | 'forbidden' | 'retrying';

/** Takes what the server tells of one kind. */
export interface ReflectedStore {
  /** A list begins: what is not told until its end is gone then. */
  beginList(): void;
  endList(): void;
  /** The server does not have the kind any more. */
  clear(): void;
  put(value: unknown, apiVersion: string): void;
  remove(value: unknown): void;
}

export interface ReflectorParts<R extends ApiResource = Resource, S extends ReflectedStore = ObjectStore> {
  readonly client: ApiClient;
  readonly discovery: Discovery;
  readonly resource: R;
  /** Null: of all namespaces. */
  readonly namespace: string | null;
  readonly store: S;
  readonly timers: Timers;
  /** The state, or what hinders it, is another one. */
  readonly onState: (reflector: Reflector<R, S>) => void;
  /** It is known for the first time what the server has of this kind. */
  readonly onSettled: () => void;
  /** The server answered. */
  readonly onContact: () => void;
}

/** Objects a page: a page of large pods is some 5 MB, and read in one go. */
const pageSize = 500;
const firstRetryMs = 250;
const lastRetryMs = 30_000;
/** How often it is looked whether a kind is there now. */
const absentMs = 10_000;
const forbiddenMs = 10_000;
/** A watch that lasts so long is a good one. */
const goodWatchMs = 5000;
/** The server ends a watch after this long; some earlier, some later, so that not all come back at once. */
const watchSeconds = 300;

export class Reflector<R extends ApiResource = Resource, S extends ReflectedStore = ObjectStore> {
  readonly resource: R;
  readonly namespace: string | null;
  readonly store: S;
  readonly #parts: ReflectorParts<R, S>;
  readonly #closed = new AbortController();
  #state: ReflectorState = 'waiting';
  #error: string | null = null;
  #code: ErrorCode = 'KM1024';
  #settled = false;
  #apiVersion: string | null = null;
  /** Where the watch goes on; null: list first. */
  #version: string | null = null;
  #heardAt: Date | null = null;
  #failures = 0;
  /** How often the version was too old since something was heard. */
  #expired = 0;
  /** Version at which something was heard that could not be understood. */
  #puzzledAt: string | null = null;
  #wake: (() => void) | null = null;
  #unreachable = false;
  /** It said that it is ready, since it last did what it was asked, and was there all the time. */
  #saidReady = false;
  /** The pause may end as soon as the server answers anybody. */
  #waitsForContact = false;

  constructor(parts: ReflectorParts<R, S>) {
    this.#parts = parts;
    this.resource = parts.resource;
    this.namespace = parts.namespace;
    this.store = parts.store;
  }

  get state(): ReflectorState {
    return this.#state;
  }

  get error(): string | null {
    return this.#error;
  }

  /** Of {@link error}. */
  get code(): ErrorCode {
    return this.#code;
  }

  /** It is known once what the server has of this kind, be it nothing. */
  get settled(): boolean {
    return this.#settled;
  }

  /** It is tried again because there was no answer. */
  get unreachable(): boolean {
    return this.#unreachable;
  }

  get version(): string | null {
    return this.#version;
  }

  get heardAt(): Date | null {
    return this.#heardAt;
  }

  start(): void {
    void this.#run();
  }

  close(): void {
    this.#closed.abort();
    this.#wake?.();
  }

  /** The server can be reached again: do not wait any longer. */
  reachable(): void {
    if (this.#waitsForContact) this.#wake?.();
  }

  async #run(): Promise<void> {
    while (!this.#closed.signal.aborted) {
      let pauseMs: number;
      try {
        pauseMs = await this.#once();
      } catch (error) {
        if (this.#closed.signal.aborted) return;
        pauseMs = await this.#failed(error);
      }
      if (pauseMs > 0) await this.#pause(pauseMs);
    }
  }

  /** Finds, lists, watches. Returns how long to wait before it does so again. */
  async #once(): Promise<number> {
    const { discovery, resource, store } = this.#parts;
    this.#apiVersion ??= await discovery.find(resource);
    if (this.#apiVersion === null) {
      this.#version = null;
      store.clear();
      this.#become('absent', null);
      this.#settle();
      this.#allIsWell();
      return absentMs * this.#spread();
    }
    if (this.#version === null) await this.#list(this.#apiVersion);
    const { timers } = this.#parts;
    const begun = timers.now();
    const heard = await this.#watch(this.#apiVersion);
    if (heard || timers.now() - begun >= goodWatchMs) this.#allIsWell();
    else this.#failures++;
    return this.#failures === 0 ? 0 : this.#backoff();
  }

  async #list(apiVersion: string): Promise<void> {
    const { client, store } = this.#parts;
    for (let whole = false; ; ) {
      store.beginList();
      let next = '';
      try {
        do {
          const query = new URLSearchParams(this.#selector());
          if (!whole) query.set('limit', String(pageSize));
          if (next !== '') query.set('continue', next);
          const list = readList(await client.get(this.#path(apiVersion, query), this.#closed.signal));
          this.#contact();
          this.#become('reading', null);
          for (const item of list.items) store.put(item, apiVersion);
          next = list.next;
          this.#version = list.version;
        } while (next !== '');
      } catch (error) {
        this.#version = null;
        if (!(next !== '' && isExpired(error))) throw error;
        // The pages' snapshot was too old: all in one cannot be.
        whole = true;
        continue;
      }
      store.endList();
      this.#settle();
      return;
    }
  }

  /** Until the server ends it; whether something was heard. */
  async #watch(apiVersion: string): Promise<boolean> {
    const { client, timers } = this.#parts;
    const seconds = Math.round(watchSeconds * (0.5 + this.#spread() / 2));
    const query = new URLSearchParams({
      ...this.#selector(),
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: this.#version ?? '',
      timeoutSeconds: String(seconds),
    });
    // A server, or what is in between, that has forgotten the watch never ends it.
    const end = new AbortController();
    const cancel = timers.after((seconds + 30) * 1000, () => end.abort());
    const signal = AbortSignal.any([this.#closed.signal, end.signal]);
    let heard = false;
    try {
      await client.watch(
        this.#path(apiVersion, query),
        signal,
        () => {
          this.#contact();
          this.#become('watching', null);
        },
        (event) => {
          this.#take(event, apiVersion);
          heard = true;
          this.#allIsWell();
        },
      );
    } catch (error) {
      if (!end.signal.aborted) throw error;
    } finally {
      cancel();
    }
    return heard;
  }

  #take(value: unknown, apiVersion: string): void {
    const { store, timers } = this.#parts;
    const { type, object, version } = readEvent(value);
    if (type === 'DELETED') store.remove(object);
    else if (type !== 'BOOKMARK') store.put(object, apiVersion);
    this.#version = version;
    this.#heardAt = timers.date();
  }

  /** Notes what went wrong; returns how long to wait. */
  async #failed(error: unknown): Promise<number> {
    const { discovery } = this.#parts;
    const answered = error instanceof ApiError || error instanceof ProtocolError;
    if (answered) this.#parts.onContact();
    if (isExpired(error) || isTooLarge(error)) {
      this.#version = null;
      if (this.#expired++ === 0) return 0;
      this.#failures++;
      return this.#backoff();
    }
    this.#failures++;
    if (!answered) this.#saidReady = false;
    if (error instanceof ApiError && error.status === 403) {
      if (this.#saidReady) {
        this.#become('forbidden', error.message);
        this.#settle();
        return forbiddenMs * this.#spread();
      }
      // A server that has just begun does not know yet who may see what: only what it says when it is ready counts.
      this.#saidReady = await this.#isReady(discovery);
      if (this.#saidReady) return this.#backoff();
    }
    if (error instanceof ApiError && error.status === 404) this.#apiVersion = null;
    if (error instanceof ApiError && error.status === 400) this.#version = null;
    if (error instanceof ProtocolError) {
      // The same again at the same place would be for ever.
      if (this.#puzzledAt !== null && this.#puzzledAt === this.#version) this.#version = null;
      this.#puzzledAt = this.#version;
    }
    this.#waitsForContact = !answered;
    this.#code = error instanceof KmError ? error.code : answered ? 'KM1024' : 'KM1022';
    // Whatever is in between cuts watches now and then: it is worth a word when it does not go on.
    const cut = !answered && this.#state === 'watching' && this.#failures === 1;
    if (!cut) this.#become('retrying', errorText(error), !answered);
    const wanted = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
    return Math.max(this.#backoff(), Math.min(wanted, lastRetryMs * 2));
  }

  async #isReady(discovery: Discovery): Promise<boolean> {
    try {
      await discovery.ready();
      return true;
    } catch {
      return false;
    }
  }

  #allIsWell(): void {
    this.#failures = 0;
    this.#expired = 0;
  }

  #contact(): void {
    this.#heardAt = this.#parts.timers.date();
    this.#saidReady = false;
    this.#parts.onContact();
  }

  #settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#parts.onSettled();
  }

  #become(state: ReflectorState, error: string | null, unreachable = false): void {
    const same = this.#state === state && this.#error === error && this.#unreachable === unreachable;
    this.#state = state;
    this.#error = error;
    this.#unreachable = unreachable;
    if (!same) this.#parts.onState(this);
  }

  #backoff(): number {
    const exponent = Math.min(Math.max(this.#failures - 1, 0), 20);
    return Math.min(lastRetryMs, firstRetryMs * 2 ** exponent) * this.#spread();
  }

  /** From 0.75 to 1.25, so that many do not come at once. */
  #spread(): number {
    return 0.75 + this.#parts.timers.random() / 2;
  }

  async #pause(milliseconds: number): Promise<void> {
    if (this.#closed.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#parts.timers.after(milliseconds, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
    this.#wake = null;
    this.#waitsForContact = false;
  }

  #selector(): Readonly<Record<string, string>> {
    const { resource, namespace } = this.#parts;
    return resource.clusterScoped && namespace !== null ? { fieldSelector: `metadata.name=${namespace}` } : {};
  }

  #path(apiVersion: string, query: URLSearchParams): string {
    const { resource, namespace } = this.#parts;
    const root = resource.group === '' ? '/api' : '/apis';
    const within = namespace === null || resource.clusterScoped ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
    return `${root}/${apiVersion}${within}/${resource.plural}?${query.toString()}`;
  }
}
