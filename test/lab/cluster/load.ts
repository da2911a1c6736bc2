/** What the load pods of a cluster counted, and that they count at all. */
import assert from 'node:assert/strict';
import type { Cluster } from './cluster.ts';
import { waitFor } from './wait.ts';

export interface Counts {
  readonly ok: number;
  readonly failed: number;
  readonly failures: Readonly<Record<string, number>>;
  /** Answers by version, and by node. */
  readonly versions: Readonly<Record<string, number>>;
  readonly nodes: Readonly<Record<string, number>>;
  readonly maxMs: number;
  /** The longest that a pod had been told to end when it was still asked. */
  readonly endingMs: number;
}

/** Counts of one pod, by kind of target. */
export type PodCounts = Readonly<Record<string, Counts>>;

export class Load {
  readonly #cluster: Cluster;
  readonly #urls: ReadonlyMap<string, string>;

  private constructor(cluster: Cluster, urls: ReadonlyMap<string, string>) {
    this.#cluster = cluster;
    this.#urls = urls;
  }

  /** Load pods that run already. */
  static async of(cluster: Cluster, namespace: string, pods: readonly string[]): Promise<Load> {
    const urls = new Map<string, string>();
    for (const pod of pods) {
      const ip = await cluster.kubectl(['-n', namespace, 'get', 'pod', pod, '-o', 'jsonpath={.status.podIP}']);
      urls.set(pod, `http://${ip}:9900/stats`);
    }
    return new Load(cluster, urls);
  }

  /** What was counted since the last call. */
  async take(): Promise<ReadonlyMap<string, PodCounts>> {
    return new Map(
      await Promise.all([...this.#urls].map(async ([pod]) => [pod, await this.#ask(pod, 'POST')] as const)),
    );
  }

  /** Waits until every target of every pod was answered so often since the last {@link take}. */
  async flows(answers = 20): Promise<void> {
    await waitFor(
      'answers to every load',
      async () => {
        const all = await Promise.all([...this.#urls.keys()].map((pod) => this.#ask(pod, 'GET')));
        return all.flatMap((counts) => Object.values(counts)).every(({ ok }) => ok >= answers);
      },
      60_000,
    );
  }

  /** Nothing has failed since the last {@link take}, and enough was asked for that to mean something. Returns how many. */
  async allGood(what: string): Promise<number> {
    await this.flows();
    let total = 0;
    for (const [pod, counts] of await this.take()) {
      for (const [kind, { ok, failed, failures, endingMs }] of Object.entries(counts)) {
        assert.equal(failed, 0, `${what}: ${pod} ${kind}: ${failed} of ${ok + failed}: ${JSON.stringify(failures)}`);
        // Two seconds are much for a busy machine, and little for what goes past the mesh: that stays with its pod to the end.
        assert.ok(endingMs < 2000, `${what}: ${pod} ${kind}: a pod was asked ${endingMs} ms after it was told to end`);
        total += ok;
      }
    }
    return total;
  }

  async #ask(pod: string, method: string): Promise<PodCounts> {
    const command = ['curl', '-sS', '-m', '5', '-X', method, this.#urls.get(pod) ?? ''];
    return JSON.parse((await this.#cluster.nodes[0].exec(command)).stdout) as PodCounts;
  }
}
