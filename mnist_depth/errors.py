"""The error that a user can cause and mend."""

from __future__ import annotations

LONGEST = 2_000
"""Characters of an error; one that a long name or path makes longer loses its middle."""


class UserError(Exception):
    """What is wrong, the valid choices, what to do: one line, whatever the names that stand in it.

    The command line prints it without a traceback and exits with code 2.
    """

    def __str__(self) -> str:
        line, half = printable(super().__str__()), LONGEST // 2
        return line if len(line) <= LONGEST else f"{line[:half]} ... {line[-half:]}"


def printable(text: str) -> str:
    """Text in which line breaks, escape sequences and everything else that does not print are spelled out."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
