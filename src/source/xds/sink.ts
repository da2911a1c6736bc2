/** Where the resources of one type go. */
export interface ResourceSink {
  readonly typeUrl: string;
  /**
   * Takes a resource over. `given` is the name that the control plane put beside it, null in a state-of-the-world push. When
   * something is refused, what was in force under the name before stays so.
   */
  put(body: Uint8Array, given: string | null): Verdict;
  /** The control plane does not have it any more. */
  remove(name: string): void;
  /** Names to ask for, the same set while they are the same; without it: all there are. */
  wanted?(): ReadonlySet<string>;
}

export interface Verdict {
  /** Null when not even that can be read. */
  readonly name: string | null;
  /** `FIELD: reason`; null: taken over. */
  readonly refusal: string | null;
  /** Parts of the resource are in force although others are refused. */
  readonly partly?: boolean;
}

/** A refused resource, as the NACK names it. */
export interface Refused {
  readonly name: string;
  readonly reason: string;
}

/** Longest text of a NACK: it goes into logs and metrics of the control plane. */
const maxNackText = 4096;

/** `NAME: FIELD: reason`, all of them, cut where it would be too long. */
export function nackText(refused: readonly Refused[]): string {
  let text = '';
  for (const [i, { name, reason }] of refused.entries()) {
    const line = `${i === 0 ? '' : '; '}${name}: ${reason}`;
    if (text.length + line.length > maxNackText) return `${text.slice(0, maxNackText)}; and ${refused.length - i} more`;
    text += line;
  }
  return text;
}
