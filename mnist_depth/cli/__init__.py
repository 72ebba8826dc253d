"""The command line: flags, commands, what the terminal shows."""

from mnist_depth.cli.main import main

__all__ = ["main"]
