import { KmError } from '../base/errors.ts';

/** `0B`, `1.5KiB`, `12MiB`: three digits at most. */
export function humanBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
  let value = bytes;
  let unit = 0;
  // 1023.5 would be written as 1024.
  while (value >= 1023.5 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const text = unit === 0 || value >= 99.95 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, '');
  return `${text}${units[unit]}`;
}

/** `84us`, `1.2ms`, `3.5s`. */
export function humanMicros(us: number): string {
  if (us < 1000) return `${Math.round(us)}us`;
  const [value, unit] = us < 999_950 ? [us / 1000, 'ms'] : [us / 1_000_000, 's'];
  return `${(value >= 99.95 ? value.toFixed(0) : value.toFixed(1)).replace(/\.0$/, '')}${unit}`;
}

/** As kubectl writes ages: two units while that says something, one later. */
export function humanDuration(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(s / 60);
  const hours = Math.floor(s / 3600);
  const days = Math.floor(s / 86_400);
  const years = Math.floor(days / 365);
  const two = (big: string, small: number, unit: string) => (small === 0 ? big : `${big}${small}${unit}`);
  if (s < 120) return `${s}s`;
  if (minutes < 10) return two(`${minutes}m`, s % 60, 's');
  if (hours < 3) return `${minutes}m`;
  if (hours < 8) return two(`${hours}h`, minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  if (days < 8) return two(`${days}d`, hours % 24, 'h');
  if (years < 2) return `${days}d`;
  if (years < 8) return two(`${years}y`, days % 365, 'd');
  return `${years}y`;
}

/** How long ago an RFC 3339 time was: `4m30s ago`; empty when it never was. */
export function agoText(time: string | null, nowMs: number): string {
  return time === null ? '' : `${humanDuration((nowMs - Date.parse(time)) / 1000)} ago`;
}

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** Milliseconds of a duration as Go writes it: `30s`, `1m30s`, `500ms`, `0`; throws KM6005. */
export function parseDuration(text: string): number {
  if (text === '0') return 0;
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/.test(text)) {
    throw new KmError('KM6005', `${JSON.stringify(text)} is not a duration such as 30s or 1m30s`);
  }
  let total = 0;
  for (const [, value, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) {
    total += Number(value) * unitMs[unit as keyof typeof unitMs];
  }
  return total;
}
