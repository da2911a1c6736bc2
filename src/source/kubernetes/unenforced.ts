/**
 * Objects in the cluster that forbid something which the mesh does not enforce. Nobody should believe that it does: each is
 * an error, as it is in a file. They are only counted, now and then; nothing is kept of them.
 */
import type { Problem } from '../../model/types.ts';
import { apiGroup, unsupportedReason } from '../kinds/index.ts';
import type { Timers } from '../timers.ts';
import { identify, readList } from './answers.ts';
import { type ApiClient, ApiError } from './client.ts';
import type { Discovery } from './resources.ts';
import { sourceName } from './store.ts';

export interface UnenforcedParts {
  readonly client: ApiClient;
  readonly discovery: Discovery;
  readonly timers: Timers;
  readonly signal: AbortSignal;
  /** Null: all. */
  readonly namespaces: readonly (string | null)[];
  /** Other objects than before, or none. */
  readonly onChange: () => void;
}

const versions = ['security.istio.io/v1', 'security.istio.io/v1beta1'];
const kinds: readonly (readonly [kind: string, plural: string])[] = [
  ['AuthorizationPolicy', 'authorizationpolicies'],
  ['PeerAuthentication', 'peerauthentications'],
  ['RequestAuthentication', 'requestauthentications'],
];
const everyMs = 60_000;
/** So many are named; of the others the number is told. */
const named = 10;

export class Unenforced {
  readonly #parts: UnenforcedParts;
  #problems: readonly Problem[] = [];
  #looking = false;
  #lookedAt: number | null = null;

  constructor(parts: UnenforcedParts) {
    this.#parts = parts;
  }

  problems(): readonly Problem[] {
    return this.#problems;
  }

  /** Looks, if it is time to: call it when the server can be reached. */
  look(): void {
    const { timers, signal } = this.#parts;
    const due = this.#lookedAt === null || timers.now() - this.#lookedAt >= everyMs;
    if (this.#looking || !due || signal.aborted) return;
    this.#looking = true;
    this.#read()
      .then((problems) => {
        this.#lookedAt = timers.now();
        const text = (list: readonly Problem[]) => JSON.stringify(list);
        const same = text(problems) === text(this.#problems);
        this.#problems = problems;
        if (!same) this.#parts.onChange();
        const cancel = timers.after(everyMs, () => this.look());
        signal.addEventListener('abort', cancel, { once: true });
      })
      // What was seen stays; whoever reaches the server next asks for it again.
      .catch(() => undefined)
      .finally(() => {
        this.#looking = false;
      });
  }

  async #read(): Promise<readonly Problem[]> {
    const { discovery, namespaces } = this.#parts;
    // A server that has just begun forbids everything.
    await discovery.ready();
    const asked = kinds.flatMap(([kind, plural]) => namespaces.map((namespace) => ({ kind, plural, namespace })));
    const found: Problem[] = [];
    for (const { kind, plural, namespace } of asked) {
      try {
        found.push(...(await this.#problemsOf(kind, plural, namespace)));
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 403) throw error;
        const what = {
          severity: 'warning',
          code: 'KM1023',
          kind: 'Kind',
          namespace: namespace ?? '',
          name: kind,
        } as const;
        found.push({ ...what, ...place, field: '', reason: `${error.message}: none of them would be enforced` });
      }
    }
    return found;
  }

  async #problemsOf(kind: string, plural: string, namespace: string | null): Promise<Problem[]> {
    const { client, signal } = this.#parts;
    const within = namespace === null ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
    for (const version of versions) {
      try {
        const value = await client.get(`/apis/${version}${within}/${plural}?limit=${named}`, signal);
        const { items, remaining } = readList(value);
        return items.map((item, i): Problem => {
          const { namespace: of, name } = identify(item);
          const more = i === named - 1 && remaining > 0 ? ` (and ${remaining} more)` : '';
          const reason = `${unsupportedReason(apiGroup(version), kind)}${more}`;
          return {
            ...{ severity: 'error', code: 'KM1007', kind, namespace: of, name },
            ...place,
            field: 'kind',
            reason,
          };
        });
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 404) throw error;
      }
    }
    return [];
  }
}

const place = { file: sourceName, line: 0, lastGoodInForce: false } as const;
