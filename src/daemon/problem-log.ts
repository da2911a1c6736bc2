/** Writes a problem to the log when it appears, and says so when it is gone; a problem that stays is not repeated. */
import type { Logger } from '../base/log.ts';
import { type Problem, problemLine } from '../model/types.ts';

/** A control plane may change things hundreds of times a second. */
const laterMs = 200;

export class ProblemLog {
  readonly #log: Logger;
  #timer: NodeJS.Timeout | null = null;
  #known: ReadonlyMap<string, Problem> = new Map();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Reports what there is in a moment. */
  reportLater(problems: () => readonly Problem[]): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.report(problems());
    }, laterMs).unref();
  }

  report(problems: readonly Problem[]): void {
    const current = new Map<string, Problem>(problems.map((p) => [`${p.code} ${problemLine(p)}`, p]));
    for (const [line, p] of current) {
      if (this.#known.has(line)) continue;
      if (p.severity === 'warning') this.#log.warn(line);
      else this.#log.error(`${line}${p.lastGoodInForce ? ' (the last good version stays in force)' : ''}`);
    }
    for (const [line, p] of this.#known) {
      if (!current.has(line) && p.severity === 'error') this.#log.info(`resolved: ${line}`);
    }
    this.#known = current;
  }
}
