/** The command tree as the words that a shell can complete. */
import type { Command } from 'commander';
import { kinds } from './kinds.ts';

export interface FlagWords {
  /** `-o` and `--output`. */
  readonly names: readonly string[];
  readonly description: string;
  readonly takesValue: boolean;
  /** Empty: any value. */
  readonly values: readonly string[];
}

/** What can follow one command of the tree. */
export interface CommandWords {
  /** `kmeshctl get` */
  readonly path: string;
  readonly description: string;
  readonly subcommands: readonly string[];
  /** Words for its first argument. */
  readonly args: readonly string[];
  readonly flags: readonly FlagWords[];
}

/** The tree as data, the program itself first. */
export function commandWords(
  command: Command,
  parent = '',
  inherited: readonly FlagWords[] = [],
): readonly CommandWords[] {
  const path = parent === '' ? command.name() : `${parent} ${command.name()}`;
  const help = command.createHelp();
  // The version is the program's alone; other flags of a parent are also understood after a sub-command.
  const own = help.visibleOptions(command).map(
    (option): FlagWords => ({
      names: [option.short, option.long].filter((name) => name != null),
      description: option.description,
      takesValue: option.required || option.optional,
      values: option.argChoices ?? [],
    }),
  );
  const flags = [...own, ...inherited.filter((flag) => !own.some((mine) => mine.names.join() === flag.names.join()))];
  const types = command.name() === 'get' ? kinds.map((kind) => kind.plural) : [];
  const words: CommandWords = {
    path,
    description: command.summary() || command.description(),
    subcommands: command.commands.map((child) => child.name()),
    args: [...types, ...(command.registeredArguments[0]?.argChoices ?? [])],
    flags,
  };
  const passedOn = flags.filter((flag) => !flag.names.includes('--version'));
  return [words, ...command.commands.flatMap((child) => commandWords(child, path, passedOn))];
}

/** `case` blocks that bash and zsh share: they set subs, args, flags, valued for a path, and values for a flag. */
export function shellTables(commands: readonly CommandWords[]): string {
  const lines = ['_kmeshctl_words() {', '  subs= args= flags= valued=', '  case "$1" in'];
  for (const { path, subcommands, args, flags } of commands) {
    const names = flags.flatMap((flag) => flag.names).join(' ');
    const valued = flags.flatMap((flag) => (flag.takesValue ? flag.names : [])).join(' ');
    lines.push(`    '${path}') subs='${subcommands.join(' ')}' args='${args.join(' ')}'`);
    lines.push(`      flags='${names}' valued='${valued}' ;;`);
  }
  lines.push('  esac', '}', '', '_kmeshctl_values() {', '  values=', '  case "$1 $2" in');
  for (const { path, flags } of commands) {
    for (const flag of flags.filter(({ values }) => values.length > 0)) {
      const patterns = flag.names.map((name) => `'${path} ${name}'`).join(' | ');
      lines.push(`    ${patterns}) values='${flag.values.join(' ')}' ;;`);
    }
  }
  lines.push('  esac', '}');
  return lines.join('\n');
}
