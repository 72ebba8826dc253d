"""What `--help` prints."""

from __future__ import annotations

from collections.abc import Iterable

from mnist_depth.cli import flags
from mnist_depth.cli.commands import COMMANDS

WIDEST = 24
"""Width of the names of flags, in characters; a longer one moves its help."""

COMMON = ("dataset", "depth", "activation", "initializer", "optimizer", "epochs", "seeds", "quick", "dry_run", "logdir")
"""The flags that the first page shows."""

EXAMPLES = (
    ("mnist-depth study depth_sweep --quick", "a question, answered"),
    ("mnist-depth train --activation tanh --depth 5 --epochs 3", "one network"),
)

MORE = "COMMAND --help: flags of one command; --help all: all flags; list: all names"


def usage(words: Iterable[str]) -> str:
    """One screen; with `all` among the words every flag, with the name of a command its flags."""
    words = list(words)
    name = next((word for word in words if word in COMMANDS), None)
    if name:
        command = COMMANDS[name]
        head = f"usage: mnist-depth {name} {command.words}".rstrip()
        return f"{head} [--flags]\n\n{command.summary}\n{_flags_of(command.groups)}"
    head = "usage: mnist-depth [COMMAND] [--flags]        (or python -m mnist_depth)\n"
    lines = [f"  {name:<11}{command.words:<7}{command.summary}" for name, command in COMMANDS.items()]
    if "all" in words:
        return "\n".join([head, *lines, _flags_of(flags.GROUPS)])
    examples = [f"  {example:<57} {what}" for example, what in EXAMPLES]
    common = [f"  --{name:<12} {_help_of(name).partition(';')[0]}" for name in COMMON]
    return "\n".join([head, *lines, "", *examples, "", *common, "", MORE])


def _flags_of(groups: Iterable[str]) -> str:
    """One line per flag of these groups; a flag of several groups is listed in the first one."""
    blocks, listed = [], set[str]()
    for title in groups:
        new = [name for name in flags.GROUPS[title] if name not in listed]
        blocks.append("\n".join([f"\n{title}:", *(f"  --{name:<{WIDEST}} {_help_of(name)}" for name in new)]))
        listed |= {*new}
    return "\n".join(blocks)


def _help_of(name: str) -> str:
    """The help of a flag, followed by its default unless the help already names it."""
    flag = flags.define()[name]
    return flag.help if "default" in flag.help or not flag.default else f"{flag.help} (default: {flag.default})"
