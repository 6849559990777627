"""``orlop completion``."""

from __future__ import annotations

import sys

from orlop.options import Parser, one_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop completion",
    "bash|zsh|fish",
    "Print a script that completes command lines: source <(orlop completion bash), or orlop completion fish | source",
    at_least=1,
    at_most=1,
)

# Each asks the command line itself what may come next: orlop __complete WORDS… LAST. A line of the answer is a word and,
# after a tab, what it means; the last line is ":files" where a file may be meant, ":nospace" where the word goes on.
_BASH = r"""# bash completion for orlop: source <(orlop completion bash)
_orlop() {
    local line="${COMP_LINE:0:COMP_POINT}" answer kind word current prefix=""
    local -a words candidates
    # The words as the shell has them, but for those that it breaks at "=" and ":".
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    current="${words[${#words[@]}-1]}"
    answer="$(command "${words[0]}" __complete -- "${words[@]:1}" 2>/dev/null)" || return
    kind="${answer##*$'\n'}"
    # bash replaces only what follows the last "=" or ":".
    if [[ $current == *[=:]* && $COMP_WORDBREAKS == *[=:]* ]]; then
        prefix="${current%"${current##*[=:]}"}"
    fi
    while IFS=$'\t' read -r word _; do
        [[ $word == :* ]] && continue
        [[ $word == "$current"* ]] && candidates+=("${word#"$prefix"}")
    done <<<"$answer"
    COMPREPLY=()
    for word in "${candidates[@]}"; do
        COMPREPLY+=("$(printf '%q' "$word")")
    done
    case "$kind" in
    :files) compopt -o default -o nospace 2>/dev/null; [[ ${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=() ;;
    :nospace) compopt -o nospace 2>/dev/null ;;
    esac
}
complete -F _orlop orlop
"""

_ZSH = r"""#compdef orlop
# zsh completion for orlop: source <(orlop completion zsh), after compinit
_orlop() {
    local -a lines described plain
    local line kind word meaning current
    current="${words[CURRENT]}"
    lines=("${(@f)$(command "${words[1]}" __complete -- "${(@)words[2,CURRENT-1]}" "$current" 2>/dev/null)}")
    kind="${lines[-1]}"
    for line in "${lines[@]}"; do
        [[ "$line" == :* || -z "$line" ]] && continue
        word="${line%%$'\t'*}"
        meaning="${line#*$'\t'}"
        plain+=("$word")
        [[ "$meaning" == "$line" || -z "$meaning" ]] && described+=("$word") || described+=("$word  -- $meaning")
    done
    if (( ${#plain} )); then
        if [[ "$kind" == ":nospace" ]]; then
            compadd -l -S '' -d described -a plain
        else
            compadd -l -d described -a plain
        fi
    fi
    if [[ "$kind" == ":files" ]]; then
        compset -P '*='
        _files
    fi
}
compdef _orlop orlop
"""

_FISH = r"""# fish completion for orlop: orlop completion fish | source
function __orlop_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l answer (command $words[1] __complete -- $words[2..-1] "$current" 2>/dev/null)
    for line in $answer
        if not string match -q ':*' -- $line
            echo $line
        end
    end
    if test (count $answer) -gt 0; and test "$answer[-1]" = ":files"
        __fish_complete_path (string replace -r '^-[^=]*=' '' -- "$current")
    end
end
complete -c orlop -f -a '(__orlop_complete)'
"""

_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def run(_: Location, said: Parsed) -> int:
    """Carry the command out."""
    try:
        shell = one_of(*_SCRIPTS)(said.arguments[0])
    except ValueError as error:
        raise PARSER.mistake(f'invalid shell "{said.arguments[0]}": {error}') from None
    sys.stdout.write(_SCRIPTS[shell])
    return 0
