/** What the demo prints: headings, commands as one would type them, indented output, tables. */
import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

const width = Math.min(process.stdout.columns ?? 100, 100);
const indent = '  ';

const paint = (style: Style, text: string): string => (process.stdout.isTTY ? styleText(style, text) : text);

export function print(text = ''): void {
  process.stdout.write(`${text}\n`);
}

export function heading(text: string): void {
  print(`\n${paint('bold', `── ${text} `)}${paint('dim', '─'.repeat(Math.max(0, width - text.length - 4)))}`);
}

export function command(text: string): void {
  print(`${indent}${paint('cyan', `$ ${text}`)}`);
}

/** A command that may be longer than a line. */
export function commandLine(words: readonly string[]): void {
  for (const [i, line] of wrap(words.join(' '), ' ').entries())
    print(paint('cyan', `${indent}${i === 0 ? '$ ' : '    '}${line}`));
}

export function say(text: string): void {
  for (const line of wrap(text, ' ')) print(`${indent}${line}`);
}

/** Output of a program as it is, indented. */
export function output(text: string): void {
  for (const line of text.trimEnd().split('\n')) print(`${indent}${line}`.trimEnd());
}

/** A long line, broken after `at`; what follows is indented further. */
export function long(text: string, at: ' ' | ','): void {
  for (const [i, line] of wrap(text, at).entries()) print(`${indent}${i === 0 ? '' : indent}${line}`);
}

/** Columns as wide as their widest cell; those after the first `left` ones are numbers and go to the right. */
export function table(rows: readonly (readonly string[])[], left = 1): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const [i, row] of rows.entries()) {
    const cells = row.map((cell, c) => (c < left ? cell.padEnd(widths[c] ?? 0) : cell.padStart(widths[c] ?? 0)));
    const line = cells.join('   ').trimEnd();
    print(`${indent}${i === 0 ? paint('dim', line) : line}`);
  }
}

export const percent = (part: number, whole: number): string => `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`;

function wrap(text: string, at: ' ' | ','): string[] {
  const lines: string[] = [];
  for (const part of text.split(at)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + part.length + indent.length * 2 < width)
      lines.push(`${lines.pop()}${at}${part}`);
    else {
      if (last !== undefined && at === ',') lines.push(`${lines.pop()},`);
      lines.push(part);
    }
  }
  return lines;
}
