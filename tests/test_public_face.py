"""`mnist_depth` offers its public names, imports them on first use, and costs next to nothing itself."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from typing import Any

import pytest

import mnist_depth


def test_what_tab_completion_offers_is_what_there_is() -> None:
    assert set(dir(mnist_depth)) == set(mnist_depth.__all__) == {*mnist_depth.EXPORTS, "__version__"}
    for name in mnist_depth.__all__:
        assert getattr(mnist_depth, name) is not None


@pytest.mark.parametrize("name", mnist_depth.EXPORTS)
def test_every_public_name_is_that_of_its_module_and_documented(name: str) -> None:
    module = importlib.import_module(mnist_depth.EXPORTS[name])
    found: Any = getattr(mnist_depth, name)
    assert found is module or found is getattr(module, name)
    assert inspect.getdoc(found)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = mnist_depth.trian  # pyright: ignore[reportAttributeAccessIssue]


def test_the_import_brings_in_nothing_but_the_version() -> None:
    code = "import sys; before = set(sys.modules); import mnist_depth; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded: list[str] = eval(done.stdout)
    assert not {name.partition(".")[0] for name in loaded} - {"mnist_depth", *sys.stdlib_module_names}
    assert {name for name in loaded if name.startswith("mnist_depth")} == {"mnist_depth", "mnist_depth.version"}
