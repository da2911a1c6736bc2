import { type CommandWords, shellTables } from './completion-words.ts';

/** For a file `_kmeshctl` in fpath, or for `source`. */
export function zshScript(commands: readonly CommandWords[]): string {
  return `#compdef kmeshctl
# zsh completion for kmeshctl; made by \`kmeshctl completion zsh\`

${shellTables(commands)}

_kmeshctl() {
  local subs args flags valued values
  local cur="\${words[CURRENT]}" prev="\${words[CURRENT-1]}"
  local cmd=kmeshctl skip= count=0 i word
  _kmeshctl_words "$cmd"
  for ((i = 2; i < CURRENT; i++)); do
    word="\${words[i]}"
    if [[ -n $skip ]]; then
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
  if [[ $cur == --*=* ]]; then
    _kmeshctl_values "$cmd" "\${cur%%=*}"
    compset -P '*='
    compadd -- \${=values}
  elif [[ " $valued " == *" $prev "* ]]; then
    _kmeshctl_values "$cmd" "$prev"
    compadd -- \${=values}
  elif [[ $cur == -* ]]; then
    compadd -- \${=flags}
  elif [[ -n $subs ]]; then
    compadd -- \${=subs}
  elif ((count == 0)); then
    compadd -- \${=args}
  fi
}

if [[ "$funcstack[1]" == '_kmeshctl' ]]; then
  _kmeshctl "$@"
else
  compdef _kmeshctl kmeshctl
fi
`;
}
