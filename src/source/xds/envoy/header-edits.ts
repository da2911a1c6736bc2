/** request_headers_to_add and _to_remove, of one level or several. */
import type { HeaderEdits } from '../../../model/http.ts';
import { noEdits } from '../../../model/route-objects.ts';
import { framing, headerNameProblem, maxText } from '../../kinds/http.ts';
import type { HeaderValueOption } from '../gen/messages.gen.ts';
import { refuse } from '../refusal.ts';

export interface EditLevel {
  /** Where it is, for messages. */
  readonly path: string;
  readonly requestHeadersToAdd: readonly HeaderValueOption[];
  readonly requestHeadersToRemove: readonly string[];
}

/** HeaderValueOption.HeaderAppendAction */
const append = { add: 0, addIfAbsent: 1, set: 2, setIfPresent: 3 } as const;

/** The most specific level first. Throws FieldError, also when two levels change one header: their order would matter. */
export function editsOf(levels: readonly EditLevel[]): HeaderEdits {
  const set: [string, string][] = [];
  const add: [string, string][] = [];
  const remove: string[] = [];
  const owner = new Map<string, string>();
  const claim = (name: string, path: string, field: string): void => {
    checkName(name, field);
    const key = name.toLowerCase();
    const other = owner.get(key);
    if (other !== undefined && other !== path) refuse(field, `${name} is changed by ${other} as well`);
    owner.set(key, path);
  };
  for (const { path, requestHeadersToAdd, requestHeadersToRemove } of levels) {
    for (const [i, name] of requestHeadersToRemove.entries()) {
      claim(name, path, `${path}.request_headers_to_remove[${i}]`);
      remove.push(name);
    }
    for (const [i, option] of requestHeadersToAdd.entries()) {
      const field = `${path}.request_headers_to_add[${i}]`;
      const name = option.header?.key ?? '';
      claim(name, path, `${field}.header.key`);
      const value = textOf(option, field);
      if (value === '' && !option.keepEmptyValue) continue;
      (isSet(option, field) ? set : add).push([name, value]);
    }
  }
  return set.length + add.length + remove.length === 0 ? noEdits : { set, add, remove };
}

function isSet({ append: old, appendAction }: HeaderValueOption, field: string): boolean {
  if (old !== undefined) return !old;
  if (appendAction === append.add) return false;
  if (appendAction === append.set) return true;
  return refuse(`${field}.append_action`, `${appendAction} is not supported`);
}

function checkName(name: string, field: string): void {
  const problem = headerNameProblem(name);
  if (problem !== '') refuse(field, `${problem}: ${JSON.stringify(name)}`);
  if (framing.has(name.toLowerCase())) refuse(field, `${name} cannot be changed`);
}

/** Envoy takes `%` for an operator; `%%` is one `%`. */
function textOf({ header }: HeaderValueOption, field: string): string {
  const { value = '', rawValue } = header ?? {};
  const text = value === '' && rawValue !== undefined ? Buffer.from(rawValue).toString('latin1') : value;
  if (/[\0\r\n]/.test(text)) refuse(`${field}.header.value`, 'line ends and zero bytes are not possible');
  if (Buffer.byteLength(text) > maxText) refuse(`${field}.header.value`, `more than ${maxText} bytes`);
  if (text.replaceAll('%%', '').includes('%')) refuse(`${field}.header.value`, `operators are not supported: ${text}`);
  return text.replaceAll('%%', '%');
}
