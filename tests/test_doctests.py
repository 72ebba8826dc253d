"""The examples in docstrings are run, and stay cheap."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from tests.imports import imported

PACKAGE = Path(__file__).resolve().parents[1] / "mnist_depth"

MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
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
    code = f"import doctest, importlib\nfor name in {MODULES!r}: doctest.testmod(importlib.import_module(name))"
    assert imported(code, {"tensorflow", "keras"}) == set()
