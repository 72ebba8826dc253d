"""Modules that every command imports stay light: importing them does not import TensorFlow."""

from __future__ import annotations

from tests.imports import imported

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
    "mnist_depth.results.measurements",
]


def test_light_modules_do_not_import_tensorflow() -> None:
    assert imported("\n".join(f"import {name}" for name in LIGHT), HEAVY) == set()


def test_commands_start_without_the_libraries_of_reports() -> None:
    """`list`, `--help` and the first line of progress do not wait for plots, statistics and data frames."""
    slow = {"matplotlib", "scipy", "pandas", "plotly", "jinja2", "pyarrow", "tensorboard"}
    assert imported("import mnist_depth.cli, mnist_depth.cli.list_names", slow) == set()
