/** RouteMatch and its matchers. */
import type { HttpMatch } from '../../../model/http.ts';
import type { HeaderMatch, PathMatch, QueryMatch, TextMatch, ValueMatch } from '../../../model/route-match.ts';
import { headerNameProblem, pathProblem } from '../../kinds/http.ts';
import {
  type FractionalPercent,
  FractionalPercentDenominatorType,
  type HeaderMatcher,
  HeaderMatcherSchema,
  type QueryParameterMatcher,
  type RouteMatch,
  RouteMatchSchema,
  type StringMatcher,
} from '../gen/messages.gen.ts';
import { FieldUse, refuse } from '../refusal.ts';

const use = new FieldUse(RouteMatchSchema, {
  read: 'prefix path safe_regex path_separated_prefix case_sensitive runtime_fraction headers query_parameters',
});
const headerUse = new FieldUse(HeaderMatcherSchema, {
  read: `name invert_match treat_missing_header_as_empty exact_match safe_regex_match range_match present_match prefix_match
    suffix_match contains_match string_match`,
});

const fullShare = 1_000_000;

/** Throws FieldError. */
export function matchOf(message: RouteMatch | undefined, path: string): HttpMatch {
  if (message === undefined) return refuse(path, 'missing');
  use.check(message, `${path}.`, []);
  const where = pathOf(message, path);
  const methods: string[] = [];
  const headers: HeaderMatch[] = [];
  for (const [i, one] of message.headers.entries()) {
    const field = `${path}.headers[${i}]`;
    headerUse.check(one, `${field}.`, []);
    if (one.name.toLowerCase() === ':method') methods.push(...methodsOf(one, field, methods));
    else headers.push(headerOf(one, field));
  }
  const query = message.queryParameters.map((one, i) => queryOf(one, `${path}.query_parameters[${i}]`));
  const share = message.runtimeFraction?.defaultValue;
  const fraction = share === undefined ? fullShare : millionths(share, `${path}.runtime_fraction.default_value`);
  return {
    ...(where === null ? {} : { path: where }),
    ...(methods.length === 0 ? {} : { methods }),
    ...(headers.length === 0 ? {} : { headers }),
    ...(query.length === 0 ? {} : { query }),
    ...(fraction >= fullShare ? {} : { fraction }),
  };
}

const parts: Readonly<Record<number, number>> = {
  [FractionalPercentDenominatorType.HUNDRED]: 100,
  [FractionalPercentDenominatorType.TEN_THOUSAND]: 10_000,
  [FractionalPercentDenominatorType.MILLION]: 1_000_000,
};

export function millionths({ numerator, denominator }: FractionalPercent, path: string): number {
  const of = parts[denominator] ?? refuse(`${path}.denominator`, `unknown value ${denominator}`);
  return Math.min(fullShare, Math.round((numerator / of) * fullShare));
}

function pathOf({ pathSpecifier, caseSensitive }: RouteMatch, path: string): PathMatch | null {
  const ignoreCase = caseSensitive === false ? { ignoreCase: true } : {};
  const written = (value: string, field: string): string => {
    const problem = value === '' ? '' : pathProblem(value, false);
    return problem === '' ? value : refuse(`${path}.${field}`, problem);
  };
  switch (pathSpecifier.case) {
    case 'prefix': {
      const value = written(pathSpecifier.value, 'prefix');
      return value === '' || value === '/' ? null : { kind: 'prefix', value, ...ignoreCase };
    }
    case 'path':
      return { kind: 'exact', value: written(pathSpecifier.value, 'path'), ...ignoreCase };
    case 'pathSeparatedPrefix':
      return { kind: 'segments', value: written(pathSpecifier.value, 'path_separated_prefix'), ...ignoreCase };
    case 'safeRegex':
      return { kind: 'regex', pattern: pathSpecifier.value.regex };
    default:
      return refuse(path, 'path_specifier is missing');
  }
}

function methodsOf(matcher: HeaderMatcher, field: string, before: readonly string[]): string[] {
  if (before.length > 0) refuse(field, 'a second condition on :method is not supported');
  const { match } = headerOf({ ...matcher, name: 'method' }, field);
  if (matcher.invertMatch) refuse(`${field}.invert_match`, 'not supported for :method');
  if (match.kind === 'exact' && match.ignoreCase !== true) return [match.value];
  if (match.kind === 'regex' && /^[A-Z]+(\|[A-Z]+)*$/.test(match.pattern)) return match.pattern.split('|');
  return refuse(field, 'only exact methods are supported');
}

function headerOf(matcher: HeaderMatcher, field: string): HeaderMatch {
  const name = matcher.name.toLowerCase();
  const problem = headerNameProblem(name);
  if (problem !== '') refuse(`${field}.name`, `${problem}: ${JSON.stringify(matcher.name)}`);
  return {
    name,
    match: conditionOf(matcher, field),
    ...(matcher.invertMatch ? { invert: true } : {}),
    ...(matcher.treatMissingHeaderAsEmpty ? { missingAsEmpty: true } : {}),
  };
}

function conditionOf({ headerMatchSpecifier: one }: HeaderMatcher, field: string): ValueMatch {
  switch (one.case) {
    case undefined:
      return { kind: 'present' };
    case 'presentMatch':
      return { kind: one.value ? 'present' : 'absent' };
    case 'exactMatch':
      return { kind: 'exact', value: one.value };
    case 'prefixMatch':
      return { kind: 'prefix', value: one.value };
    case 'suffixMatch':
      return { kind: 'suffix', value: one.value };
    case 'containsMatch':
      return { kind: 'contains', value: one.value };
    case 'safeRegexMatch':
      return { kind: 'regex', pattern: one.value.regex };
    case 'rangeMatch':
      return { kind: 'range', start: one.value.start, end: one.value.end };
    case 'stringMatch':
      return textOf(one.value, `${field}.string_match`);
  }
}

function textOf({ matchPattern: one, ignoreCase }: StringMatcher, field: string): TextMatch {
  switch (one.case) {
    case 'exact':
    case 'prefix':
    case 'suffix':
    case 'contains':
      return { kind: one.case, value: one.value, ...(ignoreCase ? { ignoreCase: true } : {}) };
    case 'safeRegex':
      return { kind: 'regex', pattern: one.value.regex };
    case 'custom':
      return refuse(`${field}.custom`, 'not supported');
    default:
      return refuse(field, 'empty');
  }
}

function queryOf({ name, queryParameterMatchSpecifier: one }: QueryParameterMatcher, field: string): QueryMatch {
  if (name === '') refuse(`${field}.name`, 'missing');
  if (one.case === 'stringMatch') return { name, match: textOf(one.value, `${field}.string_match`) };
  if (one.case === 'presentMatch' && !one.value) refuse(`${field}.present_match`, 'false is not supported');
  return { name, match: { kind: 'present' } };
}
