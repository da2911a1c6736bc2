/** One line of the result: a figure, what it may be, and the table and file that they go to. */
import type { Summary } from './statistics.ts';

export type Budget = { readonly atLeast: number } | { readonly atMost: number };

export interface Row {
  readonly name: string;
  /** A ratio where there is a direct path to compare with. */
  readonly unit: 'ratio' | 's' | 'ms' | 'MB' | '% CPU' | 'writes';
  readonly measured: Summary;
  /** The same by iptables DNAT. */
  readonly dnat?: Summary;
  /** By a pair of sidecars, one at each end. */
  readonly haproxy?: Summary;
  readonly envoy?: Summary;
  /** What the ratio's base is, for the reader: `39 200/s`. */
  readonly direct?: string;
  /** None: the figure is for information. */
  readonly budget?: Budget;
}

/** A figure that was measured once. */
export const single = (value: number): Summary => ({ median: value, low: value, high: value, samples: 1 });

export function passes(row: Row): boolean | null {
  const { budget, measured } = row;
  if (budget === undefined) return null;
  return 'atLeast' in budget ? measured.median >= budget.atLeast : measured.median <= budget.atMost;
}

const number = (value: number, unit: Row['unit']): string => {
  if (unit === 'ratio') return value.toFixed(3);
  if (unit === 'writes') return String(value);
  return `${value.toFixed(value < 10 ? 2 : 1)} ${unit}`;
};

function budgetText({ budget, unit }: Row): string {
  if (budget === undefined) return '-';
  return 'atLeast' in budget ? `>= ${number(budget.atLeast, unit)}` : `<= ${number(budget.atMost, unit)}`;
}

function cells(row: Row): string[] {
  const { measured, unit } = row;
  const spread = measured.samples > 1 ? `${number(measured.low, unit)} .. ${number(measured.high, unit)}` : '-';
  const others = [row.dnat, row.haproxy, row.envoy].map((one) => (one === undefined ? '-' : number(one.median, unit)));
  const result = { true: 'pass', false: 'MISSED', null: '' }[String(passes(row)) as 'true' | 'false' | 'null'];
  return [row.name, budgetText(row), number(measured.median, unit), spread, ...others, row.direct ?? '-', result];
}

const header = ['NAME', 'BUDGET', 'MEASURED', 'MIDDLE HALF', 'IPTABLES', 'HAPROXY', 'ENVOY', 'DIRECT', 'RESULT'];

/** The table as text: medians, and where the middle half of the rounds is. */
export function table(rows: readonly Row[]): string {
  const lines = [header, ...rows.map(cells)];
  const widths = header.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)));
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('   ')
          .trimEnd()}\n`,
    )
    .join('');
}
