/**
 * The daemon's log: one line an entry on stderr, text or JSON, a level for each named logger that can be changed at run
 * time. Text lines look like ztunnel's: time, level, logger, message, fields.
 */
export const levels = ['error', 'warn', 'info', 'debug'] as const;
export type Level = (typeof levels)[number];

export type Fields = Readonly<Record<string, string | number | boolean | bigint | null | undefined>>;

export interface Logger {
  readonly name: string;
  error(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  debug(message: string, fields?: Fields): void;
}

export type Format = 'text' | 'json';

export interface LogOptions {
  readonly format: Format;
  readonly level: Level;
  readonly write: (line: string) => void;
  readonly now?: () => Date;
}

export function isLevel(text: string): text is Level {
  return (levels as readonly string[]).includes(text);
}

/** The name that Kmesh gives its one logger; here it stands for all. */
export const allLoggers = 'default';

export class Log {
  readonly #options: LogOptions;
  readonly #levels = new Map<string, Level>();
  #default: Level;

  constructor(options: LogOptions) {
    this.#options = options;
    this.#default = options.level;
  }

  logger(name: string): Logger {
    if (!this.#levels.has(name)) this.#levels.set(name, this.#default);
    const at = (level: Level) => (message: string, fields?: Fields) => this.#entry(level, name, message, fields ?? {});
    return { name, error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') };
  }

  /** Name and level of each logger, by name, behind `default`: what loggers begin with, and a name for all of them. */
  list(): { readonly name: string; readonly level: Level }[] {
    const named = [...this.#levels].map(([name, level]) => ({ name, level }));
    return [{ name: allLoggers, level: this.#default }, ...named.sort((a, b) => (a.name < b.name ? -1 : 1))];
  }

  setLevel(name: string, level: Level): void {
    if (name !== allLoggers) {
      this.#levels.set(name, level);
      return;
    }
    this.#default = level;
    for (const known of this.#levels.keys()) this.#levels.set(known, level);
  }

  #entry(level: Level, name: string, message: string, fields: Fields): void {
    const limit = this.#levels.get(name) ?? this.#default;
    if (levels.indexOf(level) > levels.indexOf(limit)) return;
    const time = (this.#options.now?.() ?? new Date()).toISOString();
    this.#options.write(formatEntry(this.#options.format, { time, level, name, message, fields }));
  }
}

export interface Entry {
  readonly time: string;
  readonly level: Level;
  readonly name: string;
  readonly message: string;
  readonly fields: Fields;
}

/** One line with its line end. A text value is quoted when it is not a plain word; a line break is never written raw. */
export function formatEntry(format: Format, entry: Entry): string {
  if (format === 'json') {
    const { time, level, name, message, fields } = entry;
    return `${JSON.stringify({ time, level, logger: name, message, ...fields }, bigintAsNumber)}\n`;
  }
  const fields = Object.entries(entry.fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${textValue(value)}`)
    .join('');
  const message = entry.message.replaceAll('\n', '\\n');
  return `${entry.time} ${entry.level.toUpperCase().padStart(5)} ${entry.name}: ${message}${fields}\n`;
}

function textValue(value: Fields[string]): string {
  const text = String(value);
  return typeof value === 'string' && !/^[\w.:/[\]|-]+$/.test(text) ? JSON.stringify(text) : text;
}

function bigintAsNumber(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}
