/** For tests: a control plane that speaks ADS over real gRPC and does what its script says, good or bad. */

import type { Message } from '@bufbuild/protobuf';
import { create, fromBinary, type JsonObject, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt';
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceDefinition,
  type StatusObject,
} from '@grpc/grpc-js';
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from './gen/messages.gen.ts';
import { clusterType, listenerType } from './type-urls.ts';

/** Envoy's Address, as a message is begun. */
export const socket = (address: string, port: number) =>
  ({
    address: { case: 'socketAddress', value: { address, portSpecifier: { case: 'portValue', value: port } } },
  }) as const;

const same = (bytes: Buffer): Buffer => bytes;
const method = (name: string) => ({
  path: `/envoy.service.discovery.v3.AggregatedDiscoveryService/${name}`,
  requestStream: true,
  responseStream: true,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
});
const service: ServiceDefinition = {
  streamAggregatedResources: method('StreamAggregatedResources'),
  deltaAggregatedResources: method('DeltaAggregatedResources'),
};

type Call = ServerDuplexStream<Buffer, Buffer>;

/** One stream that a client has opened. */
export class FakeStream {
  readonly kind: 'delta' | 'sotw';
  readonly metadata: Metadata;
  readonly #call: Call;
  readonly #requests: Buffer[] = [];
  readonly #waiting: ((bytes: Buffer) => void)[] = [];
  /** Takes requests as they come, instead of {@link next}. */
  onRequest: ((bytes: Buffer) => void) | null = null;
  closed = false;

  constructor(kind: 'delta' | 'sotw', call: Call) {
    this.kind = kind;
    this.#call = call;
    this.metadata = call.metadata;
    call.on('data', (bytes: Buffer) => {
      if (this.onRequest !== null) this.onRequest(bytes);
      else {
        const first = this.#waiting.shift();
        if (first === undefined) this.#requests.push(bytes);
        else first(bytes);
      }
    });
    const close = (): void => {
      this.closed = true;
    };
    call.on('error', close);
    call.on('end', close);
    call.on('cancelled', close);
  }

  get unread(): number {
    return this.#requests.length;
  }

  async nextDelta(): Promise<DeltaDiscoveryRequest> {
    return fromBinary(DeltaDiscoveryRequestSchema, await this.#next());
  }

  async nextSotw(): Promise<DiscoveryRequest> {
    return fromBinary(DiscoveryRequestSchema, await this.#next());
  }

  #next(): Promise<Buffer> {
    const bytes = this.#requests.shift();
    return bytes === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(bytes);
  }

  sendRaw(bytes: Uint8Array): void {
    this.#call.write(Buffer.from(bytes));
  }

  sendDelta(response: MessageInitShape<typeof DeltaDiscoveryResponseSchema>): void {
    this.sendRaw(toBinary(DeltaDiscoveryResponseSchema, create(DeltaDiscoveryResponseSchema, response)));
  }

  sendSotw(response: MessageInitShape<typeof DiscoveryResponseSchema>): void {
    this.sendRaw(toBinary(DiscoveryResponseSchema, create(DiscoveryResponseSchema, response)));
  }

  end(): void {
    this.#call.end();
  }

  fail(code: number, details: string): void {
    this.#call.emit('error', { code, details } satisfies Partial<StatusObject>);
  }
}

export class FakeControlPlane {
  readonly address: string;
  readonly streams: FakeStream[] = [];
  readonly #server: Server;
  readonly #waiting: ((stream: FakeStream) => void)[] = [];
  #taken = 0;
  onStream: ((stream: FakeStream) => void) | null = null;

  private constructor(server: Server, address: string) {
    this.#server = server;
    this.address = address;
  }

  /** Port 0: a free one. */
  static async start(
    host = '127.0.0.1',
    port = 0,
    credentials = ServerCredentials.createInsecure(),
  ): Promise<FakeControlPlane> {
    const server = new Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 });
    let plane: FakeControlPlane | null = null;
    server.addService(service, {
      streamAggregatedResources: (call: Call) => plane?.opened(new FakeStream('sotw', call)),
      deltaAggregatedResources: (call: Call) => plane?.opened(new FakeStream('delta', call)),
    });
    const bound = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`${host}:${port}`, credentials, (error, number) =>
        error === null ? resolve(number) : reject(error),
      );
    });
    plane = new FakeControlPlane(server, `${host}:${bound}`);
    return plane;
  }

  /** The next stream that nobody has taken yet. */
  stream(): Promise<FakeStream> {
    const stream = this.streams[this.#taken];
    this.#taken += 1;
    return stream === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(stream);
  }

  opened(stream: FakeStream): void {
    this.streams.push(stream);
    if (this.onStream !== null) this.onStream(stream);
    else this.#waiting.shift()?.(stream);
  }

  /** Ends everything, open streams too. */
  close(): void {
    this.#server.forceShutdown();
  }
}

/** A message as the value of a resource. */
export function anyOf<T extends Message>(schema: GenMessage<T>, message: MessageInitShape<GenMessage<T>>): Any {
  return create(AnySchema, {
    typeUrl: `type.googleapis.com/${schema.typeName}`,
    value: toBinary(schema, create(schema, message)),
  });
}

interface Held {
  readonly version: string;
  readonly resource: Any;
}

/** What a client said to a push. */
export interface Answer {
  readonly typeUrl: string;
  readonly nonce: string;
  /** Null: it was an ACK. */
  readonly nack: string | null;
}

/**
 * A well-behaved control plane: holds resources, sends them as they change, in either dialect. Clients that come back get
 * the difference.
 */
export class HoldingControlPlane {
  readonly plane: FakeControlPlane;
  readonly answers: Answer[] = [];
  /** Told after each answer. */
  onAnswer: (() => void) | null = null;
  /** Told of each stream that a client opens. */
  onStream: (() => void) | null = null;
  readonly #held = new Map<string, Map<string, Held>>();
  readonly #clients = new Set<Client>();
  /** Names that changed since the last push, by type. */
  readonly #changed = new Map<string, Set<string>>();
  #version = 0;

  private constructor(plane: FakeControlPlane) {
    this.plane = plane;
    plane.onStream = (stream) => {
      const answered = (answer: Answer): void => {
        this.answers.push(answer);
        this.onAnswer?.();
      };
      this.#clients.add(new Client(stream, (typeUrl) => this.#of(typeUrl), answered));
      this.onStream?.();
    };
  }

  static async start(host?: string, port?: number): Promise<HoldingControlPlane> {
    return new HoldingControlPlane(await FakeControlPlane.start(host, port));
  }

  get address(): string {
    return this.plane.address;
  }

  /** Streams that were opened. */
  get streams(): number {
    return this.plane.streams.length;
  }

  set<T extends Message>(schema: GenMessage<T>, name: string, message: MessageInitShape<GenMessage<T>>): void {
    this.put(name, anyOf(schema, message));
  }

  put(name: string, resource: Any): void {
    this.#version += 1;
    this.#of(resource.typeUrl).set(name, { version: String(this.#version), resource });
    this.#touch(resource.typeUrl, name);
  }

  remove(typeUrl: string, name: string): void {
    this.#of(typeUrl).delete(name);
    this.#touch(typeUrl, name);
  }

  /** Sends what changed, type by type in this order. */
  push(...typeUrls: readonly string[]): void {
    for (const typeUrl of typeUrls) {
      const names = this.#changed.get(typeUrl) ?? new Set<string>();
      this.#changed.delete(typeUrl);
      if (names.size === 0) continue;
      for (const client of this.#clients) client.push(typeUrl, names, String(this.#version));
    }
  }

  close(): void {
    this.plane.close();
  }

  #touch(typeUrl: string, name: string): void {
    this.#changed.set(typeUrl, (this.#changed.get(typeUrl) ?? new Set()).add(name));
  }

  #of(typeUrl: string): Map<string, Held> {
    const held = this.#held.get(typeUrl) ?? new Map<string, Held>();
    this.#held.set(typeUrl, held);
    return held;
  }
}

/** Types whose push is the whole of them. */
const wholes: readonly string[] = [clusterType, listenerType];

class Client {
  readonly #stream: FakeStream;
  readonly #of: (typeUrl: string) => ReadonlyMap<string, Held>;
  readonly #answered: (answer: Answer) => void;
  /** Versions that the client has, by type. */
  readonly #has = new Map<string, Map<string, string>>();
  readonly #names = new Map<string, ReadonlySet<string>>();
  #nonce = 0;

  constructor(
    stream: FakeStream,
    of: (typeUrl: string) => ReadonlyMap<string, Held>,
    answered: (answer: Answer) => void,
  ) {
    this.#stream = stream;
    this.#of = of;
    this.#answered = answered;
    stream.onRequest = (bytes) => (stream.kind === 'delta' ? this.#delta(bytes) : this.#sotw(bytes));
  }

  push(typeUrl: string, touched: ReadonlySet<string>, version: string): void {
    const has = this.#has.get(typeUrl);
    if (has === undefined || this.#stream.closed) return;
    const all = this.#of(typeUrl);
    const names = this.#names.get(typeUrl);
    const changed: [string, Held][] = [];
    const gone: string[] = [];
    for (const name of touched) {
      const held = all.get(name);
      if (held === undefined) {
        if (has.delete(name)) gone.push(name);
      } else if ((names === undefined || names.has(name)) && has.get(name) !== held.version) {
        has.set(name, held.version);
        changed.push([name, held]);
      }
    }
    if (changed.length === 0 && gone.length === 0) return;
    const whole = wholes.includes(typeUrl) && this.#stream.kind === 'sotw';
    this.#send(typeUrl, version, whole ? [...all] : changed, gone);
  }

  #send(typeUrl: string, version: string, resources: readonly (readonly [string, Held])[], gone: readonly string[]) {
    this.#nonce += 1;
    const nonce = `n${this.#nonce}`;
    if (this.#stream.kind === 'sotw') {
      const list = resources.map(([, held]) => held.resource);
      this.#stream.sendSotw({ typeUrl, versionInfo: version, nonce, resources: list });
      return;
    }
    this.#stream.sendDelta({
      typeUrl,
      systemVersionInfo: version,
      nonce,
      resources: resources.map(([name, held]) => ({ name, version: held.version, resource: held.resource })),
      removedResources: [...gone],
    });
  }

  #delta(bytes: Buffer): void {
    const request = fromBinary(DeltaDiscoveryRequestSchema, bytes);
    const { typeUrl, responseNonce, errorDetail } = request;
    if (responseNonce !== '') {
      this.#answered({ typeUrl, nonce: responseNonce, nack: errorDetail?.message ?? null });
      return;
    }
    if (this.#has.has(typeUrl)) return;
    const has = new Map(Object.entries(request.initialResourceVersions));
    this.#has.set(typeUrl, has);
    const all = this.#of(typeUrl);
    const changed = [...all].filter(([name, held]) => has.get(name) !== held.version);
    const gone = [...has.keys()].filter((name) => !all.has(name));
    for (const name of gone) has.delete(name);
    for (const [name, held] of changed) has.set(name, held.version);
    // The first answer comes even when it is empty.
    this.#send(typeUrl, 'initial', changed, gone);
  }

  #sotw(bytes: Buffer): void {
    const request = fromBinary(DiscoveryRequestSchema, bytes);
    const { typeUrl, responseNonce, errorDetail, resourceNames } = request;
    if (responseNonce !== '') {
      this.#answered({ typeUrl, nonce: responseNonce, nack: errorDetail?.message ?? null });
    }
    const names = wholes.includes(typeUrl) ? undefined : new Set(resourceNames);
    const before = this.#names.get(typeUrl);
    if (names !== undefined) this.#names.set(typeUrl, names);
    const has = this.#has.get(typeUrl) ?? new Map<string, string>();
    const first = !this.#has.has(typeUrl);
    this.#has.set(typeUrl, has);
    const fresh = names === undefined ? first : [...names].some((name) => before?.has(name) !== true);
    if (!fresh) return;
    const wanted = [...this.#of(typeUrl)].filter(([name]) => names === undefined || names.has(name));
    for (const [name, held] of wanted) has.set(name, held.version);
    this.#send(typeUrl, responseNonce === '' ? 'initial' : `more-${this.#nonce}`, wanted, []);
  }
}

/** protobufjs wrote the fixtures: bytes in base64, names as in the protos. */
export type Fixture = JsonObject;
