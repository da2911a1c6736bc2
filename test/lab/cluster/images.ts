/**
 * Makes an image of static programs: `node images.ts OUT.tar NAME:TAG [PATH=]FILE…`. The first is what it runs; without a path
 * it is `/program`. No registry and no engine.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { archive } from '../../../tools/image/archive.ts';
import { Tree } from '../../../tools/image/tree.ts';

const [out = '', name = '', ...sources] = process.argv.slice(2);
const files = sources.map((source) => {
  const at = source.lastIndexOf('=');
  return { path: at < 0 ? '/program' : source.slice(0, at), file: source.slice(at + 1) };
});
const tree = new Tree();
tree.directory('/tmp', 0o1777);
tree.file('/etc/passwd', 'root:x:0:0:root:/:/\n');
for (const { path, file } of files) tree.file(path, readFileSync(file), 0o755);
const { bytes } = archive({
  ...{ name, layers: [tree], created: '1970-01-01T00:00:00Z', user: '', env: ['PATH=/'], labels: {} },
  entrypoint: files.slice(0, 1).map(({ path }) => path),
});
writeFileSync(out, bytes);
