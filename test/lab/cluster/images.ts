/** Makes an image of one static program: `node images.ts OUT.tar NAME:TAG PROGRAM`. No registry and no engine. */
import { readFileSync, writeFileSync } from 'node:fs';
import { archive } from '../../../tools/image/archive.ts';
import { Tree } from '../../../tools/image/tree.ts';

const [out = '', name = '', program = ''] = process.argv.slice(2);
const tree = new Tree();
tree.directory('/tmp', 0o1777);
tree.file('/etc/passwd', 'root:x:0:0:root:/:/\n');
tree.file('/program', readFileSync(program), 0o755);
const { bytes } = archive({
  ...{ name, layers: [tree], created: '1970-01-01T00:00:00Z', user: '', env: ['PATH=/'], labels: {} },
  entrypoint: ['/program'],
});
writeFileSync(out, bytes);
