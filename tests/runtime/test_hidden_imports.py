from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

from mnist_depth.runtime.hidden_imports import KERAS_EXTRAS, without

pytestmark = pytest.mark.slow

KERAS = f"""
import sys
from mnist_depth.runtime.hidden_imports import without
with without(*{KERAS_EXTRAS}):
    import keras
print(sorted(sys.modules.keys() & {set(KERAS_EXTRAS)}))
import sklearn.datasets
print(keras.layers.Dense(2)(sklearn.datasets.load_digits().data[:3]).shape)
"""


def test_keras_works_without_its_extras_which_can_be_imported_afterwards() -> None:
    done = subprocess.run([sys.executable, "-c", KERAS], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "(3, 2)"]


def test_what_is_imported_already_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "never_imported_before.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with without("numpy", "never_imported_before"):
        assert importlib.import_module("numpy") is numpy
        with pytest.raises(ImportError):
            importlib.import_module("never_imported_before")
    assert importlib.import_module("never_imported_before")
