/** loadBalancer.localityLbSetting of a DestinationRule: where endpoints are looked for first. */
import { type LocalityPolicy, localityMatches, parseLocality, type TopologyKey } from '../../model/localities.ts';
import type { PolicyFields } from '../../model/objects.ts';
import { type Fields, fieldTable, shown } from '../fields.ts';

const settingTable = fieldTable({ read: 'enabled distribute failover failoverPriority', closed: true });
const distributeTable = fieldTable({ read: 'from to', closed: true });
const failoverTable = fieldTable({ read: 'from to', closed: true });

const topology: Readonly<Record<string, TopologyKey>> = {
  'topology.kubernetes.io/region': 'region',
  'topology.kubernetes.io/zone': 'zone',
  'topology.istio.io/subzone': 'subzone',
  'kubernetes.io/hostname': 'node',
};
/** The same for every endpoint: there is one network and one cluster. */
const alike = ['topology.istio.io/network', 'topology.istio.io/cluster'];

/** As {@link PolicyFields} has it. */
export function readLocalitySetting(balancer: Fields): NonNullable<PolicyFields['locality']> | null {
  const setting = balancer.map('localityLbSetting', settingTable);
  if (setting === null) return 'service';
  const given = ['distribute', 'failover', 'failoverPriority'].filter((name) => setting.has(name));
  const [first, second] = given;
  if (first !== undefined && second !== undefined) setting.error('KM1009', [second], `cannot stand beside ${first}`);
  const policy = readPolicy(setting, first);
  return setting.boolean('enabled') === false ? null : policy;
}

function readPolicy(setting: Fields, name: string | undefined): LocalityPolicy {
  if (name === 'distribute') return { kind: 'distribute', rules: setting.maps(name, distributeTable).map(readRule) };
  if (name === 'failoverPriority') return { kind: 'priority', keys: readKeys(setting, name) };
  return { kind: 'failover', regions: setting.maps('failover', failoverTable).map(readRegions) };
}

function readRegions(fields: Fields): { readonly from: string; readonly to: string } {
  const [from, to] = [fields.required('from'), fields.required('to')];
  for (const [name, text] of [
    ['from', from],
    ['to', to],
  ] as const) {
    if (/[/*]/.test(text)) fields.error('KM1009', [name], `must be a region, not ${shown(text)}`);
  }
  if (from !== '' && from === to) fields.error('KM1009', ['to'], 'must be another region than from');
  return { from, to };
}

function readKeys(setting: Fields, name: string): TopologyKey[] {
  return setting.strings(name).flatMap((label, i) => {
    const key = topology[label];
    if (key !== undefined) return [key];
    if (!alike.includes(label)) {
      const known = Object.keys(topology).join(', ');
      setting.error('KM1011', [name, i], `not supported: all clients of a node are alike, so only ${known}`);
    }
    return [];
  });
}

function readRule(fields: Fields): { from: string; to: [string, number][] } {
  const from = fields.required('from');
  checkPattern(fields, ['from'], from);
  const to = Object.entries(fields.integers('to', 1, 100));
  if (to.length === 0) fields.error('KM1010', ['to'], 'is missing');
  const total = to.reduce((sum, [, weight]) => sum + weight, 0);
  if (to.length > 0 && total !== 100) fields.error('KM1009', ['to'], `must add up to 100, not ${total}`);
  for (const [i, [pattern]] of to.entries()) {
    checkPattern(fields, ['to', pattern], pattern);
    const other = to.slice(0, i).find(([one]) => overlap(one, pattern));
    if (other !== undefined) fields.error('KM1009', ['to', pattern], `overlaps with ${shown(other[0])}`);
  }
  return { from, to };
}

function checkPattern(fields: Fields, path: readonly string[], pattern: string): void {
  const parts = pattern.split('/');
  const star = parts.indexOf('*');
  const good = parts.length <= 3 && parts.every((part) => part === '*' || /^[^*]+$/.test(part));
  if (pattern !== '' && good && (star < 0 || star === parts.length - 1)) return;
  if (pattern !== '') fields.error('KM1009', path, `must be a place such as region/zone/*, not ${shown(pattern)}`);
}

function overlap(a: string, b: string): boolean {
  const place = (pattern: string) => parseLocality(pattern.replace(/\/?\*$/, ''));
  return localityMatches(a, place(b)) || localityMatches(b, place(a));
}
