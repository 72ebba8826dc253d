"""The error that a user can cause and mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST = 2_000
"""Characters of an error; one that a long name or path makes longer loses its middle."""


class UserError(Exception):
    """What is wrong, the valid choices, what to do: one line, whatever the names that stand in it.

    The command line prints it without a traceback and exits with code 2.
    """

    def __str__(self) -> str:
        line, half = printable(super().__str__()), LONGEST // 2
        return line if len(line) <= LONGEST else f"{line[:half]} ... {line[-half:]}"


def unknown(kind: str, name: str, valid: Iterable[str]) -> UserError:
    """The error about a name that nothing has: the valid ones, and the one that may have been meant.

    >>> print(unknown("activation", "rleu", ["tanh", "relu"]))
    unknown activation 'rleu'; valid: tanh, relu; did you mean relu?
    """
    names = list(valid)
    near = difflib.get_close_matches(name[:LONGEST], names, 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return UserError(f"unknown {kind} {name!r}; valid: {', '.join(names)}{meant}")


def printable(text: str) -> str:
    """Text in which line breaks, escape sequences and everything else that does not print are spelled out."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
