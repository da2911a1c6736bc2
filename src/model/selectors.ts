/**
 * Which selector picks which workload, both ways round, within a namespace. Every selector is filed under one of its
 * `key=value` pairs, the one that fewest others use, so that neither side is ever compared with all of the other.
 */
import type { Labels } from './objects.ts';

interface Selector {
  readonly id: string;
  readonly namespace: string;
  readonly labels: Labels;
  readonly pair: Pair;
}

interface Pair {
  readonly text: string;
  readonly selectors: Map<string, Selector>;
  readonly members: Set<string>;
}

/** Whether every pair of the selector is among the labels. */
export function selects(selector: Labels, labels: Labels): boolean {
  for (const key in selector) if (labels[key] !== selector[key]) return false;
  return true;
}

export class SelectorIndex {
  readonly #selectors = new Map<string, Selector>();
  readonly #pairs = new Map<string, Pair>();
  /** Labels of each member by namespace. */
  readonly #members = new Map<string, Map<string, Labels>>();

  /** Null or empty labels select nothing. */
  setSelector(id: string, namespace: string, labels: Labels | null): void {
    this.#dropSelector(id);
    const texts = Object.entries(labels ?? {}).map(([key, value]) => pairText(namespace, key, value));
    if (labels === null || texts.length === 0) return;
    const users = (text: string) => this.#pairs.get(text)?.selectors.size ?? 0;
    const text = texts.reduce((best, other) => (users(other) < users(best) ? other : best));
    const pair = this.#pairs.get(text) ?? this.#newPair(text, namespace);
    const selector = { id, namespace, labels, pair };
    pair.selectors.set(id, selector);
    this.#selectors.set(id, selector);
  }

  removeSelector(id: string): void {
    this.#dropSelector(id);
  }

  setMember(id: string, namespace: string, labels: Labels): void {
    this.removeMember(id, namespace);
    let members = this.#members.get(namespace);
    if (members === undefined) {
      members = new Map();
      this.#members.set(namespace, members);
    }
    members.set(id, labels);
    for (const [key, value] of Object.entries(labels)) {
      this.#pairs.get(pairText(namespace, key, value))?.members.add(id);
    }
  }

  removeMember(id: string, namespace: string): void {
    const members = this.#members.get(namespace);
    const labels = members?.get(id);
    if (members === undefined || labels === undefined) return;
    for (const [key, value] of Object.entries(labels)) {
      this.#pairs.get(pairText(namespace, key, value))?.members.delete(id);
    }
    members.delete(id);
    if (members.size === 0) this.#members.delete(namespace);
  }

  /** Selectors that pick a workload with these labels. */
  selectorsOf(namespace: string, labels: Labels): string[] {
    const found: string[] = [];
    for (const [key, value] of Object.entries(labels)) {
      for (const selector of this.#pairs.get(pairText(namespace, key, value))?.selectors.values() ?? []) {
        if (selects(selector.labels, labels)) found.push(selector.id);
      }
    }
    return found;
  }

  /** Members that a selector picks, sorted. */
  membersOf(id: string): string[] {
    const selector = this.#selectors.get(id);
    if (selector === undefined) return [];
    const labels = this.#members.get(selector.namespace);
    const found = [...selector.pair.members].filter((member) => selects(selector.labels, labels?.get(member) ?? {}));
    return found.sort();
  }

  /** Members of a namespace. */
  membersIn(namespace: string): Iterable<string> {
    return this.#members.get(namespace)?.keys() ?? [];
  }

  #newPair(text: string, namespace: string): Pair {
    const pair: Pair = { text, selectors: new Map(), members: new Set() };
    for (const [id, labels] of this.#members.get(namespace) ?? []) {
      for (const [key, value] of Object.entries(labels)) {
        if (pairText(namespace, key, value) === text) pair.members.add(id);
      }
    }
    this.#pairs.set(text, pair);
    return pair;
  }

  #dropSelector(id: string): void {
    const selector = this.#selectors.get(id);
    if (selector === undefined) return;
    this.#selectors.delete(id);
    selector.pair.selectors.delete(id);
    if (selector.pair.selectors.size === 0) this.#pairs.delete(selector.pair.text);
  }
}

function pairText(namespace: string, key: string, value: string): string {
  return `${namespace} ${key}=${value}`;
}
