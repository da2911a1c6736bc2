import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ObserveLine, RequestItem } from '../api/types.ts';
import { KmError } from '../base/errors.ts';
import { type Context, clientOf } from './context.ts';
import { type FilterOptions, requestFilter } from './observe-filter.ts';
import { printable } from './style.ts';

interface ObserveOptions extends FilterOptions {
  readonly follow?: true;
  readonly last?: number;
  readonly first?: number;
  readonly output: 'compact' | 'json';
}

const shownByDefault = 20;

const filters = [
  ['--pod <pod>', 'from or to this pod: [NAMESPACE/]NAME, the beginning of the name is enough'],
  ['--from-pod <pod>', 'from this pod'],
  ['--to-pod <pod>', 'to this pod'],
  ['-n, --namespace <name>', 'from or to a pod of this namespace'],
  ['--from-namespace <name>', 'from a pod of this namespace'],
  ['--to-namespace <name>', 'to a pod of this namespace'],
  ['--to-service <service>', 'to this service: [NAMESPACE/]NAME'],
  ['--from-ip <address>', 'from this address'],
  ['--to-ip <address>', 'to an endpoint with this address'],
  ['--http-status <status>', 'answered so: 404, or 5+ for 500 to 599'],
  ['--http-method <method>', 'with this method'],
  ['--http-path <regex>', 'with a path that the expression is found in'],
] as const;

/** Adds `kmeshctl observe`. */
export function addObserve(program: Command, context: Context): void {
  const command = program
    .command('observe')
    .summary('show HTTP requests as they are answered')
    .description(
      'Show HTTP requests of enrolled workloads as they are answered.\n' +
        'The daemon remembers the last 4096 of the times when somebody follows or the access log is on.\n' +
        'Filters: a flag that is given again is one more alternative; different flags must all hold.',
    )
    .option('-f, --follow', 'show what comes, until interrupted')
    .option(
      '--last <n>',
      `the last so many that are remembered (default: ${shownByDefault}, with -f none)`,
      wholeNumber,
    )
    .option('--first <n>', 'end after so many', wholeNumber);
  for (const [flags, description] of filters) {
    const parse = (value: string, all: readonly string[]): readonly string[] => [...all, value];
    command.addOption(new Option(flags, description).argParser(parse).default([], 'all'));
  }
  command
    .addOption(new Option('-o, --output <format>', 'output format').choices(['compact', 'json']).default('compact'))
    .addHelpText(
      'after',
      `
Examples:
  # What does the frontend get that is not well?
  kmeshctl observe -f --from-pod shop/frontend --http-status 4+ --http-status 5+

  # The next 100 requests to one service, as JSON lines
  kmeshctl observe -f --first 100 --to-service shop/reviews -o json`,
    )
    .action(async (options: ObserveOptions, self: Command) => {
      await observe(context, self, options);
    });
}

function wholeNumber(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) throw new InvalidArgumentError('a whole number is expected');
  return Number(text);
}

async function observe(context: Context, command: Command, options: ObserveOptions): Promise<void> {
  const follow = options.follow === true;
  const wanted = requestFilter(options);
  const last = options.last ?? (follow ? 0 : shownByDefault);
  let left = options.first ?? Number.POSITIVE_INFINITY;
  let remembered: RequestItem[] | null = [];
  /** False when no more is wanted. */
  const show = (item: RequestItem): boolean => {
    if (left <= 0) return false;
    left -= 1;
    context.stdout.write(options.output === 'json' ? `${JSON.stringify(item)}\n` : compactLine(item));
    return left > 0 && context.stdout.writable !== false;
  };
  const path = `/observe?follow=${follow}`;
  for await (const line of clientOf(context, command).lines<ObserveLine>(path)) {
    if ('lost' in line) context.stderr.write(`${line.lost} requests are missing here: the reader was too slow\n`);
    else if ('remembered' in line) {
      const old = last === 0 ? [] : (remembered ?? []).slice(-last);
      remembered = null;
      if (!old.every(show) || left <= 0) return;
      if (!follow && line.remembered === 0) {
        context.stderr.write('No request is remembered: -f shows what comes.\n');
      }
    } else if (!('request' in line)) throw new KmError('KM6003', `GET ${path}: a line is not as expected`);
    else if (!wanted(line.request)) continue;
    else if (remembered !== null) remembered.push(line.request);
    else if (!show(line.request)) return;
  }
}

/** `12:00:00.125Z shop/a:1234 -> shop/b:80 (shop/reviews) GET http://reviews/x 200 1.25ms route NAME`. */
function compactLine(item: RequestItem): string {
  const { source, destination } = item;
  const to = destination.address === null ? item.asked : party(destination, destination.address);
  const url = `http://${item.host}${item.path}${item.pathCut ? '…' : ''}`;
  const status = item.flags === '-' ? String(item.status) : `${item.status} ${item.flags}`;
  const service = item.service === null ? '' : ` (${item.service})`;
  const route = item.route === null ? '' : ` route ${item.route}`;
  const what = `${item.method} ${url} ${status} ${item.durationMs}ms${route}`;
  return `${printable(`${item.time} ${party(source, source.address)} -> ${to}${service} ${what}`)}\n`;
}

/** `shop/frontend:1234`; by its address when it is not known. */
function party({ namespace, workload }: RequestItem['source'] | RequestItem['destination'], address: string): string {
  if (namespace === null || workload === null) return address;
  return `${namespace}/${workload}:${address.slice(address.lastIndexOf(':') + 1)}`;
}
