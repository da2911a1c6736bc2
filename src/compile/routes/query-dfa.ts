import { compact, type Dfa, type DfaState, deadState, step } from './dfa.ts';
import { minimise } from './minimise.ts';

/**
 * From an automaton over a parameter's value, one over a whole query (`a=1&b=2`): it says what the value automaton says of
 * the first parameter of that name, and 0 without one. A name without `=` has an empty value; between `&` and `&` stands a
 * parameter with an empty name (as Envoy splits a query).
 */
export function queryDfa(name: string, value: Dfa): Dfa {
  const bytes = Buffer.from(name, 'utf8');
  // Such a name cannot be written in a query that is not decoded.
  if (bytes.includes(ampersand) || bytes.includes(equals)) {
    return { classes: new Uint8Array(256), classCount: 1, start: 0, states: [deadState] };
  }
  return minimise(new QueryDfa(bytes, value).build());
}

const ampersand = 0x26;
const equals = 0x3d;

class QueryDfa {
  readonly #name: Buffer;
  readonly #value: Dfa;
  readonly #classes = new Uint8Array(256);
  /** A byte of each class. */
  readonly #bytes: number[] = [];
  /** Sinks by output, numbered after the other states. */
  readonly #sinks = new Map<number, number>();
  readonly #firstValue: number;
  readonly #firstSink: number;

  constructor(name: Buffer, value: Dfa) {
    this.#name = name;
    this.#value = value;
    const classOf = new Map<string, number>();
    for (let byte = 0; byte < 256; byte++) {
      const special = byte === ampersand || byte === equals || name.includes(byte);
      const key = special ? `byte ${byte}` : String(value.classes[byte]);
      const known = classOf.get(key) ?? this.#bytes.push(byte) - 1;
      classOf.set(key, known);
      this.#classes[byte] = known;
    }
    // 0 dead, 1 to n + 1 before a byte of the name or behind it, n + 2 in another parameter, then the value's states.
    this.#firstValue = name.length + 3;
    this.#firstSink = this.#firstValue + value.states.length;
  }

  build(): Dfa {
    const states: DfaState[] = [deadState];
    for (let at = 0; at <= this.#name.length; at++) states.push(this.#inName(at));
    states.push(this.#state((byte) => (byte === ampersand ? 1 : this.#name.length + 2), 0));
    for (let id = 0; id < this.#value.states.length; id++) states.push(this.#inValue(id));
    for (const [output, id] of this.#sinks) states.push(this.#state(() => id, output));
    return { classes: this.#classes, classCount: this.#bytes.length, start: 1, states };
  }

  #inName(at: number): DfaState {
    const empty = this.#value.states[this.#value.start]?.output ?? 0;
    const complete = at === this.#name.length;
    const target = (byte: number): number => {
      if (complete && byte === equals) return this.#valueState(this.#value.start);
      if (byte === ampersand) return complete ? this.#sink(empty) : 1;
      return !complete && byte === this.#name[at] ? at + 2 : this.#name.length + 2;
    };
    // Behind the last `&` stands no parameter, not even one with an empty name.
    return this.#state(target, complete && at > 0 ? empty : 0);
  }

  #inValue(id: number): DfaState {
    const { output } = this.#value.states[id] ?? deadState;
    const target = (byte: number): number =>
      byte === ampersand ? this.#sink(output) : this.#valueState(step(this.#value, id, this.#value.classes[byte] ?? 0));
    return this.#state(target, output);
  }

  #valueState(id: number): number {
    return id === 0 ? 0 : this.#firstValue + id;
  }

  #sink(output: number): number {
    if (output === 0) return 0;
    const known = this.#sinks.get(output) ?? this.#firstSink + this.#sinks.size;
    this.#sinks.set(output, known);
    return known;
  }

  #state(target: (byte: number) => number, output: number): DfaState {
    const row = this.#bytes.map((byte, byteClass) => [byteClass, target(byte)] as const);
    return compact(row, 0, this.#bytes.length, output);
  }
}
