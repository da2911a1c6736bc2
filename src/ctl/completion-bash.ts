import { type CommandWords, shellTables } from './completion-words.ts';

/** Needs bash 3.2 and no bash-completion package. Bash splits words at `=` and `:`, so `--output=js` is three words. */
export function bashScript(commands: readonly CommandWords[]): string {
  return `# bash completion for kmeshctl; made by \`kmeshctl completion bash\`

${shellTables(commands)}

_kmeshctl() {
  local subs args flags valued values
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD - 1]}"
  local cmd=kmeshctl skip= count=0 i word
  _kmeshctl_words "$cmd"
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    if [[ $word == '=' ]]; then
      continue
    elif [[ -n $skip ]]; then
      skip=
    elif [[ $word == -* ]]; then
      [[ " $valued " == *" $word "* ]] && skip=1
    elif [[ " $subs " == *" $word "* ]]; then
      cmd="$cmd $word"
      _kmeshctl_words "$cmd"
    else
      ((count += 1))
    fi
  done
  if [[ $cur == '=' ]]; then
    cur=
  elif [[ $prev == '=' ]]; then
    prev="\${COMP_WORDS[COMP_CWORD - 2]}"
  fi
  COMPREPLY=()
  if [[ " $valued " == *" $prev "* ]]; then
    _kmeshctl_values "$cmd" "$prev"
    COMPREPLY=($(compgen -W "$values" -- "$cur"))
  elif [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  elif [[ -n $subs ]]; then
    COMPREPLY=($(compgen -W "$subs" -- "$cur"))
  elif ((count == 0)); then
    COMPREPLY=($(compgen -W "$args" -- "$cur"))
  fi
}

complete -F _kmeshctl kmeshctl
`;
}
