/** The kinds that are read from an API server, and whether and in which version it has them. */
import type { ObjectKind } from '../../model/objects.ts';
import { isMap } from '../fields.ts';
import { apiGroup, kindReaders } from '../kinds/index.ts';
import type { Timers } from '../timers.ts';
import { type ApiClient, ApiError, ProtocolError } from './client.ts';

/** A kind of an API server. */
export interface ApiResource {
  readonly kind: string;
  readonly plural: string;
  /** Empty for core. */
  readonly group: string;
  /** apiVersions that the kind's reader knows, the best first. */
  readonly apiVersions: readonly string[];
  readonly clusterScoped: boolean;
}

const plurals: Readonly<Record<ObjectKind, string>> = {
  Namespace: 'namespaces',
  Node: 'nodes',
  Pod: 'pods',
  Service: 'services',
  EndpointSlice: 'endpointslices',
  ServiceEntry: 'serviceentries',
  WorkloadEntry: 'workloadentries',
  DestinationRule: 'destinationrules',
  VirtualService: 'virtualservices',
  HTTPRoute: 'httproutes',
  ReferenceGrant: 'referencegrants',
};

export interface Resource extends ApiResource {
  readonly kind: ObjectKind;
}

/** Every kind that has a reader. */
export const resources: readonly Resource[] = [...kindReaders.values()].map((reader) => ({
  kind: reader.kind,
  plural: plurals[reader.kind],
  group: apiGroup(reader.apiVersions[0] ?? ''),
  apiVersions: reader.apiVersions,
  clusterScoped: reader.clusterScoped === true,
}));

/** What was found out is believed for so long: kinds of one group ask for the same. */
const believedMs = 1000;

export class Discovery {
  readonly #client: ApiClient;
  readonly #timers: Timers;
  readonly #signal: AbortSignal;
  readonly #asked = new Map<string, { readonly answer: Promise<unknown>; readonly at: number }>();

  constructor(client: ApiClient, timers: Timers, signal: AbortSignal) {
    this.#client = client;
    this.#timers = timers;
    this.#signal = signal;
  }

  /** The best apiVersion of the kind that the server has; null when it has none. */
  async find({ group, apiVersions, plural }: ApiResource): Promise<string | null> {
    if (group === '') return apiVersions[0] ?? null;
    // A server that has just begun does not know its CRDs yet.
    await this.ready();
    try {
      const answer = await this.#ask(`/apis/${group}`);
      if (answer === null) return null;
      const served = namesIn(answer, 'versions', 'groupVersion');
      for (const version of apiVersions) {
        if (!served.includes(version)) continue;
        const list = await this.#ask(`/apis/${version}`);
        if (list !== null && namesIn(list, 'resources', 'name').includes(plural)) return version;
      }
      return null;
    } catch (error) {
      // Who may not ask takes the usual version; if it is not there, the list says so.
      if (error instanceof ApiError && error.status === 403) return apiVersions[0] ?? null;
      throw error;
    }
  }

  /** Throws when the server says that it is not ready to tell what it has and who may see it. */
  async ready(): Promise<void> {
    await this.#remembered('/readyz', async (path) => {
      try {
        await this.#client.read(path, this.#signal);
      } catch (error) {
        // What is no API server of Kubernetes' own has no such path, or does not show it.
        if (!(error instanceof ApiError) || ![401, 403, 404].includes(error.status)) throw error;
      }
    });
  }

  /** Null: the server has no such thing. */
  #ask(path: string): Promise<unknown> {
    return this.#remembered(path, async () => {
      try {
        return await this.#client.get(path, this.#signal);
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return null;
        throw error;
      }
    });
  }

  #remembered(path: string, ask: (path: string) => Promise<unknown>): Promise<unknown> {
    const known = this.#asked.get(path);
    if (known !== undefined && this.#timers.now() - known.at < believedMs) return known.answer;
    const answer = ask(path);
    this.#asked.set(path, { answer, at: this.#timers.now() });
    answer.catch(() => this.#asked.delete(path));
    return answer;
  }
}

function namesIn(answer: unknown, list: string, field: string): string[] {
  const items = isMap(answer) ? answer[list] : null;
  if (!Array.isArray(items)) throw new ProtocolError(`discovery gave no ${list}`);
  return (items as unknown[]).flatMap((item) => (isMap(item) && typeof item[field] === 'string' ? [item[field]] : []));
}
