"""Mistakes that questions in forums are about: named before training, and silent once they are corrected."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

from mnist_depth.model_diagnosis.diagnose import diagnose

keras: Any = importlib.import_module("keras")
layers, losses = keras.layers, keras.losses
ExponentialDecay = keras.optimizers.schedules.ExponentialDecay

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 8)).astype(np.float32)
CLASSES = (X[:, 0] > 0).astype(np.int32) + (X[:, 1] > 0)
BINARY = (X[:, 0] > 0).astype(np.float32)
COUNTS = np.floor(np.exp(X[:, :1]))
TARGETS = X[:, :1] * 2 + X[:, 1:2]


@pytest.fixture(autouse=True)
def _seed() -> None:
    """The same initial weights in every run: a network of these sizes starts badly now and then."""
    keras.utils.set_random_seed(0)


class Mistake(NamedTuple):
    """How to build the wrong and the right version, and the kind of finding that names the cause."""

    kind: str
    wrong: Callable[[], tuple[Any, Any, Any]]
    right: Callable[[], tuple[Any, Any, Any]]


def net(units: int, output: str | None, loss: Any, *hidden: Any, rate: Any = 0.1, optimizer: Any = None) -> Any:
    stack = hidden or (layers.Dense(16, "relu", name="first"), layers.Dense(16, "relu", name="second"))
    model = keras.Sequential([keras.Input((8,)), *stack, layers.Dense(units, output, name="output")])
    model.compile(optimizer or keras.optimizers.SGD(rate), loss, jit_compile=False)
    return model


def classifier(*hidden: Any, rate: Any = 0.1) -> Any:
    return net(3, "softmax", "sparse_categorical_crossentropy", *hidden, rate=rate)


def right() -> Any:
    """The corrected version of many mistakes."""
    return classifier(), X, CLASSES


def stack(count: int, activation: str | None, **fields: Any) -> list[Any]:
    return [layers.Dense(16, activation, name=f"dense_{index}", **fields) for index in range(count)]


MISTAKES: dict[str, Mistake] = {
    "softmax on one unit": Mistake(
        "output and loss",
        lambda: (net(1, "softmax", "binary_crossentropy"), X, BINARY),
        lambda: (net(1, "sigmoid", "binary_crossentropy"), X, BINARY),
    ),
    "no softmax for a loss that needs probabilities": Mistake(
        "output and loss",
        lambda: (net(3, None, "sparse_categorical_crossentropy"), X, CLASSES),
        lambda: (net(3, None, losses.SparseCategoricalCrossentropy(from_logits=True)), X, CLASSES),
    ),
    "softmax twice": Mistake(
        "output and loss",
        lambda: (net(3, "softmax", losses.SparseCategoricalCrossentropy(from_logits=True)), X, CLASSES),
        right,
    ),
    "ReLU on the output of a classifier": Mistake(
        "output and loss",
        lambda: (net(3, "relu", "sparse_categorical_crossentropy"), X, CLASSES),
        right,
    ),
    "sigmoid with a categorical loss": Mistake(
        "output and loss",
        lambda: (net(3, "sigmoid", "sparse_categorical_crossentropy"), X, CLASSES),
        right,
    ),
    "ReLU output for negative targets": Mistake(
        "output and loss",
        lambda: (net(1, "relu", "mse", rate=0.02), X, TARGETS),
        lambda: (net(1, None, "mse", rate=0.02), X, TARGETS),
    ),
    "labels from 1 to 3 for three units": Mistake("labels", lambda: (classifier(), X, CLASSES + 1), right),
    "class numbers for a loss of one-hot labels": Mistake(
        "labels",
        lambda: (net(3, "softmax", "categorical_crossentropy"), X, CLASSES),
        lambda: (net(3, "softmax", "categorical_crossentropy"), X, np.eye(3, dtype=np.float32)[CLASSES]),
    ),
    "one label for three outputs": Mistake(
        "labels",
        lambda: (net(3, None, "mse", rate=0.02), X, TARGETS[:, 0]),
        lambda: (net(1, None, "mse", rate=0.02), X, TARGETS[:, 0]),
    ),
    "labels of -1 and 1 for binary cross-entropy": Mistake(
        "labels",
        lambda: (net(1, "sigmoid", "binary_crossentropy"), X, 2 * BINARY - 1),
        lambda: (net(1, "sigmoid", "binary_crossentropy"), X, BINARY),
    ),
    "a missing value in the inputs": Mistake(
        "not finite",
        lambda: (classifier(), np.where(np.arange(8) + 8 * np.arange(96)[:, None] == 13, np.nan, X), CLASSES),
        right,
    ),
    "pixels from 0 to 255": Mistake(
        "input scale",
        lambda: (classifier(), 255 * (X + 3) / 6, CLASSES),
        lambda: (classifier(layers.Rescaling(1 / 50, -2.5), *stack(2, "relu")), 255 * (X + 3) / 6, CLASSES),
    ),
    "all weights zero": Mistake(
        "symmetric",
        lambda: (classifier(*stack(2, "relu", kernel_initializer="zeros")), X, CLASSES),
        lambda: (classifier(*stack(2, "relu")), X, CLASSES),
    ),
    "nine sigmoid layers": Mistake(
        "vanishing",
        lambda: (classifier(*stack(8, "sigmoid")), X, CLASSES),
        lambda: (classifier(*stack(8, "relu", kernel_initializer="he_normal")), X, CLASSES),
    ),
    "a learning rate of 100": Mistake("learning rate too high", lambda: (classifier(rate=100.0), X, CLASSES), right),
    "a learning rate of 1e-7": Mistake("learning rate too low", lambda: (classifier(rate=1e-7), X, CLASSES), right),
    "no activations": Mistake(
        "no non-linearity",
        lambda: (classifier(*stack(3, None)), X, CLASSES),
        lambda: (classifier(*stack(3, "tanh")), X, CLASSES),
    ),
    "sigmoid for the hinge loss": Mistake(
        "output and loss",
        lambda: (net(1, "sigmoid", "hinge"), X, BINARY),
        lambda: (net(1, "tanh", "hinge"), X, BINARY),
    ),
    "counts from a linear output": Mistake(
        "output and loss",
        lambda: (net(1, None, "poisson", *stack(2, "tanh"), rate=0.02), X, COUNTS),
        lambda: (net(1, "exponential", "poisson", *stack(2, "tanh"), rate=0.02), X, COUNTS),
    ),
    "a time stamp among the columns": Mistake(
        "input scale",
        lambda: (net(1, "sigmoid", "binary_crossentropy"), np.hstack([X[:, :7], 1.7e9 + 1e5 * X[:, 7:]]), BINARY),
        lambda: (net(1, "sigmoid", "binary_crossentropy"), X, BINARY),
    ),
    "microvolts": Mistake(
        "input scale",
        lambda: (classifier(), 1e-6 * X, CLASSES),
        right,
    ),
    "a schedule that ends at once": Mistake(
        "learning rate too low", lambda: (classifier(rate=ExponentialDecay(0.1, 1, 0.5)), X, CLASSES), right
    ),
    "targets in the thousands": Mistake(
        "target scale",
        lambda: (net(1, None, "mse", optimizer="adam"), X, 5000 * TARGETS),
        lambda: (net(1, None, "mse", optimizer=keras.optimizers.Adam(0.01)), X, TARGETS),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_before_training(name: str) -> None:
    """The most severe finding is its cause."""
    assert diagnose(*MISTAKES[name].wrong()).findings[0].kind == MISTAKES[name].kind


@pytest.mark.slow
@pytest.mark.parametrize("name", MISTAKES)
def test_the_corrected_version_has_no_error(name: str) -> None:
    assert errors(MISTAKES[name].right) == []


@cache
def errors(build: Callable[[], tuple[Any, Any, Any]]) -> list[str]:
    return [finding.sentence for finding in diagnose(*build()).findings if finding.severity == "error"]
