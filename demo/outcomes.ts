/** What became of the demo's traffic: the same table whatever source the mesh is read from. */
import { heading, say, table } from './show.ts';

export interface Outcome {
  readonly traffic: string;
  readonly outcome: string;
}

export class Outcomes {
  readonly rows: Outcome[] = [];

  /** What was checked, and how it was. */
  add(traffic: string, outcome: string): void {
    this.rows.push({ traffic, outcome });
  }

  /** So many parts of the requests to each of these pods. */
  addShares(traffic: string, shares: Readonly<Record<string, number>>): void {
    this.add(traffic, sharesText(shares));
  }

  show(): void {
    heading('What became of it');
    say('The table is the same whatever source the mesh is read from (make demo SOURCE=…).');
    table([['TRAFFIC', 'OUTCOME'], ...this.rows.map(({ traffic, outcome }) => [traffic, outcome])], 2);
  }
}

/** `reviews-v1 9 : reviews-v2 1` */
export function sharesText(shares: Readonly<Record<string, number>>): string {
  return Object.entries(shares)
    .map(([name, share]) => `${name} ${share}`)
    .join(' : ');
}
