/** Enrolled namespaces and the programs at their devices, with real namespaces; a node's namespace stands for the host's. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Log } from '../base/log.ts';
import { DevicePrograms } from '../kernel/device-programs.ts';
import { openLibbpf } from '../kernel/libbpf.ts';
import { LinkListener } from '../kernel/link-events.ts';
import { netnsCookie, withNetns } from '../kernel/netns.ts';
import { type LoadedObjects, loadObjects } from '../kernel/object.ts';
import { listPins } from '../kernel/pin.ts';
import { rootOnly, run, testNamespace, testPins, testVeth } from '../kernel/testing.ts';
import { NamespacePrograms } from './namespace-programs.ts';

const skip = rootOnly() || (netnsCookie('/proc/self/ns/net') === null ? 'needs SO_NETNS_COOKIE (5.14)' : false);
const libbpf = openLibbpf();
const object = join(import.meta.dirname, '../../build/bpf/splice.bpf.o');

const cookieOf = (path: string): bigint => {
  const cookie = netnsCookie(path);
  assert.ok(cookie !== null);
  return cookie;
};

/** A node on which one daemon after the other runs, by tcx or clsact. */
class Machine implements Disposable {
  readonly node: ReturnType<typeof testNamespace>;
  readonly pins: ReturnType<typeof testPins>;
  /** Addresses that have open connections. */
  flows: readonly string[] = [];
  nowMs = 0;
  readonly #listener: LinkListener;
  readonly #namespaces: (ReturnType<typeof testNamespace> | null)[] = [];
  readonly #tcx: boolean;
  readonly #suffix: string;
  #loaded: LoadedObjects | null = null;
  #programs: NamespacePrograms | null = null;

  constructor(suffix: string, tcx: boolean) {
    this.#suffix = suffix;
    this.#tcx = tcx;
    this.node = testNamespace(`${suffix}-node`);
    this.pins = testPins(suffix);
    this.#listener = withNetns<LinkListener>(this.node.path, () => new LinkListener());
    this.start();
  }

  /** A daemon that takes over from the one before. */
  start(): void {
    this.#loaded?.close();
    this.#loaded = loadObjects(libbpf, { objects: [object] });
    const directory = this.pins.path;
    this.#programs = new NamespacePrograms({
      programs: new DevicePrograms({ libbpf, programs: this.#loaded.programs, directory, tcx: this.#tcx }),
      cookie: cookieOf,
      hasFlows: (addresses) => addresses.some((address) => this.flows.includes(address)),
      events: () => this.#listener.drain(),
      usePorts: () => undefined,
      now: () => this.nowMs,
      log: new Log({ format: 'text', level: 'error', write: () => undefined }).logger('enrol'),
    });
  }

  /** What a look of the daemon does. */
  sync(...paths: readonly string[]) {
    return this.here((programs) => {
      const wanted = new Map(paths.map((path) => [cookieOf(path), path] as const));
      const states = programs.join(wanted);
      programs.keepOnly(new Set(wanted.keys()));
      return [...states.values()];
    });
  }

  here<T>(action: (programs: NamespacePrograms) => T): T {
    const programs = this.#programs;
    assert.ok(programs);
    return withNetns(this.node.path, () => action(programs) as never) as T;
  }

  pod(name: string) {
    const pod = testNamespace(`${this.#suffix}-${name}`);
    this.#namespaces.push(pod);
    const remove = () => {
      this.#namespaces[this.#namespaces.indexOf(pod)] = null;
      pod[Symbol.dispose]();
    };
    return { ...pod, remove };
  }

  /** Programs and their namespaces: `km_from_pod COOKIE`, as the record says. */
  attached(): string[] {
    return listPins(this.pins.path)
      .filter((name) => !name.endsWith('-clsact'))
      .map((name) => name.replace(/-[0-9]+(-filter)?$/, '').replace('-', ' '))
      .sort();
  }

  [Symbol.dispose](): void {
    for (const namespace of this.#namespaces) namespace?.[Symbol.dispose]();
    this.#loaded?.close();
    this.#listener.close();
    this.node[Symbol.dispose]();
    this.pins[Symbol.dispose]();
  }
}

const outer = (path: string): string[] => ['km_from_pod', 'km_to_pod'].map((name) => `${name} ${cookieOf(path)}`);
const inner = (path: string): string[] => ['km_from_host', 'km_to_host'].map((name) => `${name} ${cookieOf(path)}`);

for (const tcx of [true, false]) {
  const kind = tcx ? 'tcx' : 'clsact';

  test(`${kind}: a namespace gets its programs with its first device, and later devices too`, { skip }, () => {
    using m = new Machine(`later-${kind}`, tcx);
    const pod = m.pod('pod');
    const far = m.pod('far');
    const none = { wire: { first: 0, count: 0 }, devices: [], reason: 'it has no network device yet' };
    assert.deepEqual(m.sync(pod.path), [none]);
    assert.equal(
      m.here((p) => p.due()),
      true,
      'one without a device is looked at each time',
    );
    testVeth(pod.name, 'eth0', m.node.name, 'host0');
    const on = { wire: { first: 1024, count: 31_744 }, devices: ['host0'], reason: null };
    assert.deepEqual(m.sync(pod.path), [on]);
    assert.deepEqual(m.attached(), outer(pod.path));
    assert.equal(
      m.here((p) => p.due()),
      false,
    );
    testVeth(pod.name, 'eth1', far.name, 'far1');
    assert.equal(
      m.here((p) => p.due()),
      true,
      'a change of its devices is heard',
    );
    assert.deepEqual(m.sync(pod.path)[0]?.devices.toSorted(), ['eth1 (inside)', 'host0']);
    assert.deepEqual(m.attached(), [...inner(pod.path), ...outer(pod.path)].toSorted());
    assert.equal(
      m.here((p) => p.devices),
      2,
    );
    run('ip', '-n', pod.name, 'link', 'del', 'eth1');
    assert.deepEqual(m.sync(pod.path), [on]);
    assert.deepEqual(m.attached(), outer(pod.path), 'nothing is kept of a device that is gone');
  });

  test(`${kind}: a namespace that leaves keeps its programs while it has connections, over a restart too`, {
    skip,
  }, () => {
    using m = new Machine(`leave-${kind}`, tcx);
    const [pod, other, far] = [m.pod('pod'), m.pod('other'), m.pod('far')];
    testVeth(pod.name, 'eth0', m.node.name, 'host0');
    testVeth(pod.name, 'eth1', far.name, 'far1');
    testVeth(other.name, 'eth0', m.node.name, 'host1');
    run('ip', '-n', pod.name, 'address', 'add', '10.98.0.7/32', 'dev', 'eth0');
    m.sync(pod.path, other.path);
    const all = [...inner(pod.path), ...outer(pod.path), ...outer(other.path)].toSorted();
    assert.deepEqual(m.attached(), all);
    m.flows = ['10.98.0.7'];
    m.sync(other.path);
    assert.deepEqual(m.attached(), all);
    m.start();
    m.sync(other.path);
    assert.deepEqual(m.attached(), all);
    assert.equal(
      m.here((p) => p.due()),
      true,
      'it is waited for',
    );
    m.flows = [];
    m.sync(other.path);
    assert.deepEqual(m.attached(), outer(other.path));
    for (const direction of ['ingress', 'egress']) {
      assert.equal(run('tc', '-n', pod.name, 'filter', 'show', 'dev', 'eth1', direction), '');
    }
    assert.equal(
      m.here((p) => p.due()),
      false,
    );
    m.flows = ['10.98.0.7'];
    m.sync(pod.path, other.path);
    m.sync(other.path);
    m.sync(pod.path, other.path);
    m.flows = [];
    m.sync(pod.path, other.path);
    assert.deepEqual(m.attached(), all, 'one that came back in between stays');
  });

  test(`${kind}: of a pod that was deleted nothing is left, whatever connections it had`, { skip }, () => {
    using m = new Machine(`deleted-${kind}`, tcx);
    const pod = m.pod('pod');
    const far = m.pod('far');
    testVeth(pod.name, 'eth0', m.node.name, 'host0');
    testVeth(pod.name, 'eth1', far.name, 'far1');
    run('ip', '-n', pod.name, 'address', 'add', '10.98.0.7/32', 'dev', 'eth0');
    m.sync(pod.path);
    m.flows = ['10.98.0.7'];
    pod.remove();
    run('ip', 'netns', 'exec', m.node.name, 'sh', '-c', 'while ip link show host0 >/dev/null 2>&1; do :; done');
    m.sync();
    assert.deepEqual(listPins(m.pins.path), []);
  });

  test(`${kind}: what somebody else takes away is seen, and attached again at the next look`, { skip }, () => {
    using m = new Machine(`repair-${kind}`, tcx);
    const pod = m.pod('pod');
    const [, host0] = testVeth(pod.name, 'eth0', m.node.name, 'host0');
    m.sync(pod.path);
    const differences = () => m.here((p) => p.differences());
    assert.deepEqual(differences(), []);
    if (listPins(m.pins.path).some((name) => name.endsWith('-filter'))) {
      run('tc', '-n', m.node.name, 'filter', 'del', 'dev', 'host0', 'egress');
    } else {
      run('rm', join(m.pins.path, `km_to_pod-${cookieOf(pod.path)}-${host0}`));
    }
    assert.deepEqual(differences(), [`km_to_pod does not run at device host0 of network namespace ${pod.path}`]);
    m.sync(pod.path);
    assert.deepEqual(differences(), []);
  });

  test(`${kind}: the host's own namespace has its own devices, not the pods' ends`, { skip }, () => {
    using m = new Machine(`own-${kind}`, tcx);
    const [pod, far] = [m.pod('pod'), m.pod('far')];
    testVeth(pod.name, 'eth0', m.node.name, 'host0');
    testVeth(m.node.name, 'up0', far.name, 'up1');
    // Named first, looked at last.
    const [own] = m.sync(m.node.path, pod.path);
    assert.deepEqual(own?.devices, ['up0 (inside)']);
    assert.deepEqual(m.attached(), [...inner(m.node.path), ...outer(pod.path)].toSorted());
  });
}

test('a namespace whose sockets take nearly all ports has no HTTP until they do not', { skip }, () => {
  using m = new Machine('ports', true);
  const pod = m.pod('pod');
  testVeth(pod.name, 'eth0', m.node.name, 'host0');
  const range = (text: string) =>
    run('ip', 'netns', 'exec', pod.name, 'sh', '-c', `echo ${text} >/proc/sys/net/ipv4/ip_local_port_range`);
  range('1024 65535');
  const [first] = m.sync(pod.path);
  assert.match(first?.reason ?? '', /^net\.ipv4\.ip_local_port_range \(1024-65535\) .* fewer than 256 ports in a row$/);
  assert.deepEqual(first?.wire, { first: 0, count: 0 });
  range('1024 60999');
  m.nowMs += 15_000;
  assert.deepEqual(m.sync(pod.path)[0]?.wire, { first: 61_000, count: 4536 });
});

test('many namespaces are not all looked at again at once', { skip }, () => {
  using m = new Machine('many', true);
  const pods = Array.from({ length: 12 }, (_, i) => m.pod(`pod${i}`));
  pods.forEach((pod, i) => {
    testVeth(pod.name, 'eth0', m.node.name, `host${i}`);
  });
  const paths = pods.map(({ path }) => path);
  assert.ok(m.sync(...paths).every(({ reason }) => reason === null));
  // Takes the events of the cables.
  m.sync(...paths);
  assert.equal(
    m.here((p) => p.due()),
    false,
  );
  m.nowMs += 15_000;
  m.sync(...paths);
  assert.equal(
    m.here((p) => p.due()),
    true,
  );
  m.sync(...paths);
  assert.equal(
    m.here((p) => p.due()),
    false,
  );
});
