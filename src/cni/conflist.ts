/**
 * kmesh-cni's entry in a CNI configuration, as changes of its text: what others wrote stays as it is, byte for byte, and
 * taking the entry out gives back what was there before.
 */
import { isDeepStrictEqual } from 'node:util';
import { KmError } from '../base/errors.ts';
import { isMap } from '../source/fields.ts';
import { elementSpans, memberSpan, type Span } from './json-spans.ts';

export const pluginType = 'kmesh-cni';

/** The configuration of the plugin, paths as the node has them. */
export interface PluginEntry {
  readonly type: typeof pluginType;
  /** Where the daemon's socket is. */
  readonly runDir: string;
  /** The list of enrolled namespaces. */
  readonly enrolled: string;
}

/** What kind of configuration a text is; null: it is none that a runtime would take. */
export function kindOf(text: string): 'list' | 'single' | null {
  const value = parse(text);
  if (value === null) return null;
  const { plugins } = value;
  if (Array.isArray(plugins)) {
    return plugins.length > 0 && plugins.every((one) => isMap(one) && typeof one['type'] === 'string') ? 'list' : null;
  }
  return plugins === undefined && typeof value['type'] === 'string' ? 'single' : null;
}

/** The list with exactly one entry of ours, as given, behind the others. The same text when it is so already. */
export function withEntry(text: string, entry: PluginEntry): string {
  const { spans, own } = pluginsOf(text);
  const [only, ...more] = own;
  if (only !== undefined && more.length === 0 && only === spans.length - 1) {
    const span = spans[only];
    if (span !== undefined && isSame(text.slice(span.start, span.end), entry)) return text;
  }
  const clean = withoutEntry(text);
  const last = pluginsOf(clean).spans.at(-1);
  // kindOf has seen a plugin, but it may have been ours alone.
  if (last === undefined) throw new KmError('KM5024', 'the list has no other plugin');
  return `${clean.slice(0, last.end)}, ${JSON.stringify(entry)}${clean.slice(last.end)}`;
}

/** The list without any entry of ours. */
export function withoutEntry(text: string): string {
  const { spans, own } = pluginsOf(text);
  let result = text;
  for (const index of own.toReversed()) {
    const span = spans[index];
    const before = spans[index - 1];
    const after = spans[index + 1];
    if (span === undefined) continue;
    // With the comma, and the blanks, that came with it.
    const [from, to] =
      before !== undefined
        ? [before.end, span.end]
        : after !== undefined
          ? [span.start, after.start]
          : [span.start, span.end];
    result = result.slice(0, from) + result.slice(to);
  }
  return result;
}

/** How many entries of ours there are. */
export function countEntries(text: string): number {
  return kindOf(text) === 'list' ? pluginsOf(text).own.length : 0;
}

/** A list of the one plugin of a configuration; the plugin's text stays as it is. */
export function listOfSingle(text: string): string {
  const value = parse(text) ?? {};
  const member = (name: string): string =>
    value[name] === undefined ? '' : `"${name}": ${JSON.stringify(value[name])}, `;
  return `{${member('cniVersion')}${member('name')}"plugins": [${text.trim()}]}\n`;
}

/** Elements of `plugins`, and which of them are ours. KM5024. */
function pluginsOf(text: string): { readonly spans: readonly Span[]; readonly own: readonly number[] } {
  const array = memberSpan(text, 'plugins');
  if (array === null || text[array.start] !== '[') throw new KmError('KM5024', 'it has no list of plugins');
  const spans = elementSpans(text, array);
  const own = spans.flatMap(({ start, end }, i) => (parse(text.slice(start, end))?.['type'] === pluginType ? [i] : []));
  return { spans, own };
}

function isSame(text: string, entry: PluginEntry): boolean {
  const value = parse(text) ?? {};
  return isDeepStrictEqual(value, { ...entry });
}

function parse(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isMap(value) ? value : null;
  } catch {
    return null;
  }
}
