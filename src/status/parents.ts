/**
 * `status.parents` of a route: a list that several controllers share, each with the entries of its own name. What others
 * have written is kept as it is, and what says the same already is not written again.
 */
import { isMap } from '../source/fields.ts';

/** By this name the entries of the mesh are known. */
export const controllerName = 'kmesh.net/mesh-controller';

export interface Condition {
  readonly type: 'Accepted' | 'ResolvedRefs';
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** What is to be said of one parent. */
export interface ParentStatus {
  /** As the route writes it. */
  readonly parentRef: Readonly<Record<string, unknown>>;
  readonly conditions: readonly Condition[];
}

/** The API takes so many entries. */
const maxParents = 32;
/** And so long a message. */
const maxMessage = 32_768;

/** The list as it is to be; null when it says all that already. */
export function mergeParents(
  existing: unknown,
  wanted: readonly ParentStatus[],
  generation: number,
  now: Date,
): readonly unknown[] | null {
  const before = Array.isArray(existing) ? (existing as readonly unknown[]) : [];
  const left = new Map(wanted.map((one) => [refText(one.parentRef), one]));
  const merged: unknown[] = [];
  let changed = false;
  for (const entry of before) {
    if (!isMap(entry) || entry['controllerName'] !== controllerName) {
      merged.push(entry);
      continue;
    }
    const key = refText(entry['parentRef']);
    const one = left.get(key);
    left.delete(key);
    const made = one === undefined ? null : entryOf(one, entry, generation, now);
    if (made !== entry) changed = true;
    if (made !== null) merged.push(made);
  }
  for (const one of left.values()) {
    if (merged.length === maxParents) break;
    merged.push(entryOf(one, {}, generation, now));
    changed = true;
  }
  return changed ? merged : null;
}

/** The old entry itself when it says the same. */
function entryOf(
  { parentRef, conditions }: ParentStatus,
  old: Readonly<Record<string, unknown>>,
  generation: number,
  now: Date,
): Readonly<Record<string, unknown>> {
  const before = (Array.isArray(old['conditions']) ? (old['conditions'] as readonly unknown[]) : []).filter(isMap);
  const made = conditions.map(({ type, status, reason, message }) => {
    const known = before.find((one) => one['type'] === type);
    const since = known?.['status'] === status ? known['lastTransitionTime'] : undefined;
    const lastTransitionTime = typeof since === 'string' ? since : timeText(now);
    const text = message.slice(0, maxMessage);
    return { type, status, reason, message: text, observedGeneration: generation, lastTransitionTime };
  });
  const same =
    before.length === made.length &&
    made.every((one) => before.some((other) => Object.entries(one).every(([name, value]) => other[name] === value)));
  return same ? old : { parentRef, controllerName, conditions: made };
}

/** Kubernetes' times have no fractions of a second. */
function timeText(time: Date): string {
  return time.toISOString().replace(/\.[0-9]+Z$/, 'Z');
}

/** What a reference means, so that two can be compared. */
function refText(ref: unknown): string {
  const fields = isMap(ref) ? ref : {};
  return JSON.stringify(
    ['group', 'kind', 'namespace', 'name', 'sectionName', 'port'].map((name) => fields[name] ?? null),
  );
}
