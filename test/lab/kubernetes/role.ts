/** The rights that docs/sources.md tells people to give. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseYaml } from '../../../src/source/documents.ts';
import type { ApiObject } from '../../../src/source/kubernetes/testing.ts';

export interface Role extends ApiObject {
  readonly rules: readonly { readonly apiGroups: readonly string[] }[];
}

export function documentedRole(): Role {
  const page = readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'sources.md'), 'utf8');
  const parsed = parseYaml(/```yaml\n([^`]*kind: ClusterRole\n[^`]*)```/.exec(page)?.[1] ?? '');
  if ('problem' in parsed) throw new Error(`docs/sources.md: ${parsed.problem.reason}`);
  return parsed.value as Role;
}
