/** Where a field is within an object: keys and indexes from its root. */
export type FieldPath = readonly (string | number)[];

/** `spec.ports[0].port`; an index of -1 is written `[]`, and a key that is no plain word in quotes and brackets. */
export function fieldText(path: FieldPath): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += step < 0 ? '[]' : `[${step}]`;
    else if (/^[\w-]+$/.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}
