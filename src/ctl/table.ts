import { printable } from './style.ts';

const minWidth = 6;
const padding = 3;

/** Left-aligned columns with kubectl's padding; null instead of headers leaves them out. Empty cells show `<none>`. */
export function table(headers: readonly string[] | null, rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((cell) => (cell === '' ? '<none>' : printable(cell))));
  const lines = headers === null ? cells : [headers, ...cells];
  const widths: number[] = [];
  for (const line of lines) {
    line.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? minWidth, cell.length + padding);
    });
  }
  const last = widths.length - 1;
  return lines
    .map((line) => `${line.map((cell, i) => (i === last ? cell : cell.padEnd(widths[i] ?? 0))).join('')}\n`)
    .join('');
}
