"""The commands by name, and the usage text that lists them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mnist_depth.cli import flags, looking, running


class Command(NamedTuple):
    """One line of the usage text, and what the command does with the remaining words and the flags."""

    words: str
    summary: str
    run: Callable[[list[str], flags.FlagValues], int]


COMMANDS: dict[str, Command] = {
    "study": Command("[NAME]", "train a study's runs and answer its question (default: depth9)", running.study),
    "train": Command("", "train one run from flags", running.train),
    "search": Command("", "random search of learning rate, weight decay and --choose fields", running.search_command),
    "list": Command("[WHAT]", "every study, dataset, activation, ... by name", looking.list_names),
    "report": Command("DIR", "write one self-contained HTML page about the runs in a folder", looking.report),
    "diagnose": Command("PATH", "do gradients vanish or explode: a run folder, or a .keras file", looking.diagnose),
    "theory": Command("", "what mean-field theory predicts for a network", looking.theory),
    "board": Command("", "TensorBoard on loopback, here or on another machine", looking.board),
}


def usage() -> str:
    """The first lines of the help."""
    lines = [f"  {name:<9}{command.words:<8}{command.summary}" for name, command in COMMANDS.items()]
    return "usage: python -m mnist_depth [COMMAND] [--flags]\n\nCommands:\n" + "\n".join(lines)
