"""Parse the command line, find the command, turn what a user can cause into one line and exit code 2."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from mnist_depth.cli import commands, flags
from mnist_depth.errors import UserError, unknown

USER_ERROR, INTERRUPTED = 2, 130


def main(argv: Sequence[str]) -> int:
    """Run one command; `argv` starts with the program's name. Returns the exit code."""
    _print_any_name()
    try:
        if {"-h", "--help", "help"} & set(argv[1:]):
            print(commands.help_of(argv[1:]))
            return 0
        values, words = flags.parse(argv)
        name, *rest = words or ["study"]
        if name not in commands.COMMANDS:
            raise unknown("command", name, commands.COMMANDS)
        commands.check_flags(name, values)
        return commands.COMMANDS[name].run(rest, values)
    except UserError as error:
        return _refuse(error)
    except KeyboardInterrupt:
        print("mnist_depth: stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a full disk, a folder that is not ours, a name too long, wherever they are met
        where = f": {error.filename}" if error.filename else ""
        return _refuse(UserError(f"{error.strerror or error}{where}"))


def _refuse(error: UserError) -> int:
    print(f"mnist_depth: {error}", file=sys.stderr)
    return USER_ERROR


def _print_any_name() -> None:
    """Let what the terminal's encoding cannot show, as names of files may hold it, be spelled out."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
