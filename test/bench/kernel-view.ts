/** The kernel's tables beside the daemon: seeing a change there needs no answer of the daemon's. */
import { join } from 'node:path';
import {
  type KmCluster,
  type KmListener,
  type KmListenerKey,
  mapTypes,
  schema,
} from '../../src/kernel/gen/layout.gen.ts';
import { type KernelMap, rawMap } from '../../src/kernel/map.ts';
import { mapsDirectory, openPin } from '../../src/kernel/pin.ts';
import { close } from '../../src/kernel/syscall.ts';
import { listenerKey } from '../../src/publish/keys.ts';

const pollMs = 0.2;

export class KernelView implements Disposable {
  readonly #listeners: KernelMap<KmListenerKey, KmListener>;
  readonly #clusters: KernelMap<bigint, KmCluster>;

  constructor(bpfFsPath: string) {
    const open = (name: string) => {
      const path = join(mapsDirectory(bpfFsPath, schema), name);
      const fd = openPin(path);
      if (fd === null) throw new Error(`${path} is not there`);
      return rawMap(fd, name);
    };
    this.#listeners = open('km_listener').as(mapTypes.km_listener);
    this.#clusters = open('km_cluster').as(mapTypes.km_cluster);
  }

  /** Cluster of a TCP listener. */
  cluster(address: string, port: number): bigint {
    const listener = this.#listeners.get(listenerKey({ address, port, protocol: 'TCP' }));
    if (listener === undefined) throw new Error(`the kernel has no listener ${address}:${port}`);
    return listener.cluster;
  }

  /** Changes with the endpoints and their weights. */
  digest(cluster: bigint): bigint {
    return this.#clusters.get(cluster)?.digest ?? 0n;
  }

  /** Waits, and blocks this process, until the digest is another than `before`. */
  awaitChange(cluster: bigint, before: bigint, timeoutMs: number): void {
    const deadline = performance.now() + timeoutMs;
    const sleep = new Int32Array(new SharedArrayBuffer(4));
    while (this.digest(cluster) === before) {
      if (performance.now() > deadline) throw new Error(`no change in the kernel in ${timeoutMs} ms`);
      // The daemon needs the CPU more than whoever watches it.
      Atomics.wait(sleep, 0, 0, pollMs);
    }
  }

  [Symbol.dispose](): void {
    close(this.#listeners.fd);
    close(this.#clusters.fd);
  }
}
