/**
 * Makes Kmesh's container image without a container engine: `image.ts --out FILE [--name NAME]` writes an archive to import,
 * `image.ts --root DIRECTORY` the files that it would hold. The same commit, Debian packages and Node give the same digest.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { archive } from './archive.ts';
import { imageSpec } from './contents.ts';

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    root: { type: 'string' },
    name: { type: 'string', default: 'localhost/kmesh:dev' },
  },
});
if ((values.out === undefined) === (values.root === undefined)) {
  process.stderr.write('image.ts: --out FILE or --root DIRECTORY is expected\n');
  process.exit(64);
}
const spec = imageSpec(join(import.meta.dirname, '..', '..'), process.execPath, values.name);
if (values.root !== undefined) for (const layer of spec.layers) layer.write(values.root);
if (values.out !== undefined) {
  const { bytes, digest } = archive(spec);
  mkdirSync(dirname(values.out), { recursive: true });
  writeFileSync(values.out, bytes);
  const mib = (size: number): string => `${(size / 2 ** 20).toFixed(1)} MiB`;
  const inside = spec.layers.reduce((sum, layer) => sum + layer.size, 0);
  process.stdout.write(`${spec.name} ${digest}\n${values.out}: ${mib(bytes.length)}, ${mib(inside)} inside\n`);
}
