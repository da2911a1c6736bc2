/** What every source of objects is to the daemon, whatever it reads. */
import type { SourceStatus } from '../api/types.ts';
import type { FieldPath } from '../model/fieldpath.ts';
import type { KubeObject, ObjectChanges, ObjectKey } from '../model/objects.ts';
import type { Origin, Problem } from '../model/types.ts';

/** One settled change, and all problems that there are now. */
export interface SourceBatch extends ObjectChanges {
  readonly problems: readonly Problem[];
}

/** Told after each settled change, the first time when everything has been read once. */
export type OnChange = (batch: SourceBatch) => void;

export interface ObjectSource {
  /** As the origins of its objects say it, such as `files`. */
  readonly name: string;
  /** Everything has been read once: what it does not have does not exist. */
  readonly synced: boolean;
  /** Begins to read and watch; may tell the first batch before it returns. */
  start(): void;
  close(): void;
  /** The version in force, as the last batch told it. */
  object(key: ObjectKey): KubeObject | null;
  problems(): readonly Problem[];
  status(): SourceStatus;
  /** 1-based line of a field of an object in force; 0 where there are no lines. */
  locate(origin: Origin, path: FieldPath): number;
}
