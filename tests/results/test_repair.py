"""A repaired model learns, is another model, and says what was changed; LSUV gives unit variance to any model."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from mnist_depth.errors import UserError
from mnist_depth.results.lsuv import lsuv
from mnist_depth.results.repair import repair

keras: Any = importlib.import_module("keras")
layers = keras.layers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 8)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int32)


@pytest.fixture(autouse=True)
def _seed() -> None:
    """The same initial weights in every run."""
    keras.utils.set_random_seed(0)


def network(depth: int, activation: str, rate: float = 0.1, **fields: Any) -> Any:
    hidden = [layers.Dense(8, activation, name=f"dense_{index}", **fields) for index in range(depth - 1)]
    model = keras.Sequential([keras.Input((8,)), *hidden, layers.Dense(2, name="logits")])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate), loss, metrics=["accuracy"], jit_compile=False)
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "verdict"),
    [
        (lambda: network(9, "sigmoid"), "vanishing"),
        (lambda: network(3, "relu", kernel_initializer="zeros"), "symmetric"),
        (lambda: network(3, "relu", rate=300.0), "learning rate too high"),
    ],
)
def test_a_repaired_model_learns_and_the_original_stays(model: Any, verdict: str) -> None:
    original = model()
    before = original.get_weights()
    repaired = repair(original, X, Y)
    assert repaired.before.verdict == verdict
    assert repaired.is_better
    assert repaired.changes
    assert repaired.model is not original
    for old, new in zip(before, original.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    history = repaired.model.fit(X, Y, epochs=80, verbose=0).history["accuracy"]
    assert history[-1] > 0.9


def test_a_healthy_model_is_returned_as_it_is() -> None:
    model = network(3, "relu")
    repaired = repair(model, X, Y)
    assert repaired.model is model
    assert repaired.changes == ()


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = [layers.Dense(12, "sigmoid", name=f"dense_{index}") for index in range(4)]
        self.out = layers.Dense(2)

    def call(self, x: Any) -> Any:
        for layer in self.hidden:
            x = layer(x)
        return self.out(x)


def test_lsuv_gives_unit_variance_across_samples_to_a_subclassed_model() -> None:
    model = Subclassed()
    model(X)
    out = model.out.get_weights()
    done = lsuv(model, X)
    assert [rescaled.layer for rescaled in done] == [layer.name for layer in model.hidden]
    signal = X
    for layer in model.hidden:
        pre_activations = signal @ np.asarray(layer.kernel) + np.asarray(layer.bias)
        assert pre_activations.var(axis=0).mean() == pytest.approx(1, abs=0.1)
        np.testing.assert_allclose(pre_activations.mean(axis=0), 0, atol=1e-3)
        signal = 1 / (1 + np.exp(-pre_activations))
    for old, new in zip(out, model.out.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_lsuv_needs_two_layers() -> None:
    with pytest.raises(UserError, match="at least two"):
        lsuv(network(1, "relu"), X)
