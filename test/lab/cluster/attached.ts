/**
 * Prints the devices of the network namespace that it runs in which have a program, by tcx or by clsact: a JSON object of
 * device to number of programs. bpftool of Debian 12 does not know tcx.
 */

import { countFilters, netDevices } from '../../../src/kernel/netlink.ts';
import { tcxPrograms } from '../../../src/kernel/testing.ts';

const found = netDevices().map(({ name, ifindex }) => {
  const tcx = (['ingress', 'egress'] as const).flatMap((direction) => tcxPrograms({ ifindex, direction }));
  return [name, tcx.length + countFilters(ifindex)] as const;
});
process.stdout.write(JSON.stringify(Object.fromEntries(found.filter(([, count]) => count > 0))));
