import { join } from 'node:path';
import { attachCgroup } from './attach.ts';
import { mapTypes } from './gen/layout.gen.ts';
import type { Libbpf } from './libbpf.ts';
import { typedMaps } from './map.ts';
import { loadObjects } from './object.ts';
import { connectDatagram } from './syscall.ts';

/**
 * The cookie of the calling thread's network namespace on kernels without SO_NETNS_COOKIE (before 5.14): a program at
 * the cgroup's connect hook records it while this process connects a datagram socket; nothing is sent. The program is
 * attached only during the call.
 */
export function readCookieByProgram(libbpf: Libbpf, objects: string, cgroup: string): bigint | null {
  const loaded = loadObjects(libbpf, {
    objects: [join(objects, 'netns_cookie.bpf.o')],
    constants: { km_daemon_pid: process.pid },
  });
  try {
    const program = loaded.programs.get('km_record_cookie');
    if (program === undefined) return null;
    const { km_netns_cookie } = typedMaps(loaded.maps, { km_netns_cookie: mapTypes.km_netns_cookie });
    const link = attachCgroup(program, cgroup);
    connectDatagram();
    link.detach();
    link.close();
    const cookie = km_netns_cookie.get(0);
    return cookie === undefined || cookie === 0n ? null : cookie;
  } finally {
    loaded.close();
  }
}
