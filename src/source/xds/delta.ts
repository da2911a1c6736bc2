/**
 * Delta ADS: resources come and go one by one. Of a push with bad resources the good ones are taken over, and the NACK
 * names the others. After a reconnect the server is told what is held, with versions, and sends the difference.
 */
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { Dialect, DialectContext, RequestStream } from './dialect.ts';
import { DeltaDiscoveryRequestSchema, type Node, StatusSchema } from './gen/messages.gen.ts';
import { type Response, readResponse } from './responses.ts';
import { nackText, type Refused, type ResourceSink } from './sink.ts';
import { TypeState } from './type-state.ts';
import { addressType, shortType } from './type-urls.ts';

/** google.rpc.Code.INVALID_ARGUMENT */
const invalidArgument = 3;
/** So many single names are asked for; what comes after stays as without the mesh. */
const mostNames = 20_000;

export interface DeltaOptions extends DialectContext {
  readonly node: Node;
  readonly sinks: readonly ResourceSink[];
  /** Ask for no addresses but those of {@link DeltaDialect.demand} (ztunnel's XDS_ON_DEMAND). */
  readonly onDemand?: boolean;
}

export class DeltaDialect implements Dialect {
  readonly method = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
  readonly types: readonly TypeState[];
  readonly #options: DeltaOptions;
  readonly #sinks: ReadonlyMap<string, { readonly sink: ResourceSink; readonly state: TypeState }>;
  /** Names that are subscribed to on demand, by type. */
  readonly #names = new Map<string, Set<string>>();
  #stream: RequestStream | null = null;
  #nodeSent = false;

  constructor(options: DeltaOptions) {
    this.#options = options;
    this.types = options.sinks.map(({ typeUrl }) => new TypeState(typeUrl));
    this.#sinks = new Map(
      options.sinks.map((sink, i) => [sink.typeUrl, { sink, state: this.types[i] ?? new TypeState(sink.typeUrl) }]),
    );
  }

  open(stream: RequestStream): void {
    this.#stream = stream;
    this.#nodeSent = false;
    for (const { state } of this.#sinks.values()) {
      state.reopen();
      const held = Object.fromEntries(state.versions);
      const names = [...(this.#names.get(state.typeUrl) ?? [])];
      const only = this.#isOnDemand(state.typeUrl);
      this.#request(state.typeUrl, {
        initialResourceVersions: held,
        // On demand: the wildcard is taken back in the same breath, so that nothing is sent unasked.
        ...(only ? { resourceNamesSubscribe: ['*', ...names], resourceNamesUnsubscribe: ['*'] } : {}),
      });
    }
  }

  closed(): void {
    this.#stream = null;
  }

  demand(typeUrl: string, names: readonly string[]): void {
    if (!this.#isOnDemand(typeUrl)) return;
    const known = this.#names.get(typeUrl) ?? new Set();
    this.#names.set(typeUrl, known);
    const fresh = names.filter((name) => !known.has(name)).slice(0, mostNames - known.size);
    for (const name of fresh) known.add(name);
    if (fresh.length > 0) this.#request(typeUrl, { resourceNamesSubscribe: fresh });
  }

  /** Policies are few, and one that is not asked for would not be kept. */
  #isOnDemand(typeUrl: string): boolean {
    return this.#options.onDemand === true && typeUrl === addressType;
  }

  resubscribe(): void {}

  /** Each answer goes out at once: they are small, and each is to a nonce of its own. */
  drained(): void {}

  receive(message: Uint8Array): string | null {
    let response: Response;
    try {
      response = readResponse(message, 'delta');
    } catch (error) {
      return `a response cannot be read: ${error instanceof Error ? error.message : String(error)}`;
    }
    const { typeUrl, nonce } = response;
    const found = this.#sinks.get(typeUrl);
    if (found === undefined) {
      // An answer would subscribe to the type.
      this.#options.log.error('a response of a type that nobody asked for is left aside', { type: typeUrl, nonce });
      return null;
    }
    const { sink, state } = found;
    if (nonce === '' || nonce === state.nonce) {
      this.#options.log.warn('a response has no nonce of its own', { type: shortType(typeUrl), nonce });
    }
    state.nonce = nonce;
    state.version = response.version === '' ? state.version : response.version;
    state.lastPushMs = this.#options.clock.now();
    state.beginResponse();
    const refused = takeOver(response, sink, state);
    if (refused.length === 0) state.acks += 1;
    else {
      state.nacks += 1;
      state.lastNack = nackText(refused);
      this.#options.log.error('refused by NACK', { type: shortType(typeUrl), nonce, reason: state.lastNack });
    }
    this.#request(typeUrl, {
      responseNonce: nonce,
      ...(refused.length === 0
        ? {}
        : { errorDetail: create(StatusSchema, { code: invalidArgument, message: nackText(refused) }) }),
    });
    this.#options.onResponse();
    return null;
  }

  #request(typeUrl: string, fields: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): void {
    const first = !this.#nodeSent;
    this.#nodeSent = true;
    const request = create(DeltaDiscoveryRequestSchema, {
      ...fields,
      typeUrl,
      ...(first ? { node: this.#options.node } : {}),
    });
    this.#stream?.send(toBinary(DeltaDiscoveryRequestSchema, request));
  }
}

function takeOver(response: Response, sink: ResourceSink, state: TypeState): Refused[] {
  const refused: Refused[] = [];
  const refuse = (one: Refused): void => {
    refused.push(one);
    state.refuse(one);
  };
  const seen = new Set<string>();
  const gone = new Set(response.removed);
  for (const { name, version, resource, unreadable } of response.resources()) {
    if (seen.has(name)) refuse({ name, reason: 'resources: named twice in one response; the first is taken' });
    else if (gone.has(name)) {
      refuse({ name, reason: 'removed_resources: both sent and removed; it is kept' });
      gone.delete(name);
    } else if (unreadable !== null) refuse({ name, reason: `resource: cannot be read: ${unreadable}` });
    else if (resource === null) refuse({ name, reason: 'resource: missing' });
    else if (resource.typeUrl !== sink.typeUrl) refuse({ name, reason: `resource.type_url: ${resource.typeUrl}` });
    else {
      const { refusal, partly } = sink.put(resource.value, name);
      if (refusal !== null) refuse({ name, reason: refusal });
      // What is only partly in force is held, but in no version: it is to be sent again.
      if (refusal === null || partly === true) state.versions.set(name, refusal === null ? version : '');
      if (refusal === null) state.refused.delete(name);
    }
    seen.add(name);
  }
  for (const name of gone) {
    sink.remove(name);
    state.remove(name);
  }
  return refused;
}
