import { KmError } from '../../base/errors.ts';
import { type CodeRanges, foldAscii, hasNonAscii, negate, normalise } from './code-points.ts';

/**
 * RE2's syntax (github.com/google/re2/wiki/Syntax) as far as a full match needs it. Refused, each by its name:
 * back-references and look-around (RE2 has none either), word boundaries, Unicode classes, \C, the flags m and U, and
 * case-insensitive characters beyond ASCII.
 */
export type RegexNode =
  | { readonly kind: 'class'; readonly ranges: CodeRanges }
  | { readonly kind: 'sequence'; readonly items: readonly RegexNode[] }
  | { readonly kind: 'choice'; readonly items: readonly RegexNode[] }
  | { readonly kind: 'repeat'; readonly item: RegexNode; readonly min: number; readonly max: number | null }
  | { readonly kind: 'begin' | 'end' };

/** As RE2 has it: a count in braces is at most 1000, and so is the product of nested ones. */
const maxRepeat = 1000;
const maxPatternLength = 4096;
const maxNesting = 200;

const digit: CodeRanges = [[0x30, 0x39]];
const word: CodeRanges = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
/** RE2's \s has no vertical tab. */
const space: CodeRanges = [
  [0x09, 0x0a],
  [0x0c, 0x0d],
  [0x20, 0x20],
];
const perlClasses: Readonly<Record<string, CodeRanges>> = { d: digit, w: word, s: space };
const upper: CodeRanges = [[0x41, 0x5a]];
const lower: CodeRanges = [[0x61, 0x7a]];
const posixClasses: Readonly<Record<string, CodeRanges>> = {
  alnum: [...digit, ...upper, ...lower],
  alpha: [...upper, ...lower],
  ascii: [[0, 0x7f]],
  blank: [
    [0x09, 0x09],
    [0x20, 0x20],
  ],
  cntrl: [
    [0, 0x1f],
    [0x7f, 0x7f],
  ],
  digit,
  graph: [[0x21, 0x7e]],
  lower,
  print: [[0x20, 0x7e]],
  punct: [
    [0x21, 0x2f],
    [0x3a, 0x40],
    [0x5b, 0x60],
    [0x7b, 0x7e],
  ],
  space: [
    [0x09, 0x0d],
    [0x20, 0x20],
  ],
  upper,
  word,
  xdigit: [...digit, [0x41, 0x46], [0x61, 0x66]],
};
const controlEscapes: Readonly<Record<string, number>> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 };

interface Flags {
  readonly ignoreCase: boolean;
  readonly dotAll: boolean;
}

/** Reads a pattern. KM3010 says what is wrong or not supported, and where. */
export function parseRegex(pattern: string): RegexNode {
  return new Parser(pattern).parse();
}

class Parser {
  readonly #pattern: string;
  readonly #text: readonly string[];
  #at = 0;
  #nesting = 0;
  #flags: Flags = { ignoreCase: false, dotAll: false };

  constructor(pattern: string) {
    this.#pattern = pattern;
    if (pattern.length > maxPatternLength) this.#fail(`it is longer than ${maxPatternLength} characters`);
    if (!pattern.isWellFormed()) this.#fail('it is not well-formed Unicode');
    this.#text = [...pattern];
  }

  parse(): RegexNode {
    const node = this.#choice();
    if (this.#at < this.#text.length) this.#fail('unexpected )');
    checkRepeats(node, 1, (reason) => this.#fail(reason));
    return node;
  }

  #fail(reason: string): never {
    const text = this.#pattern.length > 80 ? `${this.#pattern.slice(0, 77)}...` : this.#pattern;
    throw new KmError('KM3010', `regular expression ${JSON.stringify(text)}: ${reason} (character ${this.#at + 1})`);
  }

  #peek(ahead = 0): string | undefined {
    return this.#text[this.#at + ahead];
  }

  #take(wanted: string): boolean {
    for (let i = 0; i < wanted.length; i++) if (this.#peek(i) !== wanted[i]) return false;
    this.#at += wanted.length;
    return true;
  }

  #choice(): RegexNode {
    const items = [this.#sequence()];
    while (this.#take('|')) items.push(this.#sequence());
    const [only] = items;
    return items.length === 1 && only !== undefined ? only : { kind: 'choice', items };
  }

  #sequence(): RegexNode {
    const items: RegexNode[] = [];
    for (;;) {
      const next = this.#peek();
      if (next === undefined || next === '|' || next === ')') return { kind: 'sequence', items };
      const atoms = this.#atoms();
      const last = atoms.pop();
      items.push(...atoms);
      if (last !== undefined) items.push(this.#repeats(last));
    }
  }

  /** One atom, or what \Q...\E quotes; none for a group of flags. */
  #atoms(): RegexNode[] {
    if (this.#take('\\Q')) {
      const quoted: RegexNode[] = [];
      while (this.#at < this.#text.length && !this.#take('\\E')) quoted.push(this.#literal(this.#next()));
      return quoted;
    }
    if (this.#take('\\E')) return [];
    const start = this.#next();
    switch (start) {
      case '(':
        return this.#group();
      case '[':
        return [{ kind: 'class', ranges: this.#bracket() }];
      case '.':
        return [{ kind: 'class', ranges: negate(this.#flags.dotAll ? [] : [[10, 10]]) }];
      case '^':
        return [{ kind: 'begin' }];
      case '$':
        return [{ kind: 'end' }];
      case '*':
      case '+':
      case '?':
        return this.#fail(`nothing to repeat before ${start}`);
      case '\\':
        return [this.#escape()];
      default:
        return [this.#literal(start)];
    }
  }

  #next(): string {
    const next = this.#peek();
    if (next === undefined) return this.#fail('it ends too early');
    this.#at++;
    return next;
  }

  #literal(character: string): RegexNode {
    return { kind: 'class', ranges: this.#folded([one(codePoint(character))]) };
  }

  #folded(ranges: CodeRanges): CodeRanges {
    if (!this.#flags.ignoreCase) return normalise(ranges);
    if (hasNonAscii(ranges)) this.#fail('characters beyond ASCII cannot be matched without case');
    return foldAscii(ranges);
  }

  #group(): RegexNode[] {
    const outside = this.#flags;
    if (++this.#nesting > maxNesting) this.#fail(`groups are nested deeper than ${maxNesting}`);
    if (this.#take('?')) {
      if (this.#peek() === '=' || this.#peek() === '!') this.#fail('look-ahead is not supported');
      if (this.#peek() === '<' && (this.#peek(1) === '=' || this.#peek(1) === '!')) {
        this.#fail('look-behind is not supported');
      }
      if (this.#take('P<') || this.#take('<')) this.#groupName();
      else if (this.#flagGroup()) {
        this.#nesting--;
        return [];
      }
    }
    const inner = this.#choice();
    if (!this.#take(')')) this.#fail('missing )');
    this.#flags = outside;
    this.#nesting--;
    return [inner];
  }

  #groupName(): void {
    let name = '';
    while (!this.#take('>')) name += this.#next();
    if (!/^[\p{L}\p{N}_]+$/u.test(name)) this.#fail('bad name of a group');
  }

  /** `?flags)` gives true, `?flags:` false; the flags are set. */
  #flagGroup(): boolean {
    let value = true;
    for (let count = 0; ; count++) {
      const flag = this.#next();
      if (flag === ':') return false;
      if (flag === ')' && count > 0) return true;
      if (flag === 'i') this.#flags = { ...this.#flags, ignoreCase: value };
      else if (flag === 's') this.#flags = { ...this.#flags, dotAll: value };
      else if (flag === '-' && value) value = false;
      else if ((flag === 'm' || flag === 'U') && !value) continue;
      else this.#fail(`the group (?${flag} is not supported`);
    }
  }

  #repeats(item: RegexNode): RegexNode {
    const range = this.#repeatRange();
    if (range === null) return item;
    // How much is taken first makes no difference to whether the whole text matches.
    this.#take('?');
    const before = this.#at;
    if (this.#repeatRange() !== null) {
      this.#at = before;
      this.#fail('two repetitions in a row');
    }
    return { kind: 'repeat', item, min: range[0], max: range[1] };
  }

  #repeatRange(): readonly [number, number | null] | null {
    if (this.#take('*')) return [0, null];
    if (this.#take('+')) return [1, null];
    if (this.#take('?')) return [0, 1];
    const braces = /^\{(\d{1,9})(,(\d{1,9})?)?\}/.exec(this.#text.slice(this.#at, this.#at + 24).join(''));
    // Braces that are no count stand for themselves.
    if (braces === null) return null;
    const min = Number(braces[1]);
    const max = braces[2] === undefined ? min : braces[3] === undefined ? null : Number(braces[3]);
    if (Math.max(min, max ?? 0) > maxRepeat) this.#fail(`a repetition of more than ${maxRepeat}`);
    if (max !== null && max < min) this.#fail('a repetition whose end is before its start');
    this.#at += braces[0].length;
    return [min, max];
  }

  #escape(): RegexNode {
    const next = this.#peek();
    if (next === 'A') {
      this.#at++;
      return { kind: 'begin' };
    }
    if (next === 'z') {
      this.#at++;
      return { kind: 'end' };
    }
    if (next === 'b' || next === 'B') this.#fail('word boundaries are not supported');
    if (next === 'C') this.#fail('\\C is not supported');
    const ranges = this.#classEscape();
    if (ranges !== null) return { kind: 'class', ranges };
    return { kind: 'class', ranges: this.#folded([one(this.#characterEscape())]) };
  }

  /** \d and its like, after the backslash. */
  #classEscape(): CodeRanges | null {
    const letter = this.#peek() ?? '';
    if (letter === 'p' || letter === 'P') this.#fail('Unicode classes are not supported');
    const ranges = perlClasses[letter.toLowerCase()];
    if (ranges === undefined) return null;
    this.#at++;
    const folded = this.#folded(ranges);
    return letter === letter.toLowerCase() ? folded : negate(folded);
  }

  #characterEscape(): number {
    const letter = this.#next();
    const control = controlEscapes[letter];
    if (control !== undefined) return control;
    if (letter === 'x') return this.#hexEscape();
    if (/[0-7]/.test(letter)) {
      // \1 to \7 alone would be a back-reference; RE2 reads an octal number of two digits or more, or one after 0.
      if (letter !== '0' && !/[0-7]/.test(this.#peek() ?? '')) this.#fail('back-references are not supported');
      let digits = letter;
      while (digits.length < 3 && /[0-7]/.test(this.#peek() ?? '')) digits += this.#next();
      return Number.parseInt(digits, 8);
    }
    if (/[89]/.test(letter)) this.#fail('back-references are not supported');
    if (/[A-Za-z]/.test(letter) || codePoint(letter) >= 0x80) this.#fail(`unknown escape \\${letter}`);
    return codePoint(letter);
  }

  #hexEscape(): number {
    let digits = '';
    if (this.#take('{')) while (!this.#take('}')) digits += this.#next();
    else digits = this.#next() + this.#next();
    const value = /^[0-9A-Fa-f]{1,8}$/.test(digits) ? Number.parseInt(digits, 16) : 0x110000;
    if (value > 0x10ffff) this.#fail('bad \\x escape');
    return value;
  }

  /** After `[`. */
  #bracket(): CodeRanges {
    const negated = this.#take('^');
    const positive: CodeRanges[number][] = [];
    const ready: CodeRanges[number][] = [];
    for (let first = true; first || this.#peek() !== ']'; first = false) {
      if (this.#peek() === undefined) this.#fail('missing ]');
      if (this.#peek() === '[' && this.#peek(1) === ':') {
        const ranges = this.#posixClass();
        if (ranges !== null) {
          ready.push(...ranges);
          continue;
        }
      }
      const low = this.#bracketItem();
      if (typeof low !== 'number') {
        ready.push(...low);
        continue;
      }
      if (this.#peek() !== '-' || this.#peek(1) === ']' || this.#peek(1) === undefined) {
        positive.push(one(low));
        continue;
      }
      this.#at++;
      const high = this.#bracketItem();
      if (typeof high !== 'number' || high < low) return this.#fail('bad range in a class');
      positive.push([low, high]);
    }
    this.#at++;
    const ranges = normalise([...this.#folded(positive), ...ready]);
    return negated ? negate(ranges) : ranges;
  }

  #bracketItem(): number | CodeRanges {
    if (!this.#take('\\')) return codePoint(this.#next());
    return this.#classEscape() ?? this.#characterEscape();
  }

  #posixClass(): CodeRanges | null {
    const found = /^\[:(\^?)([a-z]+):\]/.exec(this.#text.slice(this.#at, this.#at + 14).join(''));
    if (found === null) return null;
    const ranges = posixClasses[found[2] ?? ''];
    if (ranges === undefined) return this.#fail(`unknown class ${found[0]}`);
    this.#at += found[0].length;
    const folded = this.#folded(ranges);
    return found[1] === '^' ? negate(folded) : folded;
  }
}

const one = (code: number): readonly [number, number] => [code, code];
const codePoint = (character: string): number => character.codePointAt(0) ?? 0;

function checkRepeats(node: RegexNode, factor: number, fail: (reason: string) => never): void {
  if (node.kind === 'repeat') {
    const count = Math.max(node.min, node.max ?? 1, 1);
    if (count * factor > maxRepeat) fail(`nested repetitions of more than ${maxRepeat}`);
    checkRepeats(node.item, factor * count, fail);
  } else if (node.kind === 'sequence' || node.kind === 'choice') {
    for (const item of node.items) checkRepeats(item, factor, fail);
  }
}
