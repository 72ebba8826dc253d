"""What `--help` prints."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from mnist_depth.cli import flags
from mnist_depth.cli.commands import COMMANDS
from mnist_depth.config import FIELDS, default_of
from mnist_depth.translation import LANGUAGES, activate, from_environment, mark
from mnist_depth.translation import translate as _

WIDEST = 24
"""Width of the names of flags, in characters; a longer one moves its help."""

COMMON = ("dataset", "depth", "activation", "initializer", "optimizer", "epochs", "seeds", "quick", "dry_run", "logdir")
"""The flags that the first page shows."""

EXAMPLES = (
    ("mnist-depth study depth_sweep --quick", mark("a question, answered")),
    ("mnist-depth train --activation tanh --depth 5 --epochs 3", mark("one network")),
)

DEFAULT = mark("{text} (default: {value})")

MORE = mark("COMMAND --help: flags of one command; --help all: all flags; list: all names")


def usage(words: Iterable[str]) -> str:
    """One screen; with `all` among the words every flag, with the name of a command its flags.

    In the language of `--language` among the words, or else of the locale.
    """
    words = list(words)
    activate(language_of(words))
    start = _("usage")
    name = next((word for word in words if word in COMMANDS), None)
    if name:
        command = COMMANDS[name]
        head = f"{start}: mnist-depth {name} {command.words}".rstrip()
        return f"{head} [--flags]\n\n{_(command.summary)}\n{_flags_of(command.groups, command.defaults)}"
    head = f"{start}: mnist-depth [COMMAND] [--flags]        (or python -m mnist_depth)\n"
    lines = [f"  {name:<11}{command.words:<7}{_(command.summary)}" for name, command in COMMANDS.items()]
    if "all" in words:
        return "\n".join([head, *lines, _flags_of(flags.GROUPS)])
    examples = [f"  {example:<57} {_(what)}" for example, what in EXAMPLES]
    common = [f"  --{name:<12} {re.split('; |[.] ', _help_of(name))[0]}" for name in COMMON]
    return "\n".join([head, *lines, "", *examples, "", *common, "", _(MORE)])


def language_of(words: Iterable[str]) -> str:
    """The language of `--language` among the words, or else of the locale; before flags are parsed."""
    given = re.search(rf"--?language[= ]({'|'.join(LANGUAGES)})\b", " ".join(words))
    return given[1] if given else from_environment()


def _flags_of(groups: Iterable[str], defaults: Mapping[str, Any] = MappingProxyType({})) -> str:
    """One line per flag of these groups; a flag of several groups is listed in the first one.

    `defaults` are those that a command has instead of the usual ones.
    """
    blocks, listed = [], set[str]()
    for title in groups:
        new = [name for name in flags.GROUPS[title] if name not in listed]
        blocks.append(
            "\n".join(
                [f"\n{_(title)}:", *(f"  --{name:<{WIDEST}} {_help_of(name, defaults.get(name))}" for name in new)]
            )
        )
        listed |= {*new}
    return "\n".join(blocks)


def _help_of(name: str, own: Any = None) -> str:
    """The help of a flag, followed by its default (`own` if given) unless the help already names it."""
    flag = flags.FLAGS[name]
    choices = "".join(f"<{'|'.join(names)}>: " for names in [flag.more.get("enum_values", [])] if names)
    text = choices + _(flag.help)
    if own is not None:
        usual = "" if name not in FIELDS else default_of(name)
        text = re.split("[;.] (?:default|기본값): ", text.removesuffix(_(DEFAULT, text="", value=usual)))[0]
        return _(DEFAULT, text=text, value=own)
    if "default" in flag.help or not flag.default:
        return text
    return _(DEFAULT, text=text, value=flag.default)
