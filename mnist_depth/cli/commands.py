"""The commands by name, and the flags that each takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from mnist_depth.cli import analyze, flags, search, train
from mnist_depth.cli import completion as completions
from mnist_depth.cli.list_names import LISTS
from mnist_depth.errors import UserError
from mnist_depth.studies import STUDIES
from mnist_depth.sweeps.search import BASE, RANGES


class Command(NamedTuple):
    """One line of the usage text, what the command does with the remaining words, and the flags that it takes."""

    words: str
    summary: str
    run: Callable[[list[str], flags.FlagValues], int]
    groups: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = MappingProxyType({})
    """Defaults of flags that are not the usual ones."""

    @property
    def flags(self) -> set[str]:
        return {flag for group in self.groups for flag in flags.GROUPS[group]}


def completion(words: list[str], values: flags.FlagValues) -> int:
    """Print what a shell evaluates to complete commands, flags and names."""
    if len(words) != 1:
        raise UserError("completion takes the name of a shell: {shells}", shells=", ".join(completions.SHELLS))
    after = {"study": list(STUDIES), "list": list(LISTS), "completion": list(completions.SHELLS)}
    taken = {name: sorted(command.flags) for name, command in COMMANDS.items()}
    print(completions.script(words[0], taken, after), end="")
    return 0


TRAINING = (flags.NETWORK, flags.RUNNING, flags.SHOWING)

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
        search.search,
        (*TRAINING, flags.SEARCHING),
        {**BASE, **{name: f"--{name}_range" for name in RANGES}},
    ),
    "list": Command("[WHAT]", "every study, dataset, activation, ... by name", analyze.list_names, (flags.SHOWING,)),
    "report": Command(
        "DIR", "write an HTML page about the runs in a folder", analyze.report, (flags.PAGES, flags.SHOWING)
    ),
    "diagnose": Command(
        "PATH",
        "what is wrong, what to change: a folder or a .keras file",
        analyze.diagnose,
        (flags.BATCH, flags.SHOWING),
    ),
    "theory": Command(
        "", "what mean-field theory predicts for a network", analyze.theory, (flags.NETWORK, flags.SHOWING)
    ),
    "board": Command(
        "", "TensorBoard on loopback, here or on another machine", analyze.board, (flags.BOARD, flags.SHOWING)
    ),
    "completion": Command(
        "SHELL", 'for bash or zsh: eval "$(mnist-depth completion bash)"', completion, (flags.SHOWING,)
    ),
}


def check_flags(name: str, values: flags.FlagValues) -> None:
    """Raise UserError for a flag that the command ignores."""
    for flag in flags.given(values):
        if flag not in COMMANDS[name].flags:
            takers = ", ".join(other for other, command in COMMANDS.items() if flag in command.flags)
            raise UserError("{name} takes no --{flag}; it is a flag of: {takers}", name=name, flag=flag, takers=takers)
