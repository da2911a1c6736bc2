import type { Output } from './context.ts';

const codes = { red: 31, green: 32, yellow: 33 } as const;
export type Colour = keyof typeof codes;

/** Colour only for a person at a terminal who has not set NO_COLOR (https://no-color.org). */
export function wantsColour(output: Output, env: Readonly<Record<string, string | undefined>>): boolean {
  return output.isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
}

export function paint(colour: Colour, text: string, enabled: boolean): string {
  return enabled ? `\x1b[${codes[colour]}m${text}\x1b[0m` : text;
}

/** Names come from files and from the network: an escape sequence in one must not reach the terminal. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (c) => {
    return `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
