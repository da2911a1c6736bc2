import type { CommandWords, FlagWords } from './completion-words.ts';

/** Fish shows the descriptions too. Commands of kmeshctl have no sub-commands of their own. */
export function fishScript(commands: readonly CommandWords[]): string {
  const lines = ['# fish completion for kmeshctl; made by `kmeshctl completion fish`', '', 'complete -c kmeshctl -f'];
  // __fish_use_subcommand takes the value of a flag before the command for the command.
  const first = `not __fish_seen_subcommand_from ${commands[0]?.subcommands.join(' ')}`;
  for (const command of commands) {
    const [, name] = command.path.split(' ');
    const when = name === undefined ? first : `__fish_seen_subcommand_from ${name}`;
    const start = `complete -c kmeshctl -n '${when}'`;
    if (name !== undefined) {
      lines.push(`complete -c kmeshctl -n '${first}' -a ${name} -d ${quote(command.description)}`);
    }
    if (command.args.length > 0) lines.push(`${start} -a ${quote(command.args.join(' '))}`);
    for (const flag of command.flags) lines.push(`${start}${flagWords(flag)} -d ${quote(flag.description)}`);
  }
  return `${lines.join('\n')}\n`;
}

function flagWords(flag: FlagWords): string {
  const names = flag.names.map((name) => (name.startsWith('--') ? ` -l ${name.slice(2)}` : ` -s ${name.slice(1)}`));
  const value = flag.takesValue ? ' -x' : '';
  const values = flag.values.length > 0 ? ` -a ${quote(flag.values.join(' '))}` : '';
  return `${names.join('')}${value}${values}`;
}

function quote(text: string): string {
  const firstLine = text.split('\n')[0] ?? '';
  return `'${firstLine.replace(/[\\']/g, '\\$&')}'`;
}
