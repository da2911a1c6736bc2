/** Syntax of names, labels and host names: RFC 1123, RFC 6335 and Kubernetes' rules on top of them. */

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

/** Why a text is no DNS label, or an empty text when it is one. */
export function dnsLabelProblem(text: string): string {
  if (text.length > 63) return `must have at most 63 characters, not ${text.length}`;
  return label.test(text) ? '' : "must be lower-case letters, digits and '-', with a letter or digit at both ends";
}

/** Why a text is no DNS name (labels with dots between), or an empty text when it is one. */
export function dnsNameProblem(text: string): string {
  if (text.length > 253) return `must have at most 253 characters, not ${text.length}`;
  const good = text.split('.').every((part) => label.test(part));
  return good
    ? ''
    : "must be lower-case letters, digits, '-' and '.', with a letter or digit at both ends of every part";
}

/** Why a text is no name of a container port (RFC 6335 5.1), or an empty text when it is one. */
export function portNameProblem(text: string): string {
  if (text.length > 15) return `must have at most 15 characters, not ${text.length}`;
  const good = label.test(text) && /[a-z]/.test(text) && !text.includes('--');
  return good ? '' : "must be lower-case letters, digits and single '-', with at least one letter";
}

/** Why a text is no label key, or an empty text when it is one. */
export function labelKeyProblem(text: string): string {
  const slash = text.indexOf('/');
  const name = text.slice(slash + 1);
  if (slash >= 0 && dnsNameProblem(text.slice(0, slash)) !== '') return 'the part before / must be a DNS name';
  if (name === '' || name.length > 63 || !labelValue.test(name)) {
    return "the name must be 1 to 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends";
  }
  return '';
}

/** Why a text is no label value, or an empty text when it is one. */
export function labelValueProblem(text: string): string {
  if (text.length > 63) return `must have at most 63 characters, not ${text.length}`;
  return labelValue.test(text) ? '' : "must be letters, digits, '-', '_' or '.', with a letter or digit at both ends";
}

/** Why a text is no host of a ServiceEntry (a DNS name, its first label may be `*`), or an empty text when it is one. */
export function hostProblem(text: string): string {
  if (text === '*') return 'must name a host; * alone is not supported';
  return dnsNameProblem(text.startsWith('*.') ? text.slice(2) : text);
}
