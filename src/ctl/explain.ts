import { type Command, Option } from 'commander';
import type { ExplainCluster, ExplainOutcome, ExplainQuery, ExplainReport } from '../api/types.ts';
import { KmError } from '../base/errors.ts';
import { type Context, clientOf } from './context.ts';
import { printData } from './output.ts';
import { printable } from './style.ts';
import { table } from './table.ts';

interface ExplainOptions {
  readonly from: string;
  readonly to: string;
  readonly request: string;
  readonly header: readonly string[];
  readonly namespace?: string;
  readonly output: string;
}

/** Adds `kmeshctl explain`. */
export function addExplain(program: Command, context: Context): void {
  program
    .command('explain')
    .summary('show which route a request takes, where it may go, and why')
    .description(
      'Show what becomes of an HTTP request: listener, virtual host, route, action, clusters and endpoints.\n' +
        'It is decided by the tables that the kernel has; nothing is sent.',
    )
    .requiredOption('--from <pod>', 'who sends it: POD, POD.NAMESPACE or NAMESPACE/POD')
    .requiredOption('--to <url>', 'http://HOST[:PORT]/PATH?QUERY')
    .option('-X, --request <method>', 'method', 'GET')
    .addOption(
      new Option('-H, --header <field>', "a header field, 'NAME: VALUE' (again for more)")
        .argParser((value: string, all: readonly string[]) => [...all, value])
        .default([], 'none'),
    )
    .option('-n, --namespace <name>', 'namespace of a pod without one (env KMESH_NAMESPACE, else "default")')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['text', 'json', 'yaml']).default('text'))
    .addHelpText(
      'after',
      `
Examples:
  # Which version does jason see?
  kmeshctl explain --from frontend.shop --to http://reviews:9080/ -H 'end-user: jason'

  # And what becomes of this?
  kmeshctl explain --from frontend.shop --to http://reviews:9080/cart -X POST -o json`,
    )
    .action(async (options: ExplainOptions, command: Command) => {
      const query: ExplainQuery = {
        from: options.from,
        namespace: options.namespace ?? (context.env['KMESH_NAMESPACE'] || 'default'),
        to: /^[a-z]+:\/\//i.test(options.to) ? options.to : `http://${options.to}`,
        method: options.request,
        headers: options.header.map(parseField),
      };
      const report = await clientOf(context, command).ask<ExplainReport>('/explain', query, ['kind', 'outcomes']);
      if (options.output !== 'text') await printData(context, options.output, report);
      else context.stdout.write(reportText(query, report));
    });
}

function parseField(text: string): readonly [string, string] {
  const colon = text.indexOf(':');
  if (colon <= 0) throw new KmError('KM6005', `-H ${JSON.stringify(text)} is not 'NAME: VALUE'`);
  return [text.slice(0, colon).trim(), text.slice(colon + 1).trim()];
}

function reportText(query: ExplainQuery, report: ExplainReport): string {
  const { from, listener, reasons, kind, cluster, outcomes } = report;
  const text = [
    line('Request', `${query.method} ${query.to}`),
    line('From', `${from.namespace}/${from.name}, ${from.mesh}`),
  ];
  if (listener === null) text.push(line('Listener', 'none'));
  else {
    const { address, port, mode, namespace, service, hostname, origin } = listener;
    const at = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
    text.push(line('Listener', `${at}, ${mode}`));
    text.push(line('Service', `${namespace}/${service} (${hostname}), ${origin}`));
  }
  for (const reason of reasons) text.push(line('Note', reason));
  if (kind === 'routed') text.push(...outcomes.flatMap(outcomeText));
  else if (cluster !== null) text.push('\n', clustersText([cluster]));
  return text.join('');
}

function outcomeText({ share, virtualHost, route }: ExplainOutcome): string[] {
  const text = ['\n', ...(share === 1 ? [] : [line('Share', `${percent(share)} of such requests`)])];
  if (virtualHost === null) return [...text, line('Route', 'no virtual host takes the host: answered with 404 (NR)')];
  text.push(line('Host', virtualHost));
  if (route === null) return [...text, line('Route', 'none takes it: answered with 404 (NR)')];
  text.push(line('Route', `${route.name}, ${route.origin}`), line('Because', route.match));
  text.push(...route.action.map((action, i) => line(i === 0 ? 'Action' : '', action)));
  if (route.clusters.length > 0) text.push('\n', clustersText(route.clusters));
  return text;
}

function clustersText(clusters: readonly ExplainCluster[]): string {
  const rows = clusters.flatMap(({ cluster, share, policy, endpoints, unready }) => {
    const own = [cluster, percent(share), policy ?? ''];
    if (policy === null) return [[...own, 'no such cluster: 503 (NC)', '', '']];
    if (endpoints.length === 0) return [[...own, `none of ${unready} is usable: 503 (UH)`, '', '']];
    return endpoints.map(({ address, weight, workload }) => [...own, address, String(weight), workload ?? '']);
  });
  return table(['CLUSTER', 'SHARE', 'POLICY', 'ENDPOINT', 'WEIGHT', 'WORKLOAD'], rows);
}

const line = (name: string, value: string): string =>
  `${(name === '' ? '' : `${name}:`).padEnd(11)} ${printable(value)}\n`;

const percent = (part: number): string => `${Number((part * 100).toFixed(4))}%`;
