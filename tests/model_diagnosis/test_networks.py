"""What `diagnose` finds in networks of the lectures, and which models it can measure."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from mnist_depth.diagnosis import layer_numbers
from mnist_depth.errors import UserError
from mnist_depth.instrument.traits import model_traits
from mnist_depth.model_diagnosis.diagnose import diagnose

from .stacks import IMAGES, LABELS, compiled, dense_stack, glorot

keras: Any = importlib.import_module("keras")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "initializer", "verdicts"),
    [
        ("sigmoid", glorot, {"vanishing"}),
        ("relu", lambda index: keras.initializers.HeNormal(seed=index), {"healthy"}),
        ("relu", lambda index: keras.initializers.RandomNormal(stddev=1.0, seed=index), {"exploding", "not finite"}),
        ("relu", lambda index: keras.initializers.Zeros(), {"symmetric"}),
        ("sigmoid", lambda index: keras.initializers.Zeros(), {"symmetric"}),
        ("tanh", glorot, {"healthy"}),
    ],
)
def test_networks_of_the_lectures(activation: str, initializer: Any, verdicts: set[str]) -> None:
    assert diagnose(dense_stack(activation, initializer), IMAGES, LABELS).verdict in verdicts


def test_measuring_changes_nothing() -> None:
    model = dense_stack("sigmoid", glorot, depth=3)
    before = [np.array(weight) for weight in model.get_weights()]
    diagnose(model, IMAGES, LABELS)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_functional_model_with_convolution_batch_norm_and_a_skip() -> None:
    inputs = keras.Input((28, 28, 1))
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="stem")(inputs)
    branch = keras.layers.BatchNormalization()(keras.layers.Conv2D(8, 3, padding="same", name="conv")(x))
    x = keras.layers.Add()([x, keras.layers.ReLU()(branch)])
    x = keras.layers.Dense(16, "relu", name="head")(keras.layers.GlobalAveragePooling2D()(x))
    model = compiled(keras.Model(inputs, keras.layers.Dense(10, name="logits")(keras.layers.Dropout(0.5)(x))))
    labels = (IMAGES[:, :392].mean(axis=1) > IMAGES[:, 392:].mean(axis=1)).astype(int)
    images = IMAGES * np.where(labels, 1, -1)[:, None]
    diagnosis = diagnose(model, images.reshape(-1, 28, 28, 1), labels)
    assert [layer.name for layer in diagnosis.layers] == ["stem", "conv", "head", "logits"]
    assert diagnosis.verdict == "healthy"
    assert model_traits(model) == {
        "activation": "relu",
        "initializer": "glorot_uniform",
        "batch_norm": "used",
        "wiring": "residual",
        "optimizer": "sgd",
    }


def test_layers_are_numbered_by_their_names_where_all_have_one() -> None:
    assert layer_numbers(["layer_01", "layer_02_a", "layer_02_b", "layer_03"]) == [1, 2, 2, 3]
    assert layer_numbers(["layer_01", "projection_02", "layer_02"]) == [1, 2, 3]
    assert layer_numbers(["stem", "head"]) == [1, 2]


class Subclassed(keras.Model):
    """Layers held in attributes, called in an order of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.out = keras.layers.Dense(10)
        self.first = keras.layers.Dense(32, activation="sigmoid")
        self.second = keras.layers.Dense(32, activation="sigmoid")

    def call(self, x: Any):
        return self.out(self.second(self.first(x)))


def test_a_subclassed_model_is_measured_in_the_order_of_its_calls() -> None:
    model = Subclassed()
    model(IMAGES)
    diagnosis = diagnose(compiled(model), IMAGES, LABELS)
    assert [layer.name for layer in diagnosis.layers] == [model.first.name, model.second.name, model.out.name]
    assert all(value is not None and value > 0 for value in diagnosis.gradients)


@pytest.mark.parametrize("labels", [LABELS, np.eye(10)[LABELS]])
def test_a_model_that_is_not_compiled_gets_the_usual_loss(labels: Any) -> None:
    model = keras.Sequential([keras.Input((784,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(10, "softmax")])
    assert diagnose(model, IMAGES, labels).verdict == "healthy"


def test_a_batch_that_does_not_fit_is_a_user_error() -> None:
    with pytest.raises(UserError, match="cannot be measured on this batch"):
        diagnose(dense_stack("relu", glorot, depth=2), IMAGES[:, :5], LABELS)


def test_a_model_without_weights_is_a_user_error() -> None:
    with pytest.raises(UserError, match="no weight layer"):
        diagnose(compiled(keras.Sequential([keras.Input((784,)), keras.layers.Rescaling(2.0)])), IMAGES, LABELS)
