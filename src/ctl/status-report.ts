import { problemLine, type SourceStatus, type StatusReport } from '../api/types.ts';
import { usedPercent } from './kinds.ts';
import { type Colour, paint, printable } from './style.ts';
import { table } from './table.ts';
import { agoText, humanDuration } from './units.ts';

/** A map is named in the report from this share of its size on. */
const nearlyFull = 0.9;
const shownLines = 20;

type Problem = StatusReport['problems'][number];

/** The status as a person reads it: facts, sources, then only what is wrong. */
export function statusReport(report: StatusReport, view: { readonly nowMs: number; readonly colour: boolean }): string {
  const tint = (good: boolean, text: string) => paint(good ? 'green' : 'red', text, view.colour);
  const { version, counts, kernel, pending } = report;
  const facts: readonly (readonly [string, string])[] = [
    ['Daemon', `v${version.version} (${version.gitCommit.slice(0, 7)}), up ${humanDuration(report.uptimeSeconds)}`],
    ['Mode', report.mode],
    ['Ready', report.ready ? tint(true, 'yes') : `${tint(false, 'no')}, pending: ${pending.map(printable).join(', ')}`],
    [
      'Kernel',
      `${kernel.inSync ? tint(true, 'in sync') : tint(false, 'out of sync')}, ` +
        `${kernel.hooks.length} hooks, ${kernel.devices} devices, Linux ${version.kernel}, schema ${version.schema}`,
    ],
    ['Short cut', kernel.throughStack === null ? 'open' : `closed: ${printable(kernel.throughStack)}`],
    ['Services', `${counts.services}, ${counts.listeners} listeners, ${counts.endpoints} endpoints`],
    ['Workloads', `${counts.workloads}, ${counts.enrolled} enrolled`],
  ];
  const parts = [
    facts.map(([label, value]) => `${`${label}:`.padEnd(12)}${value}\n`).join(''),
    table(
      ['SOURCE', 'LOCATION', 'SYNCED', 'OBJECTS', 'LAST-CHANGE', 'ERROR'],
      report.sources.map((source) => sourceRow(source, view.nowMs)),
    ),
    subscriptions(report.sources, view.nowMs),
    xdsTable(report.sources, view.nowMs),
    section(
      'Problems',
      report.problems.map((problem) => problemText(problem, view.colour)),
    ),
    section('Differences between kernel and sources', kernel.differences.map(printable)),
    section('Maps nearly full', fullMaps(report)),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function sourceRow(source: SourceStatus, nowMs: number): readonly string[] {
  const changed = agoText(source.lastChange, nowMs);
  return [source.name, source.location, String(source.synced), String(source.objects), changed, source.error ?? ''];
}

/** What each control plane was asked for, in the shape of `istioctl proxy-status`; empty without one. */
function xdsTable(sources: readonly SourceStatus[], nowMs: number): string {
  const rows = sources.flatMap(({ location, xds }) =>
    (xds?.types ?? []).map((type) => [
      location,
      type.type,
      xds?.connected !== true ? 'NOT CONNECTED' : !type.answered ? 'NOT SENT' : type.refused > 0 ? 'REFUSED' : 'SYNCED',
      String(type.resources),
      String(type.refused),
      type.version,
      String(type.acks),
      String(type.nacks),
      agoText(type.lastPush, nowMs),
    ]),
  );
  const head = ['CONTROL-PLANE', 'TYPE', 'STATE', 'RESOURCES', 'REFUSED', 'VERSION', 'ACK', 'NACK', 'LAST-PUSH'];
  return rows.length === 0 ? '' : table(head, rows);
}

/** What the sources subscribe to, one by one; an empty text when none does. */
function subscriptions(sources: readonly SourceStatus[], nowMs: number): string {
  const rows = sources.flatMap(({ name, resources = [] }) =>
    resources.map((one) => [
      name,
      one.name,
      one.state,
      String(one.objects),
      one.version ?? '',
      agoText(one.lastHeard, nowMs),
      one.error ?? '',
    ]),
  );
  if (rows.length === 0) return '';
  const more = rows.length > shownLines ? `... and ${rows.length - shownLines} more: -o json shows all\n` : '';
  const headers = ['SOURCE', 'SUBSCRIPTION', 'STATE', 'OBJECTS', 'VERSION', 'LAST-HEARD', 'ERROR'];
  return `${table(headers, rows.slice(0, shownLines))}${more}`;
}

function section(title: string, lines: readonly string[]): string {
  if (lines.length === 0) return '';
  const more = lines.length > shownLines ? [`... and ${lines.length - shownLines} more: -o json shows all`] : [];
  const shown = [...lines.slice(0, shownLines), ...more];
  return `${title} (${lines.length}):\n${shown.map((line) => `  ${line}\n`).join('')}`;
}

function problemText(problem: Problem, colour: boolean): string {
  const hue: Colour = problem.severity === 'error' ? 'red' : 'yellow';
  const kept = problem.lastGoodInForce ? ' (its last good version stays in force)' : '';
  const label = paint(hue, problem.severity, colour) + ' '.repeat('warning '.length - problem.severity.length);
  return `${label}${problem.code} ${printable(problemLine(problem))}${kept}`;
}

function fullMaps(report: StatusReport): readonly string[] {
  // Maps without a setting, such as one-entry arrays, are full by design.
  const full = report.maps.filter((map) => map.setting !== null && map.entries >= map.maxEntries * nearlyFull);
  return full.map((map) => `${map.name} ${usedPercent(map)} (${map.entries}/${map.maxEntries}): raise ${map.setting}`);
}
