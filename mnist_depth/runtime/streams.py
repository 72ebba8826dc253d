"""Standard input, output and error as the caller left them: closed, full, or a pipe without a reader."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any, TextIO

BROKEN_PIPE = 141
"""Exit code of a command that ended because its output pipe was closed, as after `| head`."""


def open_missing() -> None:
    """Open the null device in the place of standard streams that are closed, as after `>&-` in a shell.

    Otherwise the next file that is opened would get the stream's number, and what C++ code prints would go into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            _to_nowhere(number)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


class _Output(io.FileIO):
    """Standard output whose errors name it, as errors of files name the file."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except OSError as error:
            raise OSError(error.errno, error.strerror, "standard output") from None


def name_in_errors() -> None:
    """Make errors of printing name standard output."""
    old = sys.stdout
    if isinstance(old, io.TextIOWrapper):
        raw = io.BufferedWriter(_Output(1, "w", closefd=False))
        sys.stdout = io.TextIOWrapper(raw, old.encoding, old.errors, None, old.line_buffering, old.write_through)


def spell_out_unprintable() -> None:
    """Let what a terminal's encoding cannot show, as names of files may hold it, be spelled out."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_error(text: str) -> None:
    """Print to standard error; a failure cannot be reported and is ignored."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


def flush_output() -> OSError | None:
    """Write what was printed; where that fails, drop it and all that follows, and return the error."""
    try:
        sys.stdout.flush()
    except OSError as error:
        discard(sys.stdout)
        return error
    return None


def discard(stream: TextIO) -> None:
    """Discard everything printed so far and later, so that the interpreter's last flush does not fail."""
    with contextlib.suppress(OSError, ValueError):
        _to_nowhere(stream.fileno())


def _to_nowhere(number: int) -> None:
    """Redirect a file descriptor to the null device, in this process and its children."""
    opened = os.open(os.devnull, os.O_RDWR)
    if opened == number:
        os.set_inheritable(number, True)
    else:
        os.dup2(opened, number)
        os.close(opened)
