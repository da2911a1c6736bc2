/** DestinationRules by the host that they are for. The first of several for one host is in force. */
import type { DestinationRuleObject, ObjectKey } from './objects.ts';

export class Rules {
  readonly #byHost = new Map<string, DestinationRuleObject[]>();
  readonly #hostOf = new Map<string, string>();

  /** Hosts (`NAMESPACE/HOST`) whose policy may have changed. */
  set(rule: DestinationRuleObject): string[] {
    const id = `${rule.namespace}/${rule.name}`;
    const host = `${rule.namespace}/${rule.host}`;
    const touched = this.#hostOf.get(id) === host ? [] : this.remove(rule);
    const rules = this.#byHost.get(host) ?? [];
    const at = rules.findIndex((other) => other.name === rule.name);
    if (at < 0) rules.push(rule);
    else rules[at] = rule;
    this.#byHost.set(host, rules);
    this.#hostOf.set(id, host);
    return [...touched, host];
  }

  remove(key: Pick<ObjectKey, 'namespace' | 'name'>): string[] {
    const id = `${key.namespace}/${key.name}`;
    const host = this.#hostOf.get(id);
    if (host === undefined) return [];
    this.#hostOf.delete(id);
    const left = (this.#byHost.get(host) ?? []).filter((rule) => rule.name !== key.name);
    if (left.length > 0) this.#byHost.set(host, left);
    else this.#byHost.delete(host);
    return [host];
  }

  /** The rule in force for a host (`NAMESPACE/HOST`). */
  of(host: string): DestinationRuleObject | null {
    return this.#byHost.get(host)?.[0] ?? null;
  }

  /** Rules of each host (`NAMESPACE/HOST`), the one in force first. */
  entries(): Iterable<[string, readonly DestinationRuleObject[]]> {
    return this.#byHost;
  }
}
