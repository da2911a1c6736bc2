/** Medians and spreads of what was measured in rounds. */

/** A value with how far apart the middle half of its samples is. */
export interface Summary {
  readonly median: number;
  /** First and third quartile. */
  readonly low: number;
  readonly high: number;
  readonly samples: number;
}

/** Linear interpolation between the two nearest samples; NaN when there are none. */
export function quantile(samples: readonly number[], q: number): number {
  const ordered = [...samples].sort((a, b) => a - b);
  const position = (ordered.length - 1) * q;
  const below = ordered[Math.floor(position)] ?? Number.NaN;
  const above = ordered[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position - Math.floor(position));
}

export const median = (samples: readonly number[]): number => quantile(samples, 0.5);

export function summary(samples: readonly number[]): Summary {
  return {
    median: median(samples),
    low: quantile(samples, 0.25),
    high: quantile(samples, 0.75),
    samples: samples.length,
  };
}

/** The ratios of the two series, round by round: what else the machine does meets both of one round alike. */
export function ratios(series: readonly number[], base: readonly number[]): number[] {
  return series.map((value, i) => value / (base[i] ?? Number.NaN));
}
