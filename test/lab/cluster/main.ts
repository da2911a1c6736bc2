/** `node main.ts up`: a cluster with Kmesh, to play with. `down` takes it down. */
import { Cluster, clusterMissing } from './cluster.ts';

const missing = clusterMissing();
if (missing !== false) {
  process.stderr.write(`${missing}\n`);
  process.exit(1);
}
if (process.argv[2] === 'down') await Cluster.down();
else {
  const cluster = await Cluster.up();
  await cluster.installKmesh();
  process.stdout.write(`${await cluster.kubectl(['get', 'pods', '-A', '-o', 'wide'])}\n${cluster.hint}\n`);
}
