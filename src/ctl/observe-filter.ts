/** Which requests `kmeshctl observe` shows, by hubble's flags: values of one flag are alternatives, flags all hold. */
import type { RequestItem, RequestParty } from '../api/types.ts';
import { KmError } from '../base/errors.ts';

export interface FilterOptions {
  readonly pod: readonly string[];
  readonly fromPod: readonly string[];
  readonly toPod: readonly string[];
  readonly namespace: readonly string[];
  readonly fromNamespace: readonly string[];
  readonly toNamespace: readonly string[];
  readonly toService: readonly string[];
  readonly fromIp: readonly string[];
  readonly toIp: readonly string[];
  readonly httpStatus: readonly string[];
  readonly httpMethod: readonly string[];
  readonly httpPath: readonly string[];
}

export type RequestFilter = (item: RequestItem) => boolean;

/** KM6005 for a value that is none. */
export function requestFilter(options: FilterOptions): RequestFilter {
  const from = (test: Of<RequestParty>) => (item: RequestItem) => test(item.source);
  const to = (test: Of<RequestParty>) => (item: RequestItem) => test(item.destination);
  const either = (test: Of<RequestParty>) => (item: RequestItem) => test(item.source) || test(item.destination);
  const inNamespace = (name: string) => (party: RequestParty) => party.namespace === name;
  const filters: readonly RequestFilter[] = [
    anyOf(options.pod, (value) => either(isPod(value))),
    anyOf(options.fromPod, (value) => from(isPod(value))),
    anyOf(options.toPod, (value) => to(isPod(value))),
    anyOf(options.namespace, (value) => either(inNamespace(value))),
    anyOf(options.fromNamespace, (value) => from(inNamespace(value))),
    anyOf(options.toNamespace, (value) => to(inNamespace(value))),
    anyOf(options.toService, isService),
    anyOf(options.fromIp, (value) => (item) => ipOf(item.source.address) === value),
    anyOf(options.toIp, (value) => (item) => {
      return item.destination.address !== null && ipOf(item.destination.address) === value;
    }),
    anyOf(options.httpStatus, isStatus),
    anyOf(options.httpMethod, (value) => (item) => item.method === value.toUpperCase()),
    anyOf(options.httpPath, isPath),
  ];
  return (item) => filters.every((filter) => filter(item));
}

type Of<T> = (value: T) => boolean;

function anyOf(values: readonly string[], make: (value: string) => RequestFilter): RequestFilter {
  const tests = values.map(make);
  return tests.length === 0 ? () => true : (item) => tests.some((test) => test(item));
}

/** `[NAMESPACE/]POD`; the beginning of a name is enough, as with hubble. */
function isPod(value: string): Of<RequestParty> {
  const [namespace, name] = namePair(value);
  return (party) => party.workload?.startsWith(name) === true && (namespace === null || party.namespace === namespace);
}

function isService(value: string): RequestFilter {
  const [namespace, name] = namePair(value);
  return ({ service }) => {
    if (service === null) return false;
    const [ns, own] = namePair(service);
    return own.startsWith(name) && (namespace === null || ns === namespace);
  };
}

function namePair(value: string): readonly [namespace: string | null, name: string] {
  const slash = value.indexOf('/');
  return slash < 0 ? [null, value] : [value.slice(0, slash), value.slice(slash + 1)];
}

/** `404`, or `5+` for 500 to 599. */
function isStatus(value: string): RequestFilter {
  if (!/^([1-9][0-9]{2}|[1-9][0-9]?\+)$/.test(value)) {
    throw new KmError('KM6005', `--http-status ${JSON.stringify(value)} is neither a status such as 404 nor 4+`);
  }
  const begin = value.replace('+', '');
  return ({ status }) => (value.endsWith('+') ? String(status).startsWith(begin) : String(status) === begin);
}

function isPath(value: string): RequestFilter {
  try {
    const pattern = new RegExp(value);
    return ({ path }) => pattern.test(path);
  } catch (cause) {
    throw new KmError('KM6005', `--http-path ${JSON.stringify(value)} is no regular expression`, { cause });
  }
}

const ipOf = (address: string): string => address.replace(/:[0-9]+$/, '').replace(/^\[|\]$/g, '');
