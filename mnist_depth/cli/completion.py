"""Completion for bash and zsh: a script that knows every command, flag and name, and starts no process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mnist_depth.config import REGISTRIES
from mnist_depth.errors import unknown

SHELLS = ("bash", "zsh")

SCRIPT = """\
_mnist_depth() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" command="" one
    [[ $word == "=" ]] && word=""
    [[ $before == "=" ]] && before="${{COMP_WORDS[COMP_CWORD-2]}}"
    for one in "${{COMP_WORDS[@]:1:$((COMP_CWORD-1))}}"; do
        case "$one" in
            {commands}) command="$one"; break ;;
        esac
    done
    case "$before" in
{values}
    esac
    case "$word" in
        -*) case "$command" in
{flags}
            *) COMPREPLY=($(compgen -W "--help --version" -- "$word")) ;;
            esac ;;
        *) case "$command" in
            "") COMPREPLY=($(compgen -W "{names}" -- "$word")) ;;
{words}
            *) COMPREPLY=($(compgen -f -- "$word")) ;;
            esac ;;
    esac
}}
complete -o default -F _mnist_depth mnist-depth
"""


def script(shell: str, flags: Mapping[str, Sequence[str]], words: Mapping[str, Sequence[str]]) -> str:
    """What the shell is to evaluate. `flags` and `words` are what may follow each command.

    Raises UserError for a shell that is not in SHELLS.
    """
    if shell not in SHELLS:
        raise unknown("shell", shell, SHELLS)
    head = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return head + SCRIPT.format(
        commands="|".join(flags),
        names=" ".join(flags),
        values="\n".join(_case(f"--{field}", registry, " return") for field, registry in REGISTRIES.items()),
        flags="\n".join(_case(name, [f"--{flag}" for flag in [*own, "help"]]) for name, own in flags.items()),
        words="\n".join(_case(name, own) for name, own in words.items() if own),
    )


def _case(pattern: str, words: Sequence[str] | Mapping[str, object], end: str = "") -> str:
    after = f";{end}" if end else ""
    return f'            {pattern}) COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$word")){after} ;;'
