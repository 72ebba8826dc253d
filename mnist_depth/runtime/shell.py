"""Quote words for a shell, so that printed commands can be pasted, including words with arbitrary bytes."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable


def quote(word: str) -> str:
    r"""One word; what does not print, and bytes that are no text, in the $'...' of bash, zsh and ksh.

    >>> quote("logs"), quote("my logs"), quote(os.fsdecode(b"logs\xff"))
    ('logs', "'my logs'", "$'logs\\xff'")
    """
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word)) + "'"


def join(words: Iterable[str]) -> str:
    """A whole command."""
    return " ".join(map(quote, words))


def _escaped(character: str) -> str:
    if character.isprintable() and character not in "'\\":
        return character
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))
