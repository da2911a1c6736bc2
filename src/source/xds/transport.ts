/** A gRPC stream to a control plane; bytes in, bytes out. */
import { readFileSync } from 'node:fs';
import { Client, type ClientDuplexStream, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';

export interface StreamEvents {
  /** One message. */
  message(bytes: Uint8Array): void;
  /** All that was sent is on the wire. */
  drained(): void;
  /** The stream is over. `graceful`: the server ended it without an error, or went away as announced. */
  end(reason: string, graceful: boolean): void;
}

export interface OpenStream {
  send(message: Uint8Array): void;
  readonly idle: boolean;
  close(): void;
}

export interface Transport {
  /** HOST:PORT, for people. */
  readonly location: string;
  open(method: string, events: StreamEvents): OpenStream;
}

export interface GrpcOptions {
  readonly address: string;
  /** PEM of the root certificate, its path, or `SYSTEM`; null: plaintext. */
  readonly rootCa: string | null;
  /** Name to expect in the server's certificate, where it is not the address's. */
  readonly serverName: string | null;
  /** File that holds the bearer token, read for each stream since it is rotated; null: none. */
  readonly tokenFile: string | null;
  readonly clusterId: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** Largest response: a state-of-the-world push of a large mesh is tens of megabytes. */
export const maxMessageBytes = 200 * 1024 * 1024;

const same = (bytes: Buffer): Buffer => bytes;

export class GrpcTransport implements Transport {
  readonly location: string;
  readonly #options: GrpcOptions;

  constructor(options: GrpcOptions) {
    this.#options = options;
    this.location = options.address;
  }

  open(method: string, events: StreamEvents): OpenStream {
    const { address, serverName } = this.#options;
    // A client for each stream: a channel would keep its own back-off and its own idea of the address.
    const client = new Client(address, this.#credentials(), {
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': -1,
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 10_000,
      'grpc.keepalive_permit_without_calls': 0,
      'grpc.enable_retries': 0,
      'grpc.use_local_subchannel_pool': 1,
      ...(serverName === null
        ? {}
        : { 'grpc.ssl_target_name_override': serverName, 'grpc.default_authority': serverName }),
    });
    let ended = false;
    const end = (reason: string, graceful: boolean): void => {
      if (ended) return;
      ended = true;
      client.close();
      events.end(reason, graceful);
    };
    const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(method, same, same, this.#metadata());
    call.on('data', (bytes: Buffer) => {
      if (!ended) events.message(bytes);
    });
    call.on('error', (error: ServiceError) => end(errorText(error), isGraceful(error)));
    call.on('end', () => end('the control plane ended the stream', true));
    let writing = 0;
    const written = (): void => {
      writing -= 1;
      if (writing === 0 && !ended) events.drained();
    };
    return {
      send: (message) => {
        if (ended) return;
        writing += 1;
        call.write(Buffer.from(message.buffer, message.byteOffset, message.byteLength), written);
      },
      get idle() {
        return writing === 0;
      },
      close: () => {
        ended = true;
        call.cancel();
        client.close();
      },
    };
  }

  #credentials() {
    const { rootCa } = this.#options;
    if (rootCa === null) return credentials.createInsecure();
    if (rootCa === 'SYSTEM') return credentials.createSsl();
    return credentials.createSsl(rootCa.includes('-----BEGIN') ? Buffer.from(rootCa) : readFileSync(rootCa));
  }

  #metadata(): Metadata {
    const { tokenFile, clusterId, headers } = this.#options;
    const metadata = new Metadata();
    if (clusterId !== '') metadata.set('clusterid', clusterId);
    if (tokenFile !== null) metadata.set('authorization', `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`);
    for (const [name, value] of headers) metadata.set(name, value);
    return metadata;
  }
}

function errorText(error: ServiceError): string {
  return `${status[error.code] ?? error.code}: ${error.details}`;
}

/** Ends that say nothing against trying again at once. */
function isGraceful(error: ServiceError): boolean {
  return error.code === status.OK || (error.code === status.UNAVAILABLE && /GOAWAY|max.*age/i.test(error.details));
}
