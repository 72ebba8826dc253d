"""Modules that every command imports stay light: importing them does not import TensorFlow."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"tensorflow", "keras"}

LIGHT = [
    "mnist_depth",
    "mnist_depth.cli",
    "mnist_depth.cli.list_names",
    "mnist_depth.config",
    "mnist_depth.records",
    "mnist_depth.studies",
    "mnist_depth.sweeps.sweep",
    "mnist_depth.theory",
    "mnist_depth.board.server",
    "mnist_depth.board.remote",
    "mnist_depth.results.report",
    "mnist_depth.results.pictures",
    "mnist_depth.results.diagnosis",
]


def test_light_modules_do_not_import_tensorflow() -> None:
    code = f"import sys\nfor name in {LIGHT!r}:\n    __import__(name)\nprint(sorted(set(sys.modules) & {HEAVY!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_commands_start_without_the_libraries_of_reports() -> None:
    """`list`, `--help` and the first line of progress do not wait for plots, statistics and data frames."""
    slow = {"matplotlib", "scipy", "pandas", "plotly", "jinja2", "pyarrow", "tensorboard"}
    code = f"import sys, mnist_depth.cli, mnist_depth.cli.list_names\nprint(sorted(set(sys.modules) & {slow!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
