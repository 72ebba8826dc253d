"""Towers of a functional model, judged one by one; no towers where every path passes one first layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mnist_depth import records
from mnist_depth.instrument import DepthGauge
from mnist_depth.instrument.towers import towers_of
from mnist_depth.model_diagnosis.diagnose import diagnose
from mnist_depth.results.diagnosis import diagnose_run

layers = keras.layers
RNG = np.random.default_rng(0)
X = [RNG.normal(size=(64, 6)).astype(np.float32) for _ in range(2)]
Y = (X[0][:, :1] > 0).astype(np.float32)


def chain(x: Any, name: str, depth: int, activation: str = "relu") -> Any:
    for place in range(1, depth + 1):
        x = layers.Dense(6, activation, name=f"{name}{place}")(x)
    return x


def inputs() -> tuple[Any, Any]:
    return keras.Input((6,)), keras.Input((6,))


def out(inputs: Any, x: Any) -> keras.Model:
    return keras.Model(inputs, layers.Dense(1, "sigmoid", name="out")(x))


def two_inputs() -> keras.Model:
    a, b = inputs()
    merged = layers.Concatenate()([chain(a, "a", 2), chain(b, "b", 9, "sigmoid")])
    return out([a, b], layers.Dense(6, "relu", name="head")(merged))


def nested() -> keras.Model:
    """The same with a Sequential and a functional model inside, and an activation that is an operation."""
    a, b = inputs()
    inner = keras.Input((6,))
    left = keras.Sequential([keras.Input((6,)), layers.Dense(6, name="a1"), layers.Dense(6, name="a2")], name="left")
    right = keras.Model(inner, chain(inner, "b", 3), name="right")
    return out([a, b], layers.Add()([keras.ops.relu(left(a)), right(b)]))


def one_input() -> keras.Model:
    a, _ = inputs()
    return out(a, layers.Concatenate()([chain(a, "a", 2), chain(a, "b", 3)]))


def without_a_head() -> keras.Model:
    a, b = inputs()
    return keras.Model([a, b], layers.Dot(1)([chain(a, "a", 2), chain(b, "b", 2)]))


def embeddings() -> keras.Model:
    """Two first layers that are multiplied, and two that a second branch puts together."""
    a, b = keras.Input((1,), dtype="int32"), keras.Input((1,), dtype="int32")
    e, f, g, h = (
        layers.Flatten()(layers.Embedding(5, 6, name=name)(x)) for name, x in zip("efgh", (a, b, a, b), strict=True)
    )
    return out([a, b], layers.Concatenate()([layers.Multiply()([e, f]), chain(layers.Add()([g, h]), "mlp", 2)]))


def cross_attention() -> keras.Model:
    """A decoder whose first layers go around the attention to the encoder."""
    a, b = keras.Input((3, 6)), keras.Input((3, 6))
    memory, y = chain(a, "e", 2), chain(b, "d", 2)
    y = layers.Add()([y, layers.MultiHeadAttention(1, 6, name="cross")(y, memory)])
    return out([a, b], y)


@pytest.mark.parametrize(
    ("model", "towers"),
    [
        (two_inputs, {"a1 to a2": "a1 a2 head out", "b1 to b9": " ".join(f"b{i}" for i in range(1, 10)) + " head out"}),
        (nested, {"left": "left/a1 left/a2 out", "right": "right/b1 right/b2 right/b3 out"}),
        (one_input, {"a1 to a2": "a1 a2 out", "b1 to b3": "b1 b2 b3 out"}),
        (without_a_head, {"a1 to a2": "a1 a2", "b1 to b2": "b1 b2"}),
        (embeddings, {"e to f": "e f out", "g to mlp2": "g h mlp1 mlp2 out"}),
        (cross_attention, {"e1 to e2": "e1 e2 cross out", "d1 to d2": "d1 d2 cross out"}),
    ],
)
def test_every_path_from_a_first_layer_is_a_tower(model: Callable[[], keras.Model], towers: dict[str, str]) -> None:
    assert {name: " ".join(found) for name, found in towers_of(model()).items()} == towers


def siamese() -> keras.Model:
    a, b = inputs()
    encoder = keras.Sequential([keras.Input((6,)), layers.Dense(6), layers.Dense(6)])
    return out([a, b], layers.Subtract()([encoder(a), encoder(b)]))


def residual() -> keras.Model:
    """Blocks around nothing and, in the first place, around a projection."""
    a, _ = inputs()
    x = layers.Add()([layers.Dense(6, name="projection")(a), chain(a, "a", 2)])
    return out(a, layers.Concatenate()([x, chain(x, "b", 2)]))


def u_shaped() -> keras.Model:
    a, _ = inputs()
    first = chain(a, "down", 1)
    return out(a, layers.Concatenate()([first, chain(chain(first, "mid", 2), "up", 1)]))


def two_outputs() -> keras.Model:
    a, _ = inputs()
    trunk = chain(a, "trunk", 2)
    return keras.Model(a, [chain(trunk, "p", 2), chain(trunk, "q", 2)])


def tied() -> keras.Model:
    a, _ = inputs()
    first, second = layers.Dense(6), layers.Dense(6)
    return out(a, second(first(second(first(a)))))


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = (keras.Sequential([layers.Dense(6), layers.Dense(6)]) for _ in range(2))

    def call(self, inputs: Any) -> Any:
        return self.left(inputs[0]) + self.right(inputs[1])


@pytest.mark.parametrize("model", [siamese, residual, u_shaped, two_outputs, tied, Subclassed])
def test_other_branches_are_no_towers(model: Callable[[], keras.Model]) -> None:
    assert towers_of(model()) == {}


def test_a_tower_that_vanishes_is_found_before_while_and_after_training(tmp_path: Path) -> None:
    model: Any = two_inputs()
    model.compile(keras.optimizers.SGD(0.01), "binary_crossentropy", jit_compile=False)
    gauge = DepthGauge(tmp_path / "towers", (X, Y), graph=False, on_finding="ignore")
    before = diagnose(model, X, Y)
    model.fit(X, Y, epochs=2, batch_size=32, verbose=0, callbacks=[gauge])
    record = records.read_gauge(tmp_path / "towers")
    for found in (before, gauge.diagnosis, diagnose_run(record, "start"), diagnose_run(record, "end")):
        assert found is not None
        (vanishing,) = (finding for finding in found.findings if finding.kind == "vanishing")
        assert vanishing.layer == "b1"
        assert vanishing.sentence.startswith("b1 to b9: the first layer's gradient is ")
        assert "after 10 steps" in vanishing.sentence
    assert record.metadata["separate_losses"] is False


def test_the_output_behind_merged_towers_has_its_own_activation() -> None:
    model: Any = without_a_head()
    model = keras.Model(model.inputs, layers.Activation("sigmoid")(model.outputs[0]))
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", jit_compile=False)
    assert "output and loss" not in [finding.kind for finding in diagnose(model, X, Y).findings]
