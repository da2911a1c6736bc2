/** Writes docs/errors.md from the error table, or with --check fails when it differs. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorTable } from '../src/base/errors.ts';

const path = join(import.meta.dirname, '..', 'docs', 'errors.md');
const rows = Object.entries(errorTable)
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([code, { title, fix }]) => `| ${code} | ${title} | ${fix} |`);
const text = `# Errors
Every error has a code that stays the same between versions. Made from \`src/base/errors.ts\` by \`make gen\`.

KM1xxx source (an object and its file) · KM2xxx model (objects against each other) · KM3xxx compile and publish ·
KM4xxx kernel · KM5xxx daemon and admin API · KM6xxx kmeshctl

| code | what | what to do |
|---|---|---|
${rows.join('\n')}
`;

if (process.argv.includes('--check')) {
  if (readFileSync(path, 'utf8') !== text) {
    process.stderr.write('docs/errors.md is not what src/base/errors.ts says: run `make gen`\n');
    process.exit(1);
  }
} else {
  writeFileSync(path, text);
  process.stdout.write('gen-errors: wrote docs/errors.md\n');
}
