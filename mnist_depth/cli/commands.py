"""The commands by name, and the usage text that lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from mnist_depth.cli import analyze, flags, train
from mnist_depth.cli import completion as completions
from mnist_depth.cli.list_names import LISTS
from mnist_depth.errors import UserError
from mnist_depth.studies import STUDIES


class Command(NamedTuple):
    """One line of the usage text, what the command does with the remaining words, and the flags that it takes."""

    words: str
    summary: str
    run: Callable[[list[str], flags.FlagValues], int]
    groups: tuple[str, ...] = ()


TRAINING = (flags.NETWORK, flags.RUNNING, flags.SHOWING)


def completion(words: list[str], values: flags.FlagValues) -> int:
    """Print what a shell evaluates to complete commands, flags and names."""
    if len(words) != 1:
        raise UserError(f"completion takes the name of a shell: {', '.join(completions.SHELLS)}")
    after = {"study": list(STUDIES), "list": list(LISTS), "completion": list(completions.SHELLS)}
    print(completions.script(words[0], {name: sorted(flags_of(name)) for name in COMMANDS}, after), end="")
    return 0


COMMANDS: dict[str, Command] = {
    "study": Command(
        "[NAME]",
        "train a study and answer its question (default: depth9)",
        train.study,
        (*TRAINING, flags.STUDYING),
    ),
    "train": Command("", "train from flags: one run, or all of --choose", train.train, (*TRAINING, flags.CHOICES)),
    "search": Command(
        "",
        "random search of rate, weight decay and --choose fields",
        train.search_command,
        (*TRAINING, flags.SEARCHING),
    ),
    "list": Command("[WHAT]", "every study, dataset, activation, ... by name", analyze.list_names),
    "report": Command(
        "DIR", "write an HTML page about the runs in a folder", analyze.report, (flags.PAGES, flags.SHOWING)
    ),
    "diagnose": Command(
        "PATH",
        "what is wrong, what to change: a folder or a .keras file",
        analyze.diagnose,
        (flags.BATCH,),
    ),
    "theory": Command("", "what mean-field theory predicts for a network", analyze.theory, (flags.NETWORK,)),
    "board": Command(
        "", "TensorBoard on loopback, here or on another machine", analyze.board, (flags.BOARD, flags.SHOWING)
    ),
    "completion": Command("SHELL", 'for bash or zsh: eval "$(mnist-depth completion bash)"', completion),
}


def flags_of(name: str) -> set[str]:
    """The flags that a command takes."""
    return {flag for group in COMMANDS[name].groups for flag in flags.GROUPS[group]}


def check_flags(name: str, values: flags.FlagValues) -> None:
    """Raise UserError for a flag that the command ignores."""
    for flag in flags.given(values):
        if flag not in flags_of(name):
            takers = ", ".join(other for other in COMMANDS if flag in flags_of(other))
            raise UserError(f"{name} takes no --{flag}; it is a flag of: {takers}")


COMMON = ("dataset", "depth", "activation", "initializer", "optimizer", "epochs", "seeds", "quick", "dry_run", "logdir")
"""The flags that the first page of help shows."""

EXAMPLES = (
    ("mnist-depth study depth_sweep --quick", "a question, answered"),
    ("mnist-depth train --activation tanh --depth 5 --epochs 3", "one network"),
)


def help_of(words: Iterable[str]) -> str:
    """What `--help` prints: one screen, `--help all` every flag, `COMMAND --help` the flags of one command."""
    words = list(words)
    name = next((word for word in words if word in COMMANDS), None)
    if name:
        command = COMMANDS[name]
        usage = f"usage: mnist-depth {name} {command.words}".rstrip()
        return f"{usage} [--flags]\n\n{command.summary}\n{flags.help_text(command.groups)}"
    head = "usage: mnist-depth [COMMAND] [--flags]        (or python -m mnist_depth)\n"
    lines = [f"  {name:<11}{command.words:<7}{command.summary}" for name, command in COMMANDS.items()]
    if "all" in words:
        return "\n".join([head, *lines, flags.help_text(flags.GROUPS)])
    examples = [f"  {example:<57} {words}" for example, words in EXAMPLES]
    return "\n".join([head, *lines, "", *examples, "", *flags.common_lines(COMMON), "", MORE])


MORE = "COMMAND --help: flags of one command; --help all: all flags; list: all names"
