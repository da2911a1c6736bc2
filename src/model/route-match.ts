/** Conditions on the parts of an HTTP request, as Envoy has them (envoy/config/route/v3, envoy/type/matcher/v3). */

/** A condition on a text. `ignoreCase` folds ASCII letters only. A regular expression is RE2's and matches the whole text. */
export type TextMatch =
  | {
      readonly kind: 'exact' | 'prefix' | 'suffix' | 'contains';
      readonly value: string;
      readonly ignoreCase?: boolean;
    }
  | { readonly kind: 'regex'; readonly pattern: string };

/**
 * A condition on the path, without its query. `prefix` compares characters, `segments` whole segments: `/a` takes `/a`
 * and `/a/b`, not `/ab` (Envoy's path_separated_prefix, the Gateway API's PathPrefix).
 */
export type PathMatch =
  | { readonly kind: 'exact' | 'prefix' | 'segments'; readonly value: string; readonly ignoreCase?: boolean }
  | { readonly kind: 'regex'; readonly pattern: string };

/** `range` takes a decimal integer with start <= value < end. */
export type ValueMatch =
  | TextMatch
  | { readonly kind: 'range'; readonly start: bigint; readonly end: bigint }
  | { readonly kind: 'present' }
  | { readonly kind: 'absent' };

/**
 * A condition on a request header. Several values of one name count as one text, joined with a comma in the order of the
 * request. A header that is missing matches nothing, not even inverted, but `absent`; with `missingAsEmpty` it is an
 * empty text (Envoy's treat_missing_header_as_empty, which Istio's withoutHeaders sets).
 */
export interface HeaderMatch {
  /** Compared without case. */
  readonly name: string;
  readonly match: ValueMatch;
  readonly invert?: boolean;
  readonly missingAsEmpty?: boolean;
}

/** A condition on the first query parameter of a name; both stay percent-encoded. `a` and `a=` have an empty value. */
export interface QueryMatch {
  readonly name: string;
  readonly match: TextMatch | { readonly kind: 'present' };
}
