import { Argument, type Command } from 'commander';
import { bashScript } from './completion-bash.ts';
import { fishScript } from './completion-fish.ts';
import { commandWords } from './completion-words.ts';
import { zshScript } from './completion-zsh.ts';
import type { Context } from './context.ts';

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;
type Shell = keyof typeof scripts;

/** Adds `kmeshctl completion`. */
export function addCompletion(program: Command, context: Context): void {
  program
    .command('completion')
    .summary('print the completion script of a shell')
    .description('Print a script that completes commands, flags and their values.')
    .addArgument(new Argument('<shell>', 'shell').choices(Object.keys(scripts)))
    .addHelpText(
      'after',
      `
Examples:
  # This bash
  source <(kmeshctl completion bash)

  # Every bash, zsh or fish
  kmeshctl completion bash > /etc/bash_completion.d/kmeshctl
  kmeshctl completion zsh > "\${fpath[1]}/_kmeshctl"
  kmeshctl completion fish > ~/.config/fish/completions/kmeshctl.fish`,
    )
    .action((shell: Shell) => {
      context.stdout.write(scripts[shell](commandWords(program)));
    });
}
