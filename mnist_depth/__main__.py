"""`python -m mnist_depth`, which the console script `mnist-depth` runs too.

Imports are deferred: until the current folder is checked, any of them may import a user's file instead.
"""

import _signal  # pyright: ignore[reportMissingImports]  # built into the interpreter, so that no file can hide it
import sys

if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # until `main` runs, Ctrl-C ends the process silently

from mnist_depth.runtime import shadowing


def main() -> int:
    """Prepare the process for its libraries, run the command line, return the exit code."""
    if sys.platform == "win32":
        print("mnist_depth: the commands need Linux or macOS; on Windows run them in WSL", file=sys.stderr)
        return 2
    if file := shadowing.hiding_file():
        print(f"mnist_depth: {shadowing.advice(file)}", file=sys.stderr)
        return 2

    from mnist_depth.runtime import settings, signals, streams

    signals.interrupt_once()
    streams.open_missing()
    try:
        settings.apply_for_libraries()
        with signals.held():
            settings.restart_for_python()
        streams.name_in_errors()

        try:
            from mnist_depth.cli import main as run
        except ModuleNotFoundError as error:
            return _not_installed(error)
        return run(sys.argv)
    except BaseException as error:  # while modules are imported; the command line handles its own
        if number := signals.behind(error):
            return signals.stopped(number)
        raise
    finally:
        signals.exit_at_next()


def _not_installed(error: ModuleNotFoundError) -> int:
    """Print how to install the package, which is run from its repository without having been installed."""
    if (error.name or "").partition(".")[0] == "mnist_depth":
        raise error
    advice = "install it with `pip install .` in the repository, or run scripts/run, which makes an environment"
    print(f"mnist_depth: {sys.executable} has no module {error.name}; {advice}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
