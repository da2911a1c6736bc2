/** What Node's own strict HTTP parser makes of bytes, over a real connection. Not for the product. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  /** Names and values in turn. */
  readonly rawHeaders: readonly string[];
  /** Bytes of the body; null when they were not waited for. */
  readonly body: number | null;
}

/** A body that is declared longer is not waited for. */
export const longestBody = 1000;

/** A server that answers each request, and remembers by client port what it saw. */
export class StrictServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #seen = new Map<number, SeenRequest[]>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<StrictServer> {
    const server = createServer({ insecureHTTPParser: false, maxHeaderSize: 1 << 17 });
    const strict = new StrictServer(server);
    server.maxHeadersCount = 0;
    const serve = (request: IncomingMessage, response: ServerResponse): void => strict.#serve(request, response);
    server.on('request', serve).on('checkContinue', serve).on('checkExpectation', serve);
    server.on('connect', (request: IncomingMessage, socket) => {
      strict.#note(request, 0);
      socket.destroy();
    });
    server.on('clientError', (_, socket) => socket.destroy());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return strict;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  /** Sends the bytes on a connection of their own, and returns the requests that the server saw until it closed it. */
  async requests(bytes: Uint8Array): Promise<readonly SeenRequest[]> {
    const { port } = this.#server.address() as AddressInfo;
    const socket = connect(port, '127.0.0.1');
    // A reset is one way to refuse.
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    const own = socket.localPort ?? 0;
    socket.resume().end(bytes);
    await once(socket, 'close');
    const seen = this.#seen.get(own) ?? [];
    this.#seen.delete(own);
    return seen;
  }

  #note(request: IncomingMessage, body: number | null): void {
    const port = request.socket.remotePort ?? 0;
    const { method = '', url = '', rawHeaders } = request;
    this.#seen.set(port, [...(this.#seen.get(port) ?? []), { method, url, rawHeaders, body }]);
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    if (Number(request.headers['content-length'] ?? 0) > longestBody) {
      this.#note(request, null);
      request.socket.destroy();
      return;
    }
    let length = 0;
    request.on('data', (data: Uint8Array) => {
      length += data.length;
    });
    request.on('end', () => {
      this.#note(request, length);
      response.end();
    });
  }
}
