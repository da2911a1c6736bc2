/** The rights that deploy/kmesh.yaml gives to the agent, so that what is tested is what is installed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseYaml, splitDocuments } from '../../../src/source/documents.ts';
import type { ApiObject } from '../../../src/source/kubernetes/testing.ts';

const manifest = join(import.meta.dirname, '..', '..', '..', 'deploy', 'kmesh.yaml');

export function agentRole(): ApiObject {
  const found = splitDocuments(readFileSync(manifest, 'utf8')).flatMap(({ text }) => {
    const parsed = parseYaml(text);
    if ('problem' in parsed) throw new Error(`${manifest}: ${parsed.problem.reason}`);
    const object = parsed.value as ApiObject;
    return object.kind === 'ClusterRole' ? [object] : [];
  });
  const [role] = found;
  if (role === undefined || found.length > 1) throw new Error(`${manifest} has ${found.length} ClusterRoles`);
  return role;
}
