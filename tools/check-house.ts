/**
 * The rules of the house that a linter does not know: imports point one way along the flow of data, every error code is
 * used and every used one is listed, eBPF files carry their licence, and folders are in ARCHITECTURE.md.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { errorTable } from '../src/base/errors.ts';

const root = join(import.meta.dirname, '..');

/** Folder of src → the folders that it may import from, besides itself. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  base: [],
  model: ['base', 'api'],
  source: ['base', 'model', 'api'],
  compile: ['base', 'model'],
  kernel: ['base', 'api'],
  publish: ['base', 'model', 'compile', 'kernel'],
  enrol: ['base', 'model', 'compile', 'kernel', 'publish'],
  probe: ['base', 'model', 'compile', 'kernel', 'api'],
  api: ['base', 'model'],
  node: ['base', 'model', 'source', 'kernel'],
  cni: ['base', 'model', 'source', 'node'],
  status: ['base', 'model', 'source'],
  daemon: ['base', 'model', 'source', 'status', 'compile', 'publish', 'kernel', 'enrol', 'probe', 'api', 'node', 'cni'],
  install: ['base', 'api', 'source'],
  ctl: ['base', 'api', 'install', 'source'],
};

/** src/api/types.ts only has types, which any folder may share with the API; tests may reach further. */
const typesOnly = ['src/api/types.ts', 'src/model/types.ts'];

const complaints: string[] = [];

function filesBelow(directory: string, endings: readonly string[]): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

function checkImports(file: string): void {
  if (file.endsWith('.test.ts')) return;
  const folder = file.split('/')[1] ?? '';
  const allowed = mayImport[folder];
  if (allowed === undefined) {
    complaints.push(`${file}: folder ${folder} has no place in the order of imports (tools/check-house.ts)`);
    return;
  }
  const text = readFileSync(join(root, file), 'utf8');
  for (const [, specifier = ''] of text.matchAll(/from '(\.[^']+)'/g)) {
    const target = relative(root, join(root, dirname(file), specifier));
    const other = target.split('/')[1] ?? '';
    if (typesOnly.includes(target) || other === folder || allowed.includes(other)) continue;
    complaints.push(`${file}: imports ${target}, against the flow of data`);
  }
}

function checkErrorCodes(files: readonly string[]): void {
  const used = new Set<string>();
  for (const file of files.filter((f) => f !== 'src/base/errors.ts')) {
    for (const [code] of readFileSync(join(root, file), 'utf8').matchAll(/\bKM[1-6][0-9]{3}\b/g)) {
      if (!file.endsWith('.test.ts')) used.add(code);
      if (!(code in errorTable)) complaints.push(`${file}: ${code} is not in src/base/errors.ts`);
    }
  }
  for (const code of Object.keys(errorTable)) {
    if (!used.has(code)) complaints.push(`src/base/errors.ts: nothing gives ${code}`);
  }
}

function checkLicences(files: readonly string[]): void {
  for (const file of files) {
    const first = readFileSync(join(root, file), 'utf8').split('\n')[0] ?? '';
    if (!first.includes('SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)')) {
      complaints.push(`${file}: its first line must be the SPDX licence`);
    }
  }
}

function checkMap(): void {
  const map = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
  const folders = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of folders) {
    if (!map.includes(`src/${name}`)) complaints.push(`ARCHITECTURE.md does not name src/${name}`);
  }
}

const sources = filesBelow(join(root, 'src'), ['.ts']);
for (const file of sources) checkImports(file);
checkErrorCodes(sources);
checkLicences(filesBelow(join(root, 'bpf'), ['.c', '.h']));
checkMap();
for (const complaint of complaints) process.stderr.write(`${complaint}\n`);
process.exitCode = complaints.length === 0 ? 0 : 1;
