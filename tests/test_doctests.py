"""The examples in docstrings are run, and stay cheap."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "mnist_depth"

MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name: str) -> None:
    failed, attempted = doctest.testmod(importlib.import_module(name))
    assert attempted > 0
    assert failed == 0


def test_no_example_needs_tensorflow() -> None:
    assert {"mnist_depth.theory.maps", "mnist_depth.config"} <= set(MODULES)
    code = (
        "import doctest, importlib, sys\n"
        f"for name in {MODULES!r}:\n"
        "    doctest.testmod(importlib.import_module(name))\n"
        "print(sorted(set(sys.modules) & {'tensorflow', 'keras'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
