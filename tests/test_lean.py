from __future__ import annotations

import subprocess
import sys

import pytest

from mnist_depth.lean import KERAS_EXTRAS, without

KERAS = f"""
import sys
from mnist_depth.lean import without
with without(*{KERAS_EXTRAS}):
    import keras
print(sorted(sys.modules.keys() & {set(KERAS_EXTRAS)}))
import sklearn.datasets
print(keras.layers.Dense(2)(sklearn.datasets.load_digits().data[:3]).shape)
"""


def test_keras_works_without_its_extras_which_can_be_imported_afterwards() -> None:
    done = subprocess.run([sys.executable, "-c", KERAS], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "(3, 2)"]


def test_what_is_imported_already_stays() -> None:
    import numpy

    with without("numpy", "wave"):
        import numpy as again

        assert again is numpy
        with pytest.raises(ImportError):
            import wave
    import wave  # noqa: F401
