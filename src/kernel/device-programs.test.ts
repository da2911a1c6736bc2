/** Programs at devices by tcx and by clsact, over the restarts of a daemon. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { attachTcx } from './attach.ts';
import { DevicePrograms, type Place, placeName, placesOf, recordedPlaces, removePlaces } from './device-programs.ts';
import { openLibbpf } from './libbpf.ts';
import { type Link, openLink, programId } from './link.ts';
import { withNetns } from './netns.ts';
import { type LoadedObjects, loadObjects, type Program } from './object.ts';
import { isPinned, listPins } from './pin.ts';
import { errorOf, rootOnly, run, tcxPrograms, testNamespace, testObject, testPins, testVeth } from './testing.ts';

const skip = rootOnly();
const libbpf = openLibbpf();
const object = join(import.meta.dirname, '../../build/bpf/splice.bpf.o');

/** What one daemon loads; the next one loads anew. */
function daemon(directory: string, tcx: boolean) {
  const loaded = loadObjects(libbpf, { objects: [object] });
  const programs = new DevicePrograms({ libbpf, programs: loaded.programs, directory, tcx });
  const id = (place: Place): number => programId(programOf(loaded, place.program));
  return { programs, id, [Symbol.dispose]: () => loaded.close() };
}

function programOf(loaded: LoadedObjects, name: string): Program {
  const program = loaded.programs.get(name);
  assert.ok(program, name);
  return program;
}

/** A node and a pod, and the places of the node's end of their veth. */
function machine(suffix: string) {
  const pins = testPins(suffix);
  const [node, pod] = [testNamespace(`${suffix}-node`), testNamespace(`${suffix}-pod`)];
  const [inside, outside] = testVeth(pod.name, 'eth0', node.name, 'host0');
  const [to, from] = placesOf(4711n, { side: 'outer', ifindex: outside });
  assert.ok(to && from);
  const here = <T>(action: () => T) => withNetns(node.path, action as () => never) as T;
  const filters = (ns: string, device: string, direction: string): string =>
    run('tc', '-n', ns, 'filter', 'show', 'dev', device, direction);
  const qdiscs = (ns: string, device: string): string => run('tc', '-n', ns, 'qdisc', 'show', 'dev', device);
  return {
    directory: pins.path,
    node,
    pod,
    inside,
    outside,
    to,
    from,
    here,
    filters,
    qdiscs,
    [Symbol.dispose]: () => {
      node[Symbol.dispose]();
      pod[Symbol.dispose]();
      pins[Symbol.dispose]();
    },
  };
}

const hasTcx = (): boolean => {
  using m = machine('probe');
  const loaded = loadObjects(libbpf, { objects: [object] });
  const link = m.here(() => attachTcx(programOf(loaded, 'km_to_pod'), { ifindex: m.outside, direction: 'egress' }));
  link?.close();
  loaded.close();
  return link !== null;
};
const skipTcx = skip || (hasTcx() ? false : 'this kernel has no tcx');

test('tcx: a daemon that starts anew switches the link that is there', { skip: skipTcx }, () => {
  using m = machine('tcx');
  const linkOf = (place: Place): Link => {
    const link = openLink(join(m.directory, placeName(place)));
    assert.ok(link);
    return link;
  };
  const attached = (direction: 'ingress' | 'egress') => m.here(() => tcxPrograms({ ifindex: m.outside, direction }));
  const links = new Map<string, number>();
  for (let round = 0; round < 2; round++) {
    using d = daemon(m.directory, true);
    for (const place of [m.to, m.from]) {
      assert.equal(
        m.here(() => d.programs.runs(place)),
        false,
      );
      assert.equal(
        m.here(() => d.programs.ensure(place)),
        true,
      );
      assert.equal(
        m.here(() => d.programs.ensure(place)),
        false,
        'nothing to do',
      );
      const link = linkOf(place);
      links.set(placeName(place), links.get(placeName(place)) ?? link.info().id);
      assert.equal(link.info().id, links.get(placeName(place)), 'the same link');
      link.close();
    }
    assert.deepEqual(attached('ingress'), [d.id(m.from)]);
    assert.deepEqual(attached('egress'), [d.id(m.to)]);
  }
  assert.deepEqual(recordedPlaces(m.directory), [m.from, m.to]);
  using d = daemon(m.directory, true);
  // Somebody else takes one away.
  const link = linkOf(m.from);
  link.detach();
  link.close();
  assert.deepEqual(attached('ingress'), []);
  m.here(() => d.programs.ensure(m.from));
  assert.deepEqual(attached('ingress'), [d.id(m.from)]);
  for (const place of [m.to, m.from]) m.here(() => d.programs.remove(place));
  assert.deepEqual([...attached('ingress'), ...attached('egress')], []);
  assert.deepEqual(listPins(m.directory), []);
});

test('tcx: before what others have at the ingress, after it at the egress', { skip: skipTcx }, () => {
  using m = machine('order');
  const others = loadObjects(libbpf, { objects: [testObject('maps')] });
  const other = programOf(others, 'km_test_count');
  const held = m.here(() =>
    (['ingress', 'egress'] as const).map((direction) => attachTcx(other, { ifindex: m.outside, direction })),
  );
  using d = daemon(m.directory, true);
  for (const place of [m.to, m.from]) m.here(() => d.programs.ensure(place));
  const attached = (direction: 'ingress' | 'egress') => m.here(() => tcxPrograms({ ifindex: m.outside, direction }));
  assert.deepEqual(attached('ingress'), [d.id(m.from), programId(other)]);
  assert.deepEqual(attached('egress'), [programId(other), d.id(m.to)]);
  for (const link of held) link?.close();
  others.close();
});

test('clsact: a daemon that starts anew replaces its filter and leaves those of others', { skip }, () => {
  using m = machine('clsact');
  for (let round = 0; round < 2; round++) {
    using d = daemon(m.directory, false);
    for (const place of [m.to, m.from]) {
      assert.equal(
        m.here(() => d.programs.ensure(place)),
        true,
      );
      assert.equal(
        m.here(() => d.programs.ensure(place)),
        false,
      );
    }
    const [ingress, egress] = ['ingress', 'egress'].map((direction) => m.filters(m.node.name, 'host0', direction));
    assert.equal(ingress?.match(/handle/g)?.length, 1);
    assert.match(ingress ?? '', new RegExp(`pref 2 bpf .*km_from_pod.* id ${d.id(m.from)} `));
    assert.match(egress ?? '', new RegExp(`pref 50000 bpf .*km_to_pod.* id ${d.id(m.to)} `));
  }
  using d = daemon(m.directory, false);
  run('tc', '-n', m.node.name, 'filter', 'del', 'dev', 'host0', 'ingress');
  assert.equal(
    m.here(() => d.programs.runs(m.from)),
    false,
  );
  m.here(() => d.programs.ensure(m.from));
  assert.match(m.filters(m.node.name, 'host0', 'ingress'), /km_from_pod/);
  // A second daemon, which pins elsewhere, has filters of its own.
  using pins = testPins('clsact-other');
  using second = daemon(pins.path, false);
  m.here(() => second.programs.ensure(m.from));
  assert.equal(m.filters(m.node.name, 'host0', 'ingress').match(/handle/g)?.length, 2);
  for (const place of [m.to, m.from]) m.here(() => d.programs.remove(place));
  assert.equal(m.filters(m.node.name, 'host0', 'ingress').match(/handle/g)?.length, 1);
  assert.deepEqual(listPins(m.directory), []);
  m.here(() => second.programs.remove(m.from));
  assert.match(m.qdiscs(m.node.name, 'host0'), /clsact/, 'it was not empty when its maker left it');
  assert.deepEqual(listPins(pins.path), []);
});

test('clsact: the qdisc goes when it was made for us and is empty, and only then', { skip }, () => {
  using m = machine('qdisc');
  using d = daemon(m.directory, false);
  m.here(() => d.programs.ensure(m.to));
  m.here(() => d.programs.ensure(m.from));
  m.here(() => d.programs.remove(m.to));
  assert.match(m.qdiscs(m.node.name, 'host0'), /clsact/);
  m.here(() => d.programs.remove(m.from));
  assert.doesNotMatch(m.qdiscs(m.node.name, 'host0'), /clsact/);
  run('tc', '-n', m.node.name, 'qdisc', 'add', 'dev', 'host0', 'clsact');
  m.here(() => d.programs.ensure(m.from));
  m.here(() => d.programs.remove(m.from));
  assert.match(m.qdiscs(m.node.name, 'host0'), /clsact/, "somebody else's");
  run('tc', '-n', m.node.name, 'qdisc', 'del', 'dev', 'host0', 'clsact');
  run('tc', '-n', m.node.name, 'qdisc', 'add', 'dev', 'host0', 'ingress');
  assert.match(
    errorOf(() => m.here(() => d.programs.ensure(m.to))),
    /^KM4010 attach km_to_pod: device \d+ has an ingress qdisc$/,
  );
  assert.deepEqual(listPins(m.directory), []);
});

test('from clsact to tcx and back, with a program there all the time', { skip: skipTcx }, () => {
  using m = machine('kinds');
  const attached = () => ({
    tcx: m.here(() => tcxPrograms({ ifindex: m.outside, direction: 'ingress' })).length,
    clsact: m.filters(m.node.name, 'host0', 'ingress').includes('km_from_pod'),
  });
  for (const tcx of [false, true, false]) {
    using d = daemon(m.directory, tcx);
    m.here(() => d.programs.ensure(m.from));
    assert.deepEqual(attached(), { tcx: tcx ? 1 : 0, clsact: !tcx });
  }
});

for (const tcx of [true, false]) {
  const kind = tcx ? 'tcx' : 'clsact';
  test(`${kind}: programs in any namespace are found and removed by their record alone`, { skip }, () => {
    using m = machine(`any-${kind}`);
    const [toHost, fromHost] = placesOf(4711n, { side: 'inner', ifindex: m.inside });
    assert.ok(toHost && fromHost);
    using d = daemon(m.directory, tcx);
    for (const place of [m.to, m.from]) m.here(() => d.programs.ensure(place));
    for (const place of [toHost, fromHost]) withNetns(m.pod.path, () => void d.programs.ensure(place));
    assert.equal(recordedPlaces(m.directory).length, 4);
    removePlaces(libbpf, m.directory, recordedPlaces(m.directory));
    assert.deepEqual(listPins(m.directory), []);
    for (const [ns, device, ifindex] of [
      [m.node, 'host0', m.outside],
      [m.pod, 'eth0', m.inside],
    ] as const) {
      for (const direction of ['ingress', 'egress'] as const) {
        assert.equal(m.filters(ns.name, device, direction), '');
        assert.deepEqual(
          withNetns(ns.path, () => tcxPrograms({ ifindex, direction })),
          [],
        );
      }
      assert.doesNotMatch(m.qdiscs(ns.name, device), /clsact/);
    }
  });

  test(`${kind}: a device that is gone leaves a record that can be removed, and cannot be attached to`, {
    skip,
  }, () => {
    using m = machine(`gone-${kind}`);
    using d = daemon(m.directory, tcx);
    m.here(() => d.programs.ensure(m.from));
    run('ip', '-n', m.node.name, 'link', 'del', 'host0');
    assert.equal(
      m.here(() => d.programs.runs(m.from)),
      false,
    );
    assert.equal(
      m.here(() => d.programs.deviceExists(m.from)),
      false,
    );
    assert.match(
      errorOf(() => m.here(() => d.programs.ensure(m.from))),
      /^KM4010 /,
    );
    m.here(() => d.programs.remove(m.from));
    assert.deepEqual(listPins(m.directory), []);
    assert.equal(isPinned(join(m.directory, placeName(m.from))), false);
  });
}
