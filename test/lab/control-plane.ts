/** A control plane in a lab's node, whose resources tests set as messages. */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { create, type Message, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import type { Step } from '../../src/source/xds/testing-hostile.ts';
import type { Lab } from './lab.ts';
import type { LabProcess } from './process.ts';

export class LabControlPlane {
  readonly address = '127.0.0.1:15010';
  readonly #file: string;
  readonly #resources = new Map<string, { name: string; typeUrl: string; value: string }>();
  #serial = 0;
  #lab: Lab;
  process: LabProcess;

  private constructor(lab: Lab, file: string, process_: LabProcess) {
    this.#lab = lab;
    this.#file = file;
    this.process = process_;
  }

  static async start(lab: Lab): Promise<LabControlPlane> {
    const file = join(lab.directory, 'control-plane.json');
    writeFileSync(file, JSON.stringify({ serial: 0, resources: [], steps: [] }));
    const plane = new LabControlPlane(lab, file, spawn(lab, file));
    await plane.process.line(/^ready$/);
    return plane;
  }

  /** After {@link LabControlPlane.stop}: on the same port, with what it held. */
  async restart(): Promise<void> {
    this.process = spawn(this.#lab, this.#file);
    await this.process.line(/^ready$/);
  }

  async stop(): Promise<void> {
    await this.process.kill('SIGKILL');
  }

  set<T extends Message>(schema: GenMessage<T>, name: string, message: MessageInitShape<GenMessage<T>>): this {
    const typeUrl = `type.googleapis.com/${schema.typeName}`;
    const value = Buffer.from(toBinary(schema, create(schema, message))).toString('base64');
    return this.put({ name, typeUrl, value });
  }

  put(resource: { readonly name: string; readonly typeUrl: string; readonly value: string }): this {
    this.#resources.set(`${resource.typeUrl} ${resource.name}`, { ...resource });
    return this;
  }

  /** Takes away every resource of a name, whatever its type. */
  drop(name: string): this {
    for (const [key, one] of this.#resources) if (one.name === name) this.#resources.delete(key);
    return this;
  }

  remove<T extends Message>(schema: GenMessage<T>, name: string): this {
    this.#resources.delete(`type.googleapis.com/${schema.typeName} ${name}`);
    return this;
  }

  /** Sends what changed, and waits until it is on the wire; then takes these steps. */
  async push(...steps: readonly Step[]): Promise<void> {
    this.#serial += 1;
    writeFileSync(
      `${this.#file}.tmp`,
      JSON.stringify({ serial: this.#serial, resources: [...this.#resources.values()], steps }),
    );
    renameSync(`${this.#file}.tmp`, this.#file);
    await this.process.line(new RegExp(`^pushed ${this.#serial}$`));
  }
}

function spawn(lab: Lab, file: string): LabProcess {
  const program = join(import.meta.dirname, 'servers/control-plane.ts');
  return lab.node.spawn([process.execPath, program, '127.0.0.1', '15010', file]);
}
