import { KmError } from '../../base/errors.ts';
import { type Dfa, determinise } from './dfa.ts';
import { minimise } from './minimise.ts';
import { anyByte, free, Nfa } from './nfa.ts';
import type { RouteTable } from './types.ts';

interface Domain {
  readonly virtualHost: number;
  readonly kind: 'exact' | 'suffix' | 'prefix' | 'all';
  /** Lower case, without its star. */
  readonly text: string;
}

const order = ['exact', 'suffix', 'prefix', 'all'] as const;

/**
 * An automaton over a host, any case, whose output is 1 + the index of its virtual host. Envoy's order: exact, then the
 * longest `*.x`, then the longest `x.*`, then `*`; a star stands for at least one character, but alone for none too.
 * KM3013 when two virtual hosts have one domain or a star stands elsewhere.
 */
export function hostDfa(table: RouteTable): Dfa {
  const domains = readDomains(table);
  const nfa = new Nfa();
  const some = nfa.node();
  const loop = nfa.node();
  nfa.edge(nfa.start, anyByte, some);
  nfa.edge(some, free, loop);
  nfa.edge(loop, anyByte, some);
  domains.forEach(({ kind, text }, id) => {
    const bytes = Buffer.from(text, 'utf8');
    const node = nfa.literal(kind === 'suffix' ? some : nfa.start, bytes, true);
    if (kind === 'exact' || kind === 'suffix') nfa.accept(node, id);
    else {
      const rest = nfa.node();
      nfa.edge(node, kind === 'all' ? free : anyByte, rest);
      nfa.edge(rest, anyByte, rest);
      nfa.accept(rest, id);
    }
  });
  const best = (ids: readonly number[]): number => {
    let winner: Domain | undefined;
    for (const id of ids) {
      const domain = domains[id];
      if (domain !== undefined && (winner === undefined || before(domain, winner))) winner = domain;
    }
    return winner === undefined ? 0 : winner.virtualHost + 1;
  };
  const effort = { states: 8 * nfa.size + 65_536, members: 64 * nfa.size + 1_000_000 };
  const dfa = determinise(nfa, best, effort);
  if (dfa === null) throw new KmError('KM3011', `route table ${table.name}: its wildcard domains take too many states`);
  return minimise(dfa);
}

function before(a: Domain, b: Domain): boolean {
  if (a.kind !== b.kind) return order.indexOf(a.kind) < order.indexOf(b.kind);
  return a.text.length > b.text.length;
}

function readDomains(table: RouteTable): Domain[] {
  const owners = new Map<string, Domain>();
  table.virtualHosts.forEach(({ domains, name }, virtualHost) => {
    for (const written of domains) {
      const domain = written.toLowerCase();
      const known = owners.get(domain);
      if (known !== undefined && known.virtualHost !== virtualHost) {
        const other = table.virtualHosts[known.virtualHost]?.name ?? '';
        throw new KmError('KM3013', `route table ${table.name}: ${name} and ${other} both have the domain ${written}`);
      }
      owners.set(
        domain,
        readDomain(domain, virtualHost, () => `route table ${table.name}, virtual host ${name}`),
      );
    }
  });
  return [...owners.values()];
}

function readDomain(domain: string, virtualHost: number, where: () => string): Domain {
  if (domain === '*') return { virtualHost, kind: 'all', text: '' };
  const kind = domain.startsWith('*') ? 'suffix' : domain.endsWith('*') ? 'prefix' : 'exact';
  const text = kind === 'suffix' ? domain.slice(1) : kind === 'prefix' ? domain.slice(0, -1) : domain;
  if (text === '' || text.includes('*')) {
    throw new KmError('KM3013', `${where()}: bad domain ${JSON.stringify(domain)}`);
  }
  return { virtualHost, kind, text };
}
