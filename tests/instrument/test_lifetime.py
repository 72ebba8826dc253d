"""A gauge from the first `fit` of a model to the last: built late, interrupted, followed by another gauge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from mnist_depth.instrument import DepthGauge, MemoryWriter, every_steps
from tests.instrument.twins import messages_of

pytestmark = pytest.mark.slow

RANDOM = np.random.default_rng(3)
X, Y = RANDOM.normal(size=(24, 6)).astype("float32"), RANDOM.integers(0, 3, 24).astype("int32")
STEPS = [1, 2, 3]
VARIABLES = ("hidden/kernel", "hidden/bias", "head/kernel", "head/bias")


class Subclassed(keras.Model):
    """Has no variables before its first call."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = keras.layers.Dense(4, "tanh", name="hidden")
        self.drop = keras.layers.Dropout(0.5, seed=1)
        self.head = keras.layers.Dense(3, name="head")

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.head(self.drop(self.hidden(inputs), training=training))


def sequential() -> Any:
    """Without an Input, so that its variables wait for the first batch."""
    dropout = keras.layers.Dropout(0.5, seed=1)
    return keras.Sequential([keras.layers.Dense(4, "tanh", name="hidden"), dropout, keras.layers.Dense(3, name="head")])


def unbuilt(make: Callable[[], Any]) -> Any:
    keras.utils.set_random_seed(7)
    model = make()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def fit(model: Any, *callbacks: Any) -> None:
    model.fit(X, Y, batch_size=8, shuffle=False, verbose=0, callbacks=list(callbacks))


def gauge(**options: Any) -> tuple[DepthGauge, MemoryWriter]:
    writer = MemoryWriter()
    given: dict[str, Any] = {"schedule": every_steps(1), "graph": False, **options}
    return DepthGauge(writer, **given), writer


def weights(model: Any) -> list[NDArray[Any]]:
    return [np.asarray(variable.value) for variable in (*model.variables, *model.optimizer.variables)]


def applied(writer: MemoryWriter) -> dict[str, list[int]]:
    tags = ("gradient_norm/", "update_ratio/")
    return {tag: sorted(points) for tag, points in writer.scalars.items() if tag.startswith(tags)}


EVERYTHING = {f"{quantity}/{name}": STEPS for quantity in ("gradient_norm", "update_ratio") for name in VARIABLES}


@pytest.mark.parametrize("make", [Subclassed, sequential])
def test_a_model_that_is_not_built_yet_is_measured_like_one_that_is(make: Callable[[], Any]) -> None:
    plain, watched = unbuilt(make), unbuilt(make)
    fit(plain)
    assert not watched.built
    measuring, writer = gauge(probe=(X, Y), gradients="both")
    fit(watched, measuring)
    assert applied(writer) == EVERYTHING
    for a, b in zip(weights(plain), weights(watched), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("make", [Subclassed, sequential])
def test_without_a_probe_it_is_measured_from_its_first_update_on(make: Callable[[], Any]) -> None:
    """Its variables are created while the first step is traced."""
    plain, watched = unbuilt(make), unbuilt(make)
    fit(plain)
    measuring, writer = gauge()
    assert messages_of(lambda: fit(watched, measuring)) == []
    assert applied(writer) == EVERYTHING
    for a, b in zip(weights(plain), weights(watched), strict=True):
        np.testing.assert_array_equal(a, b)


def test_without_a_probe_the_first_update_takes_the_place_of_the_untrained_model() -> None:
    model = unbuilt(sequential)
    measuring, writer = gauge(schedule=every_steps(100))
    for _ in range(2):
        fit(model, measuring)
    assert applied(writer) == {tag: [1] for tag in EVERYTHING}


class Break(keras.callbacks.Callback):
    """Ctrl-C in the second batch."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch == 1:
            raise KeyboardInterrupt


def interrupted() -> tuple[Any, DepthGauge]:
    model = unbuilt(Subclassed)
    first, _ = gauge(probe=(X, Y), gradients="both")
    with pytest.raises(KeyboardInterrupt):
        fit(model, first, Break())
    return model, first


def test_after_an_interrupted_fit_another_gauge_measures_and_leaves_the_optimizer_as_it_was() -> None:
    model, _ = interrupted()
    second, writer = gauge(probe=(X, Y), gradients="both")
    fit(model, second)
    assert applied(writer) == {tag: [3, 4, 5] for tag in EVERYTHING}
    assert "apply" not in vars(model.optimizer)


def test_after_an_interrupted_fit_the_same_gauge_measures_and_leaves_the_optimizer_as_it_was() -> None:
    model, first = interrupted()
    writer = MemoryWriter()
    first.restart(writer)
    fit(model, first)
    assert {tag: steps[-3:] for tag, steps in applied(writer).items()} == {tag: [3, 4, 5] for tag in EVERYTHING}
    assert "apply" not in vars(model.optimizer)


def test_after_an_interrupted_fit_a_model_that_is_compiled_anew_trains_as_it_is_told() -> None:
    model, first = interrupted()
    optimizer = model.optimizer
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])

    history = model.fit(X, Y, batch_size=8, verbose=0, callbacks=[first]).history
    assert "accuracy" in history
    assert "apply" not in vars(model.optimizer)


def test_two_gauges_in_one_fit_both_measure() -> None:
    model = unbuilt(sequential)
    (one, first), (two, second) = (gauge(probe=(X, Y), gradients="both") for _ in range(2))
    fit(model, one, two)
    assert applied(first) == applied(second) == EVERYTHING
    assert "apply" not in vars(model.optimizer)
