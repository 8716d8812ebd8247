import { Argument, type Command } from 'commander';
import type { CliContext } from './context.js';
import { declare } from './declare.js';

// Each asks `keyvol __complete` what may follow the words before the cursor; the last word given
// is the one being typed. Where nothing follows, the shell offers files.
const scripts = {
  // Bash breaks words at ':' and '@' and wants only the part after the last break.
  bash: `_keyvol() {
  local line="\${COMP_LINE:0:COMP_POINT}" typed candidate
  local -a words
  read -ra words <<< "$line"
  [[ "$line" == *' ' ]] && words+=('')
  typed="\${words[-1]}"
  COMPREPLY=()
  while IFS= read -r candidate; do
    [[ -n "$candidate" ]] && COMPREPLY+=("\${candidate#"\${typed%"\${typed##*[:@]}"}"}")
  done < <("\${words[0]}" __complete -- "\${words[@]:1}" 2>/dev/null)
}
complete -o default -F _keyvol keyvol`,
  zsh: `#compdef keyvol
_keyvol() {
  local -a candidates
  candidates=("\${(@f)$(\${words[1]} __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${candidates[1]}" ]]; then compadd -a candidates; else _files; fi
}
compdef _keyvol keyvol`,
  fish: `function __keyvol_complete
  set -l words (commandline -opc)
  $words[1] __complete -- $words[2..-1] (commandline -ct) 2>/dev/null
end
complete -c keyvol -a '(__keyvol_complete)'`,
} as const;

type Shell = keyof typeof scripts;

export function completionCommand(cli: CliContext): Command {
  return declare('completion', {
    description: 'print a script that completes keyvol in a shell',
    example: 'source <(keyvol completion bash)',
    local: true,
  })
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(scripts)))
    .action((shell: Shell) => {
      cli.print({ shell, script: scripts[shell] }, ({ script }) => script);
    });
}
