"""The error that a user can cause and fix."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

MAX_LENGTH = 2_000
"""Characters of an error; one that a long name or path makes longer loses its middle."""


class UserError(Exception):
    """What is wrong, the valid choices, what to do: one line, whatever names it contains.

    The command line prints it without a traceback, in the active language, and exits with code 2. `message` is the
    whole sentence, or a template with named placeholders that `values` fill; values that are errors are sentences too.
    """

    def __init__(self, message: str, **values: object) -> None:
        super().__init__(message)
        self.values = values

    def __str__(self) -> str:
        return self.text(str)

    def text(self, translated: Callable[[str], str]) -> str:
        """The line, its sentences looked up by `translated`."""
        values = {
            name: one.text(translated) if isinstance(one, UserError) else one for name, one in self.values.items()
        }
        message = translated(str(self.args[0]))
        line, half = printable(message.format(**values) if values else message), MAX_LENGTH // 2
        return line if len(line) <= MAX_LENGTH else f"{line[:half]} ... {line[-half:]}"


TYPE_NAMES = {"int": UserError("a whole number"), "float": UserError("a number"), "str": UserError("a name")}
"""What a value of a type is called in errors."""

REFUSALS = (
    UserError("Permission denied"),
    UserError("Disk quota exceeded"),
    UserError("Input/output error"),
    UserError("Is a directory"),
    UserError("File name too long"),
    UserError("No such file or directory"),
    UserError("No space left on device"),
    UserError("Not a directory"),
    UserError("Read-only file system"),
)
"""The operating system's words, which it knows in English only: the same on Linux and macOS."""


def refusal(error: OSError) -> UserError | str:
    """Why the operating system refused, for an error about a file."""
    words = error.strerror or str(error)
    return next((known for known in REFUSALS if str(known) == words), words)


def system_error(error: OSError) -> UserError:
    """Why the operating system refused, and the file where it names one."""
    if error.filename:
        return UserError("{reason}: {path}", reason=refusal(error), path=error.filename)
    return UserError("{reason}", reason=refusal(error))


def unknown(kind: str, name: str, valid: Iterable[str], also: Iterable[str] = ()) -> UserError:
    """The error about an unknown name: the valid ones, and the one, also of other spellings, that may have been meant.

    >>> print(unknown("activation", "rleu", ["tanh", "relu"]))
    unknown activation 'rleu'; valid: tanh, relu; did you mean relu?
    """
    names = list(valid)
    near = difflib.get_close_matches(name[:MAX_LENGTH], [*names, *also], 1)
    shown = {"kind": UserError(kind), "name": repr(name), "valid": ", ".join(names)}
    if near:
        return UserError("unknown {kind} {name}; valid: {valid}; did you mean {near}?", **shown, near=near[0])
    return UserError("unknown {kind} {name}; valid: {valid}", **shown)


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
