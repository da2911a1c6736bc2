/**
 * State-of-the-world ADS in the order that breaks nothing: clusters, their endpoints, listeners, their routes. A push with
 * bad resources is answered with a NACK that names them; the good ones are taken over all the same, since each resource
 * stands for itself, and a bad one keeps its last good version.
 */
import { create, toBinary } from '@bufbuild/protobuf';
import type { Dialect, DialectContext, RequestStream } from './dialect.ts';
import { DiscoveryRequestSchema, type Node, StatusSchema } from './gen/messages.gen.ts';
import { type Response, readResponse } from './responses.ts';
import { nackText, type Refused, type ResourceSink } from './sink.ts';
import { TypeState } from './type-state.ts';
import { shortType } from './type-urls.ts';

/** google.rpc.Code.INVALID_ARGUMENT */
const invalidArgument = 3;

/** So many refusals are kept for an answer that waits. */
const mostRefused = 100;

export interface SotwOptions extends DialectContext {
  readonly node: Node;
  /** In the order in which they are asked for: each after the one before has been answered, or wants nothing. */
  readonly sinks: readonly ResourceSink[];
}

interface Subscription {
  readonly sink: ResourceSink;
  readonly state: TypeState;
  /** Names last asked for; null: not asked yet. */
  asked: Names | null;
  /** An answer or a request that waits until the stream is idle: what it refuses; null: none waits. */
  waiting: readonly Refused[] | null;
}

export class SotwDialect implements Dialect {
  readonly method = '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources';
  readonly types: readonly TypeState[];
  readonly #options: SotwOptions;
  readonly #subscriptions: readonly Subscription[];
  #stream: RequestStream | null = null;
  #nodeSent = false;

  constructor(options: SotwOptions) {
    this.#options = options;
    this.#subscriptions = options.sinks.map((sink) => ({
      sink,
      state: new TypeState(sink.typeUrl),
      asked: null,
      waiting: null,
    }));
    this.types = this.#subscriptions.map(({ state }) => state);
  }

  open(stream: RequestStream): void {
    this.#stream = stream;
    this.#nodeSent = false;
    for (const one of this.#subscriptions) {
      one.state.reopen();
      one.asked = null;
      one.waiting = null;
    }
    this.resubscribe();
  }

  closed(): void {
    this.#stream = null;
  }

  /** An answer to a response is one to all before it, so those that could not go out yet are one. */
  drained(): void {
    for (const one of this.#subscriptions) {
      if (one.waiting === null || this.#stream?.idle !== true) continue;
      const refused = one.waiting;
      one.waiting = null;
      this.#send(one, refused);
    }
  }

  resubscribe(): void {
    if (this.#stream === null) return;
    for (const one of this.#subscriptions) {
      const names = namesOf(one);
      const nothing = names.list.length === 0 && !names.all;
      if (one.asked === null ? !nothing : one.asked !== names) this.#request(one, names);
      if (!one.state.answered && !nothing) return;
    }
  }

  receive(message: Uint8Array): string | null {
    let response: Response;
    try {
      response = readResponse(message, 'sotw');
    } catch (error) {
      return `a response cannot be read: ${error instanceof Error ? error.message : String(error)}`;
    }
    const { typeUrl, nonce } = response;
    const one = this.#subscriptions.find(({ sink }) => sink.typeUrl === typeUrl);
    if (one === undefined || one.asked === null) {
      // An answer would subscribe to the type.
      this.#options.log.error('a response of a type that nobody asked for is left aside', { type: typeUrl, nonce });
      return null;
    }
    const { sink, state } = one;
    if (nonce === '' || nonce === state.nonce) {
      this.#options.log.warn('a response has no nonce of its own', { type: shortType(typeUrl), nonce });
    }
    state.nonce = nonce;
    state.lastPushMs = this.#options.clock.now();
    state.beginResponse();
    const refused = takeOver(response, sink, state);
    if (refused.length === 0) {
      state.version = response.version;
      state.acks += 1;
    } else {
      state.nacks += 1;
      state.lastNack = nackText(refused);
      this.#options.log.error('refused by NACK', { type: shortType(typeUrl), nonce, reason: state.lastNack });
    }
    this.#request(one, namesOf(one), refused);
    this.resubscribe();
    this.#options.onResponse();
    return null;
  }

  #request(one: Subscription, names: Names, refused: readonly Refused[] = []): void {
    one.asked = names;
    if (this.#stream?.idle !== false) {
      this.#send(one, refused);
      return;
    }
    // Ten thousand names go with each answer: a control plane that reads slowly must not fill the memory with them.
    one.waiting = [...(one.waiting ?? []), ...refused].slice(-mostRefused);
  }

  #send(one: Subscription, refused: readonly Refused[]): void {
    const first = !this.#nodeSent;
    this.#nodeSent = true;
    const request = create(DiscoveryRequestSchema, {
      typeUrl: one.sink.typeUrl,
      versionInfo: one.state.version,
      responseNonce: one.state.nonce,
      resourceNames: one.asked?.list ?? [],
      ...(first ? { node: this.#options.node } : {}),
      ...(refused.length === 0
        ? {}
        : { errorDetail: create(StatusSchema, { code: invalidArgument, message: nackText(refused) }) }),
    });
    this.#stream?.send(toBinary(DiscoveryRequestSchema, request));
  }
}

interface Names {
  readonly all: boolean;
  /** Sorted. Ten thousand of them go with every ACK of endpoints, so they are sorted once. */
  readonly list: string[];
  readonly from: ReadonlySet<string> | null;
}

const everything: Names = { all: true, list: [], from: null };

/** The names of the last request when they are the same. */
function namesOf({ sink, asked }: Subscription): Names {
  const from = sink.wanted?.() ?? null;
  if (from === null) return everything;
  if (asked?.from === from) return asked;
  const same = asked !== null && asked.list.length === from.size && asked.list.every((name) => from.has(name));
  return same ? asked : { all: false, list: [...from].sort(), from };
}

function takeOver(response: Response, sink: ResourceSink, state: TypeState): Refused[] {
  const refused: Refused[] = [];
  const listed = new Set<string>();
  let nameless = false;
  const refuse = (name: string | null, i: number, reason: string): void => {
    const one = { name: name ?? `resources[${i}]`, reason };
    nameless ||= name === null;
    refused.push(one);
    if (name !== null) state.refuse(one);
  };
  let i = -1;
  for (const { resource, unreadable } of response.resources()) {
    i += 1;
    if (resource === null) {
      refuse(null, i, `cannot be read: ${unreadable}`);
      continue;
    }
    if (resource.typeUrl !== sink.typeUrl) {
      refuse(null, i, `type_url: ${resource.typeUrl}`);
      continue;
    }
    const { name, refusal, partly } = sink.put(resource.value, null);
    if (name !== null && listed.has(name)) refuse(name, i, 'resources: named twice in one response');
    else if (refusal !== null) refuse(name, i, refusal);
    if (name === null) continue;
    listed.add(name);
    if (refusal === null || partly === true) state.versions.set(name, response.version);
    if (refusal === null) state.refused.delete(name);
  }
  // A push of a wildcard type is the whole: what it does not list is gone. Not so when a resource has no readable name.
  if (sink.wanted === undefined && !nameless) {
    for (const name of [...state.versions.keys(), ...state.refused.keys()]) {
      if (listed.has(name)) continue;
      sink.remove(name);
      state.remove(name);
    }
  }
  return refused;
}
