/**
 * Where the demo's daemon reads the shop from (`make demo SOURCE=NAME`). The shop itself is always the same files; a source
 * that is not the directory is given what they say by its control plane.
 */
import type { Lab } from '../../test/lab/lab.ts';
import { say } from '../show.ts';
import { IstiodSource } from './istiod.ts';
import { KubernetesSource } from './kubernetes.ts';
import { LocalConfigSource } from './local.ts';

export const sourceNames = ['files', 'kubernetes', 'ads', 'workload', 'local'] as const;
export type SourceName = (typeof sourceNames)[number];

export interface ShopSource {
  readonly name: SourceName;
  /** What stands behind it, for people. */
  readonly what: string;
  /** It can say where a single HTTP request goes. */
  readonly routes: boolean;
  /** The daemon's flags for it. */
  readonly flags: readonly string[];
  /** Brings up what the daemon will ask, with the shop as it is now. */
  start(): Promise<void>;
  /** Hands over what the files of the shop say now. */
  apply(): Promise<void>;
}

/** Throws when the source cannot be had on this machine. `directory` has the shop's files. */
export function sourceOf(name: SourceName, lab: Lab, directory: string): ShopSource {
  switch (name) {
    case 'files':
      return new FilesSource(directory);
    case 'kubernetes':
      return new KubernetesSource(lab, directory);
    case 'ads':
    case 'workload':
      return new IstiodSource(name, lab, directory);
    case 'local':
      return new LocalConfigSource(lab, directory);
  }
}

/** The daemon watches the shop's own files. */
class FilesSource implements ShopSource {
  readonly name = 'files';
  readonly what = 'a directory of YAML';
  readonly routes = true;
  readonly flags: readonly string[];

  constructor(directory: string) {
    this.flags = ['--config', directory];
  }

  async start(): Promise<void> {}

  async apply(): Promise<void> {}
}

/** Says how a change of the files gets to the daemon, where it does not watch them itself. */
export function sayHow({ name, what }: ShopSource): void {
  if (name !== 'files') say(`(and the demo gives it to ${what})`);
}
