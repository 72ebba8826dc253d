"""The error that a user can cause and fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_LENGTH = 2_000
"""Characters of an error; one that a long name or path makes longer loses its middle."""


class UserError(Exception):
    """What is wrong, the valid choices, what to do: one line, whatever names it contains.

    The command line prints it without a traceback and exits with code 2.
    """

    def __str__(self) -> str:
        line, half = printable(super().__str__()), MAX_LENGTH // 2
        return line if len(line) <= MAX_LENGTH else f"{line[:half]} ... {line[-half:]}"


def unknown(kind: str, name: str, valid: Iterable[str]) -> UserError:
    """The error about an unknown name: the valid ones, and the one that may have been meant.

    >>> print(unknown("activation", "rleu", ["tanh", "relu"]))
    unknown activation 'rleu'; valid: tanh, relu; did you mean relu?
    """
    names = list(valid)
    near = difflib.get_close_matches(name[:MAX_LENGTH], names, 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return UserError(f"unknown {kind} {name!r}; valid: {', '.join(names)}{meant}")


def printable(text: str) -> str:
    """Text in which line breaks, escape sequences and everything else that does not print are spelled out."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def first_line(error: BaseException) -> str:
    """The first line of an error's text; its class where it has none.

    >>> first_line(ValueError("no such layer\\nat ...")), first_line(KeyError()), first_line(OSError("\\n"))
    ('no such layer', 'KeyError', 'OSError')
    """
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


def last_line(text: str) -> str:
    """The last line of what another program printed; `no message` where it printed nothing.

    >>> last_line("Traceback ...\\nOSError: full\\n"), last_line("")
    ('OSError: full', 'no message')
    """
    return next(reversed(text.strip().splitlines()), "no message")
