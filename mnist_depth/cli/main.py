"""Parse the command line, run the command, turn user errors into one line and an exit code."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from mnist_depth.cli import commands, flags, spelling, usage
from mnist_depth.errors import UserError, system_error, unknown
from mnist_depth.runtime import signals, streams
from mnist_depth.translation import activate, translate
from mnist_depth.version import __version__

USER_ERROR = 2


def main(argv: Sequence[str]) -> int:
    """Run one command; `argv` starts with the program's name. Returns the exit code."""
    streams.spell_out_unprintable()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # Matplotlib logs advice on where to keep its cache
    try:
        code = _run(argv)
    except (Exception, KeyboardInterrupt) as error:
        code = _ended_by(error)
    failure = streams.flush_output()
    return _system_error(failure) if failure else code


def _run(argv: Sequence[str]) -> int:
    if {"-h", "--help", "help"} & set(argv[1:]):
        print(usage.usage(argv[1:]))
        return 0
    if "--version" in argv[1:]:
        print(f"mnist_depth {__version__}")
        return 0
    activate(usage.language_of(argv[1:]))
    _check_current_folder()
    values, words = flags.parse(argv)
    name, *rest = words or ["study"]
    name = spelling.known(name, commands.COMMANDS)
    if name not in commands.COMMANDS:
        raise unknown("command", name, commands.COMMANDS)
    commands.check_flags(name, values)
    return commands.COMMANDS[name].run(rest, values)


def _check_current_folder() -> None:
    """Raise UserError where it was removed, as by a job that cleans up: no relative path has a meaning there."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UserError("the current folder was removed; change to another one") from None


def _ended_by(error: BaseException) -> int:
    """Print what ended the command and return its exit code. Raises an error that no user can cause."""
    if number := signals.behind(error):
        line = error.args[1] if isinstance(error, KeyboardInterrupt) and error.args[1:] else translate("stopped")
        return signals.stopped(number, line)
    if isinstance(error, UserError):
        return _refuse(error)
    if isinstance(error, OSError):
        return _system_error(streams.flush_output() or error)
    raise error


def _refuse(error: UserError) -> int:
    streams.print_error(f"mnist_depth: {error.text(translate)}")
    return USER_ERROR


def _system_error(error: OSError) -> int:
    """One line about a full disk, a folder without permission or a name that is too long, wherever it occurs.

    Only a closed pipe ends the command silently, as it ends any shell command.
    """
    if isinstance(error, BrokenPipeError):
        streams.discard(sys.stdout)
        return streams.BROKEN_PIPE
    return _refuse(system_error(error))
