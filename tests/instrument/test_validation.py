"""Mistakes in a gauge's arguments are named, with what is valid, before anything is trained."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from mnist_depth.instrument import DepthGauge, MemoryWriter

X, Y = np.zeros((8, 3), "float32"), np.zeros(8, "int32")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "ful"}, "unknown preset 'ful'; valid: light, standard, full"),
        ({"gradients": "mine"}, "unknown gradients 'mine'; valid: probe, applied, both"),
        ({"gradients": "both"}, "gradients='both' needs a probe"),
        ({"layers": "dense("}, "layers='dense\\(' is not a regular expression"),
        ({"variables": "*"}, "variables='\\*' is not a regular expression"),
        ({"probe": (X, Y[:3])}, "equally many examples, at least one, not 3 and 8"),
        ({"probe": ({"a": X, "b": X[:2]}, Y)}, "equally many examples, at least one, not 2 and 8"),
        ({"probe": (X[:0], Y[:0])}, "equally many examples, at least one, not 0"),
    ],
)
def test_mistakes_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DepthGauge(MemoryWriter(), **options)


@pytest.mark.parametrize("name", ["schedule", "histograms", "applied"])
def test_a_number_is_no_schedule(name: str) -> None:
    options: dict[str, Any] = {name: 10}
    with pytest.raises(TypeError, match=f"{name} must be a schedule such as every_steps\\(10\\)"):
        DepthGauge(MemoryWriter(), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": "nosuch"}, "layers='nosuch' matches none of hidden, head"),
        (
            {"variables": "nosuch"},
            "variables='nosuch' matches none of hidden/kernel, hidden/bias, head/",
        ),
    ],
)
def test_a_pattern_that_matches_nothing_names_what_there_is(options: dict[str, Any], message: str) -> None:
    model: Any = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, name="hidden"), keras.layers.Dense(2, name="head")]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.warns(UserWarning, match=message):
        model.fit(X, Y, verbose=0, callbacks=[DepthGauge(MemoryWriter(), (X, Y), graph=False, **options)])
