/**
 * `control-plane.ts HOST PORT FILE`: a control plane that holds what FILE says and sends what changes, in both dialects of
 * ADS. FILE is JSON: `{serial, resources: [{name, typeUrl, value}], steps}`, values in base64; it is read whenever it is
 * replaced. `steps` is what it does on the newest stream besides, good or bad ({@link Step}). Prints `ready`, `pushed SERIAL`,
 * `stream N`, `ACK TYPE` or `NACK TYPE TEXT` for each answer, and `answer NONCE` and the same.
 */
import { readFileSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { type FakeStream, HoldingControlPlane } from '../../../src/source/xds/testing.ts';
import { bytesOf, type Step } from '../../../src/source/xds/testing-hostile.ts';
import * as types from '../../../src/source/xds/type-urls.ts';

interface Written {
  readonly serial: number;
  readonly resources: readonly { readonly name: string; readonly typeUrl: string; readonly value: string }[];
  readonly steps: readonly Step[];
}

const [host = '127.0.0.1', port = '15010', file = ''] = process.argv.slice(2);
/** Removals go the other way round, but what is gone is in no route by then. */
const order = [
  types.addressType,
  types.authorizationType,
  types.clusterType,
  types.endpointType,
  types.listenerType,
  types.routeType,
];

const plane = await HoldingControlPlane.start(host, Number(port));
let held = new Map<string, Written['resources'][number]>();
let serial = 0;
let told = 0;

function read(): void {
  const written = JSON.parse(readFileSync(file, 'utf8')) as Written;
  if (written.serial === serial) return;
  serial = written.serial;
  const next = new Map(written.resources.map((one) => [`${one.typeUrl} ${one.name}`, one]));
  for (const [key, one] of held) if (!next.has(key)) plane.remove(one.typeUrl, one.name);
  for (const [key, one] of next) {
    if (held.get(key)?.value === one.value) continue;
    plane.put(one.name, create(AnySchema, { typeUrl: one.typeUrl, value: Buffer.from(one.value, 'base64') }));
  }
  held = next;
  plane.push(...order);
  console.log(`pushed ${serial}`);
  play(written.steps);
}

/** A client whose stream was ended comes back first. */
function play(steps: readonly Step[]): void {
  const stream = plane.plane.streams.at(-1);
  if (steps.length === 0) return;
  if (stream === undefined || stream.closed) {
    setTimeout(() => play(steps), 10);
    return;
  }
  for (const step of steps) act(stream, step);
}

function act(stream: FakeStream, step: Step): void {
  if ('fail' in step) stream.fail(step.fail, 'the script says so');
  else if ('end' in step) stream.end();
  else stream.sendRaw(bytesOf(step) ?? Buffer.alloc(0));
}

read();
watch(dirname(file), (_, name) => {
  if (name === basename(file)) read();
});
plane.onAnswer = (): void => {
  for (const { typeUrl, nonce, nack } of plane.answers.slice(told)) {
    const said = nack === null ? `ACK ${types.shortType(typeUrl)}` : `NACK ${types.shortType(typeUrl)} ${nack}`;
    console.log(`${said}\nanswer ${nonce} ${said}`);
  }
  told = plane.answers.length;
};
plane.onStream = () => console.log(`stream ${plane.streams}`);
console.log('ready');
