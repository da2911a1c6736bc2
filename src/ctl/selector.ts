/** Label selectors with the grammar of `kubectl -l`: equality (`a=b`, `a!=b`) and sets (`a in (b,c)`, `a`, `!a`). */
import { KmError } from '../base/errors.ts';

export type Labels = Readonly<Record<string, string>>;
export type Selector = (labels: Labels) => boolean;

const namePattern = /^(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const valuePattern = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

/** All requirements must hold. As in Kubernetes, `a!=b` and `a notin (b)` hold where there is no `a`. Throws KM6005. */
export function parseSelector(text: string): Selector {
  const tokens = text.match(/==|!=|[(),=!]|[^\s(),=!]+/g) ?? [];
  const requirements: Selector[] = [];
  let at = 0;
  const fail = (wanted: string): KmError => {
    const found = tokens[at] === undefined ? 'its end' : JSON.stringify(tokens[at]);
    return new KmError('KM6005', `selector ${JSON.stringify(text)}: ${wanted} is missing before ${found}`);
  };
  const take = (token: string): boolean => {
    if (tokens[at] !== token) return false;
    at++;
    return true;
  };
  const word = (pattern: RegExp, what: string): string => {
    const token = tokens[at];
    if (token === undefined || /^[(),=!]/.test(token)) throw fail(what);
    if (!pattern.test(token)) {
      throw new KmError('KM6005', `selector ${JSON.stringify(text)}: ${JSON.stringify(token)} is not ${what}`);
    }
    at++;
    return token;
  };
  const value = (): string => {
    const next = tokens[at];
    return next === undefined || next === ',' || next === ')' ? '' : word(valuePattern, 'a label value');
  };
  const set = (): ReadonlySet<string> => {
    if (!take('(')) throw fail('"("');
    const values = new Set([value()]);
    while (take(',')) values.add(value());
    if (!take(')')) throw fail('")"');
    return values;
  };
  const requirement = (): Selector => {
    if (take('!')) {
      const key = word(namePattern, 'a label key');
      return (labels) => !Object.hasOwn(labels, key);
    }
    const key = word(namePattern, 'a label key');
    if (take('=') || take('==')) {
      const wanted = value();
      return (labels) => Object.hasOwn(labels, key) && labels[key] === wanted;
    }
    if (take('!=')) {
      const unwanted = value();
      return (labels) => !Object.hasOwn(labels, key) || labels[key] !== unwanted;
    }
    if (take('in')) {
      const wanted = set();
      return (labels) => Object.hasOwn(labels, key) && wanted.has(labels[key] ?? '');
    }
    if (take('notin')) {
      const unwanted = set();
      return (labels) => !Object.hasOwn(labels, key) || !unwanted.has(labels[key] ?? '');
    }
    return (labels) => Object.hasOwn(labels, key);
  };
  if (tokens.length > 0) {
    do requirements.push(requirement());
    while (take(','));
    if (at < tokens.length) throw fail('","');
  }
  return (labels) => requirements.every((holds) => holds(labels));
}
