import { Argument, type Command, Option } from 'commander';
import { errorTable, KmError } from '../base/errors.ts';
import { type Context, clientOf } from './context.ts';
import type { Kind, Row } from './kind.ts';
import { findKind, kinds } from './kinds.ts';
import { printData } from './output.ts';
import { parseSelector } from './selector.ts';
import { paint, printable, wantsColour } from './style.ts';
import { table } from './table.ts';

interface GetOptions {
  readonly output: string;
  readonly namespace?: string;
  readonly allNamespaces?: true;
  readonly selector?: string;
  readonly headers: boolean;
}

/** One kind and the names asked of it; null: all. */
interface Wanted {
  readonly kind: Kind;
  readonly names: readonly string[] | null;
}

interface Found {
  readonly kind: Kind;
  readonly rows: readonly Row[];
}

/** Adds `kmeshctl get`. */
export function addGet(program: Command, context: Context): void {
  program
    .command('get')
    .summary('show what the mesh serves, enrols and carries')
    .description(
      'Show services, workloads, endpoints, listeners, routes, clusters, connections, kernel maps or sources.\n\n' +
        `${kinds.map((kind) => `  ${kind.plural.padEnd(12)} ${[kind.singular, ...kind.aliases].join(', ')}`).join('\n')}`,
    )
    .addArgument(new Argument('[types...]', 'TYPE[,TYPE...] [NAME...], or TYPE/NAME...'))
    .addOption(
      new Option('-o, --output <format>', 'output format')
        .choices(['table', 'wide', 'json', 'yaml', 'name'])
        .default('table'),
    )
    .option('-n, --namespace <name>', 'namespace to look in (env KMESH_NAMESPACE, else "default")')
    .option('-A, --all-namespaces', 'look in every namespace')
    .option('-l, --selector <labels>', 'only workloads with these labels: a=b, a!=b, a in (b,c), a notin (b), a, !a')
    .option('--no-headers', 'leave out the line of headers')
    .addHelpText(
      'after',
      `
Examples:
  # Services of all namespaces
  kmeshctl get services -A

  # How the connections to one service spread over its endpoints
  kmeshctl get endpoints reviews -n shop

  # Enrolled workloads of one application, with labels and origin
  kmeshctl get workloads -n shop -l 'app=reviews,version in (v1,v2)' -o wide

  # What each control plane was asked for, and what it said
  kmeshctl get sources

  # One object of each kind, as JSON: {"items": [...]}
  kmeshctl get svc/reviews wl/frontend -n shop -o json`,
    )
    .action(async (words: string[], options: GetOptions, command: Command) => {
      context.finish(await get(context, command, words, options));
    });
}

async function get(context: Context, command: Command, words: string[], options: GetOptions): Promise<number> {
  const wanted = parseWanted(words);
  const selects = checkOptions(wanted, options);
  const namespace = options.namespace ?? (context.env['KMESH_NAMESPACE'] || 'default');
  const client = clientOf(context, command);
  const found: Found[] = [];
  const missing: string[] = [];
  let elsewhere = 0;
  for (const { kind, names } of wanted) {
    const all = await kind.read(client);
    const here = all.filter((row) => options.allNamespaces || !kind.namespaced || row.namespace === namespace);
    const rows = here.filter(
      (row) => selects(row.labels) && (names === null || names.some((name) => isNamed(row, name))),
    );
    found.push({ kind, rows });
    elsewhere += all.length - here.length;
    for (const name of names ?? []) {
      if (!rows.some((row) => isNamed(row, name))) missing.push(`${kind.plural} ${JSON.stringify(name)} not found`);
    }
  }
  await print(context, found, options);
  const colour = wantsColour(context.stderr, context.env);
  for (const line of missing) {
    context.stderr.write(`${paint('red', 'error:', colour)} KM6004 ${line} (${errorTable.KM6004.fix})\n`);
  }
  if (missing.length === 0 && found.every(({ rows }) => rows.length === 0)) {
    noneFound(context, wanted, namespace, elsewhere, options);
  }
  return missing.length === 0 ? 0 : 1;
}

function isNamed(row: Row, name: string): boolean {
  return row.name === name || row.alsoKnownAs.includes(name);
}

/** `TYPE[,TYPE] [NAME...]` or `TYPE/NAME...`, as kubectl reads it. */
function parseWanted(words: readonly string[]): readonly Wanted[] {
  const [first, ...names] = words;
  const all = kinds.map((kind) => kind.plural).join(', ');
  if (first === undefined) throw new KmError('KM6005', `say which type to get: ${all}`);
  const kindOf = (word: string): Kind => {
    const kind = findKind(word);
    if (kind === undefined) throw new KmError('KM6005', `unknown type ${JSON.stringify(word)}; there are ${all}`);
    return kind;
  };
  if (!first.includes('/')) {
    const types = [...new Set(first.split(',').map(kindOf))];
    return types.map((kind) => ({ kind, names: names.length === 0 ? null : names }));
  }
  const byKind = new Map<Kind, string[]>();
  for (const word of words) {
    const slash = word.indexOf('/');
    if (slash <= 0 || slash === word.length - 1) {
      throw new KmError('KM6005', `${JSON.stringify(word)} is not TYPE/NAME, as the other arguments are`);
    }
    const kind = kindOf(word.slice(0, slash));
    byKind.set(kind, [...(byKind.get(kind) ?? []), word.slice(slash + 1)]);
  }
  return [...byKind].map(([kind, wantedNames]) => ({ kind, names: wantedNames }));
}

function checkOptions(wanted: readonly Wanted[], options: GetOptions): ReturnType<typeof parseSelector> {
  const named = wanted.some(({ names }) => names !== null);
  if (named && options.allNamespaces) {
    throw new KmError('KM6005', 'a name belongs to one namespace: give -n NAMESPACE, or -A without names');
  }
  if (options.selector === undefined) return () => true;
  if (named) throw new KmError('KM6005', 'give names or -l, not both');
  const unlabelled = wanted.find(({ kind }) => !kind.labelled);
  if (unlabelled !== undefined) {
    throw new KmError('KM6005', `-l does not apply to ${unlabelled.kind.plural}: only workloads carry labels here`);
  }
  return parseSelector(options.selector);
}

async function print(context: Context, found: readonly Found[], options: GetOptions): Promise<void> {
  const { output } = options;
  if (output === 'json' || output === 'yaml') {
    await printData(context, output, { items: found.flatMap(({ rows }) => rows.map((row) => row.item)) });
    return;
  }
  const tables = found.filter(({ rows }) => rows.length > 0);
  if (output === 'name') {
    // Several endpoints share the name of their service.
    const names = tables.flatMap(({ kind, rows }) => rows.map((row) => `${kind.singular}/${printable(row.name)}\n`));
    context.stdout.write([...new Set(names)].join(''));
    return;
  }
  const wide = output === 'wide';
  const texts = tables.map(({ kind, rows }) => {
    const withNamespace = options.allNamespaces === true && kind.namespaced;
    const prefix = found.length > 1 ? `${kind.singular}/` : '';
    const headers = [...(withNamespace ? ['NAMESPACE'] : []), 'NAME', ...kind.headers(wide)];
    const lines = rows.map((row) => {
      return [...(withNamespace ? [row.namespace] : []), prefix + row.name, ...row.cells(wide, context.now())];
    });
    return table(options.headers ? headers : null, lines);
  });
  context.stdout.write(texts.join('\n'));
}

/** Goes to stderr as kubectl's does: a script that counts lines must not count it. */
function noneFound(
  context: Context,
  wanted: readonly Wanted[],
  namespace: string,
  elsewhere: number,
  options: GetOptions,
): void {
  if (options.output !== 'table' && options.output !== 'wide') return;
  const what = wanted.map(({ kind }) => kind.plural).join(' or ');
  const scoped = !options.allNamespaces && wanted.some(({ kind }) => kind.namespaced);
  const where = scoped ? ` in namespace ${namespace}` : '';
  const hint = elsewhere > 0 ? ` (${elsewhere} in others: -A shows them)` : '';
  context.stderr.write(`No ${what} found${where}${hint}.\n`);
}
