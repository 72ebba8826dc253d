"""The commands by name, and the usage text that lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from mnist_depth.cli import analyze, flags, train
from mnist_depth.errors import UserError


class Command(NamedTuple):
    """One line of the usage text, what the command does with the remaining words, and the flags that it takes."""

    words: str
    summary: str
    run: Callable[[list[str], flags.FlagValues], int]
    groups: tuple[str, ...] = ()


TRAINING = (flags.NETWORK, flags.RUNNING)

COMMANDS: dict[str, Command] = {
    "study": Command(
        "[NAME]",
        "train a study's runs and answer its question (default: depth9)",
        train.study,
        (*TRAINING, flags.STUDYING),
    ),
    "train": Command("", "train from flags: one run, or all of --choose", train.train, (*TRAINING, flags.CHOICES)),
    "search": Command(
        "",
        "random search of learning rate, weight decay and --choose fields",
        train.search_command,
        (*TRAINING, flags.SEARCHING),
    ),
    "list": Command("[WHAT]", "every study, dataset, activation, ... by name", analyze.list_names),
    "report": Command("DIR", "write an HTML page about the runs in a folder", analyze.report, (flags.PAGES,)),
    "diagnose": Command(
        "PATH", "do gradients vanish or explode: a run, or a .keras file", analyze.diagnose, (flags.BATCH,)
    ),
    "theory": Command("", "what mean-field theory predicts for a network", analyze.theory, (flags.NETWORK,)),
    "board": Command("", "TensorBoard on loopback, here or on another machine", analyze.board, (flags.BOARD,)),
}


def flags_of(name: str) -> set[str]:
    """The flags that a command takes."""
    return {flag for group in COMMANDS[name].groups for flag in flags.GROUPS[group]}


def check_flags(name: str, values: flags.FlagValues) -> None:
    """Raise UserError for a flag that the command would pass over."""
    for flag in flags.given(values):
        if flag not in flags_of(name):
            takers = ", ".join(other for other in COMMANDS if flag in flags_of(other))
            raise UserError(f"{name} takes no --{flag}; it is a flag of: {takers}")


def help_of(words: Iterable[str]) -> str:
    """What `--help` prints: about the first command among the words, else about all of them."""
    if name := next((word for word in words if word in COMMANDS), None):
        command = COMMANDS[name]
        usage = f"usage: python -m mnist_depth {name} {command.words}".rstrip()
        return f"{usage} [--flags]\n\n{command.summary}\n{flags.help_text(command.groups)}"
    lines = [f"  {name:<9}{command.words:<8}{command.summary}" for name, command in COMMANDS.items()]
    usage = "usage: python -m mnist_depth [COMMAND] [--flags]\n\nCommands:\n" + "\n".join(lines)
    return f"{usage}\n\n`COMMAND --help` shows the flags of one command; all of them:\n{flags.help_text(flags.GROUPS)}"
