"""How many examples `diagnose` and `repair` look at: all for the loss and the steps, few at once."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from mnist_depth.model_diagnosis.diagnose import diagnose
from mnist_depth.model_diagnosis.examples import minibatches, parts_of, shuffled, some_of
from mnist_depth.model_diagnosis.measuring import from_model
from mnist_depth.model_diagnosis.trial_steps import STEPS, TrialSteps

keras: Any = importlib.import_module("keras")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 8)).astype(np.float32)
Y = np.sort(RNG.integers(0, 3, 400)).astype(np.int32)
"""Sorted: the first 128 examples are all of one class."""


@keras.saving.register_keras_serializable("tests")
class Sizes(keras.layers.Layer):
    """Keeps the numbers of examples that it is called with; None inside a traced function."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self.seen: list[int | None] = []

    def call(self, x: Any) -> Any:
        self.seen.append(x.shape[0])
        return x


def compiled(*stack: Any) -> Any:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8,)), *stack, keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False)
    return model


def test_parts_are_disjoint_complete_and_of_every_class() -> None:
    model, batch = compiled(), (tf.range(400), tf.constant(Y))
    parts = [np.asarray(x) for x, _ in parts_of(batch, model, 128)]
    assert [len(part) for part in parts] == [100] * 4
    assert sorted(np.concatenate(parts)) == list(range(400))
    assert all(set(Y[part]) == {0, 1, 2} for part in parts)
    assert parts_of(batch, model, 400) == [batch]


def test_some_examples_are_drawn_from_all() -> None:
    model, batch = compiled(), (tf.range(400), tf.constant(Y))
    drawn, labels = some_of(batch, model, 100)
    assert len(set(drawn.numpy())) == 100
    np.testing.assert_array_equal(labels, Y[drawn])
    assert set(labels.numpy()) == {0, 1, 2}
    assert some_of(batch, model, 400) is batch


@pytest.mark.slow
def test_the_loss_is_that_of_all_examples() -> None:
    model = compiled(keras.layers.Dense(8, "tanh"))
    assert from_model(model, X, Y).loss == pytest.approx(model.evaluate(X, Y, verbose=0), rel=1e-5)


@pytest.mark.slow
def test_a_unit_that_any_example_activates_is_not_dead() -> None:
    """Of the two units, one is active for the last example only, the other for none."""
    model = compiled(keras.layers.Dense(2, "relu", name="hidden"))
    x = np.abs(X)
    x[-1] *= -1
    model.get_layer("hidden").set_weights([-np.ones((8, 2)), np.array([0.0, -1e9])])
    layer = next(layer for layer in from_model(model, x, Y).layers if layer.name == "hidden")
    assert layer.dead_share == 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("width", "limit"), [(8, 128), (60_000, 32)])
def test_the_examples_at_once_are_limited(width: int, limit: int) -> None:
    """The wide model has more than 500,000 parameters."""
    sizes = Sizes()
    model = compiled(sizes, keras.layers.Dense(width, "relu"))
    sizes.seen.clear()
    diagnose(model, X, Y)
    assert max(size for size in sizes.seen if size is not None) <= limit


@pytest.mark.slow
def test_the_held_out_quarter_is_used_by_no_step() -> None:
    model = compiled(keras.layers.Dense(8, "tanh"))
    found = TrialSteps(model, model.optimizer, None).held_out_loss(tf.constant(X), tf.constant(Y))
    held_out, kept = np.split(shuffled(400), [100])
    examples = kept[minibatches(300, STEPS)].ravel()
    model.fit(X[examples], Y[examples], batch_size=32, shuffle=False, verbose=0)
    assert found == pytest.approx(model.evaluate(X[held_out], Y[held_out], verbose=0), rel=1e-4)
