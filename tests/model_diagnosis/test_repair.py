"""A repaired model learns, is another model, and says what was changed; LSUV gives unit variance to any model."""

from __future__ import annotations

import importlib
import re
from typing import Any

import numpy as np
import pytest

from mnist_depth import translation
from mnist_depth.diagnosis import Layer, Measurements, judge
from mnist_depth.errors import UserError
from mnist_depth.model_diagnosis.lsuv import lsuv
from mnist_depth.model_diagnosis.rebuilding import rebuilt
from mnist_depth.model_diagnosis.repair import Repaired, repair

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


def test_what_was_changed_is_in_the_language_that_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in translation._active.items():
        monkeypatch.setitem(translation._active, name, value)
    changes = [
        *rebuilt(network(5, "sigmoid"), activation="elu", batch_norm=True, residual=True, normalized=X)[1],
        *rebuilt(network(1, "sigmoid"), hidden_layer="elu")[1],
    ]
    healthy = judge(Measurements("", (Layer("a", kernel_gradient=1.0), Layer("b", kernel_gradient=1.0))))
    repaired = Repaired(None, tuple(changes), healthy, healthy)
    assert "- activation sigmoid -> elu: 4 layers\n" in repaired.text
    translation.activate("ko")
    lines = repaired.text.splitlines()
    assert len(lines) == len(changes) + 2
    assert "- 활성화 함수 sigmoid -> elu: 층 4개" in lines
    assert not [line for line in lines if not re.search("[가-힣]", line) or re.search(r"[a-z]{3,} [a-z]{3,}", line)]


def test_a_healthy_model_is_returned_as_it_is() -> None:
    model = network(3, "relu")
    repaired = repair(model, X, Y)
    assert repaired.model is model
    assert repaired.changes == ()


@pytest.mark.parametrize(("is_linear", "activation"), [(True, "elu"), (False, "linear")])
def test_a_linear_network_gets_activations(is_linear: bool, activation: str) -> None:
    """Elsewhere a layer without an activation is meant: its activation may be a layer of its own."""
    model = keras.Sequential([keras.Input((8,)), layers.Dense(8), layers.Dense(8), layers.Dense(2, "softmax")])
    rebuild, changes = rebuilt(model, activation="elu", is_linear=is_linear)
    names = [layer.activation.__name__ for layer in rebuild.layers if isinstance(layer, layers.Dense)]
    assert names == [activation, activation, "softmax"]
    assert any(change.startswith("activation linear -> elu") for change in changes) == is_linear


class Subclassed(keras.Model):
    """Keras can copy it only with the default depth: it does not remember the argument."""

    def __init__(self, depth: int = 8) -> None:
        super().__init__()
        self.hidden = [layers.Dense(12, "sigmoid", name=f"dense_{index}") for index in range(depth)]
        self.out = layers.Dense(2)

    def call(self, x: Any) -> Any:
        for layer in self.hidden:
            x = layer(x)
        return self.out(x)


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "is_copied"), [(8, True), (7, False)])
def test_a_subclassed_model_is_rescaled(depth: int, is_copied: bool) -> None:
    """A copy of it where Keras can make one, else the model itself."""
    model = Subclassed(depth)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"], jit_compile=False)
    model(X)
    before = model.get_weights()
    repaired = repair(model, X, Y)
    assert repaired.before.verdict == "vanishing"
    assert repaired.is_better
    assert (repaired.model is not model) == is_copied
    assert repaired.changes[0].startswith("in place") != is_copied
    unchanged = [np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True)]
    assert all(unchanged) if is_copied else not any(unchanged[:-2])
    assert repaired.model.fit(X, Y, epochs=80, verbose=0).history["accuracy"][-1] > 0.9


def test_a_model_that_cannot_be_repaired_in_place_is_as_it_was() -> None:
    """Its loss is always zero."""
    model = Subclassed(7)
    model.compile(keras.optimizers.SGD(0.1), lambda y, predicted: keras.ops.mean(predicted) * 0, jit_compile=False)
    model(X)
    before, rate = model.get_weights(), float(model.optimizer.learning_rate)
    repaired = repair(model, X, Y)
    assert repaired.before.has_errors
    assert not repaired.is_better
    assert repaired.model is model
    assert float(model.optimizer.learning_rate) == rate
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_lsuv_gives_unit_variance_across_samples_to_a_subclassed_model() -> None:
    model = Subclassed(4)
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
