/**
 * A stand-in for kube-apiserver where that was not built: the server of the unit tests as a process that can be killed. Its
 * objects are in a file; what happened before it started, it does not know.
 *
 * node stand-in.ts PORT FILE
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { FakeApiServer } from '../../../src/source/kubernetes/testing.ts';

const [port = '0', file = ''] = process.argv.slice(2);
const server = new FakeApiServer();
if (existsSync(file)) server.restore(JSON.parse(readFileSync(file, 'utf8')) as ReturnType<FakeApiServer['state']>);
server.onWrite = () => {
  writeFileSync(`${file}.tmp`, JSON.stringify(server.state()));
  renameSync(`${file}.tmp`, file);
};
await server.listen(Number(port));
process.stdout.write('ready\n');
