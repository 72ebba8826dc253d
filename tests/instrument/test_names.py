"""Names are unique over a model and belong to the innermost layer; the values under them are that layer's."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mnist_depth.instrument import DepthGauge, MemoryWriter, measure
from mnist_depth.instrument.names import all_layers, outer_layers, variables
from tests.instrument.twins import X, Y, dense, network, train


class Agent(keras.Model):
    """A network beside its copy, which has the same name and the same names inside."""

    def __init__(self) -> None:
        super().__init__()
        self.q = keras.Sequential([keras.Input((6,)), *[keras.layers.Dense(4, "tanh") for _ in range(3)]], name="q")
        self.target = keras.models.clone_model(self.q)

    def call(self, inputs: Any) -> Any:
        return self.q(inputs) + 0.1 * self.target(inputs)


def test_a_network_beside_its_clone() -> None:
    model: Any = Agent()
    model(X)
    model.target.set_weights([3 * w for w in model.q.get_weights()])
    model.compile("sgd", "mse")
    measured = measure(model, X, np.zeros((64, 4), "float32"))
    expected = {}
    for prefix, net in (("q", model.q), ("q_2", model.target)):
        x: Any = X
        for layer in net.layers:
            x = layer(x)
            expected[f"{prefix}/{layer.name}"] = float(np.std(x))
    assert measured.quantity("activation_std") == pytest.approx(expected, rel=1e-5)
    assert len(measured.quantity("probe_gradient_norm")) == 12


class Tied(keras.layers.Layer):
    """Uses another layer's kernel, and keeps that layer as an attribute or only its variable."""

    def __init__(self, to: Any, keep_layer: bool, **options: Any) -> None:
        super().__init__(**options)
        if keep_layer:
            self.to = to
            self.kernel_of = lambda: self.to.kernel
        else:
            self.shared = to.kernel
            self.kernel_of = lambda: self.shared

    def build(self, input_shape: Any) -> None:
        self.bias = self.add_weight(shape=(self.kernel_of().shape[0],), name="bias")

    def call(self, inputs: Any) -> Any:
        return keras.ops.matmul(inputs, keras.ops.transpose(self.kernel_of())) + self.bias


class Tying(keras.Model):
    def __init__(self, decoder_first: bool, keep_layer: bool) -> None:
        super().__init__()
        encoder = dense(3, "tanh", name="enc")
        encoder.build((None, 6))
        decoder = Tied(encoder, keep_layer, name="dec")
        self.first, self.second = (decoder, encoder) if decoder_first else (encoder, decoder)
        self.ends = decoder_first

    def call(self, inputs: Any) -> Any:
        encoder, decoder = (self.second, self.first) if self.ends else (self.first, self.second)
        return decoder(encoder(inputs))


@pytest.mark.parametrize("decoder_first", [False, True])
@pytest.mark.parametrize("keep_layer", [False, True])
def test_tied_weights_belong_to_the_layer_that_made_them(decoder_first: bool, keep_layer: bool) -> None:
    model: Any = Tying(decoder_first, keep_layer)
    model.compile("sgd", "mse")
    model(X)
    measured = measure(model, X, X)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((X - model(X)) ** 2)
    encoder = outer_layers(model)["enc"]
    gradient = tape.gradient(loss, encoder.kernel.value)
    norms = measured.quantity("probe_gradient_norm")
    assert set(norms) == {"enc/kernel", "enc/bias", "dec/bias"}
    assert norms["enc/kernel"] == pytest.approx(float(np.linalg.norm(gradient)), rel=1e-4)
    assert measured.layers == ("enc", "dec")


def test_numbers_never_meet_a_name_that_is_taken() -> None:
    class Crowd(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.parts = [keras.layers.Dense(2, name=name) for name in ("a", "a", "a_2", "a", "a_3")]

        def call(self, inputs: Any) -> Any:
            return sum(part(inputs) for part in self.parts)

    model: Any = Crowd()
    model(X)
    model.compile("sgd", "mse")
    assert list(all_layers(model)) == ["a", "a_4", "a_2", "a_5", "a_3"]
    assert len(variables(model)) == 10
    deviations = measure(model, X, np.zeros((64, 2))).quantity("activation_std")
    for name, part in zip(("a", "a_4", "a_2", "a_5", "a_3"), model.parts, strict=True):
        assert deviations[name] == pytest.approx(float(np.std(part(X))), rel=1e-5)


def test_a_student_beside_its_frozen_teacher() -> None:
    def net() -> Any:
        return keras.Sequential(
            [keras.Input((6,)), dense(4, "sigmoid", name="fc1"), dense(1, name="fc2")], name="classifier"
        )

    class Distiller(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.teacher, self.student = net(), net()
            self.teacher.trainable = False

        def call(self, inputs: Any) -> Any:
            return self.student(inputs) + 0.0 * self.teacher(inputs)

    model: Any = Distiller()
    model(X)
    model.compile("sgd", "mse")
    model.student.compile("sgd", "mse")
    together, alone = measure(model, X, Y), measure(model.student, X, Y)
    assert {f"classifier_2/{n}": v for n, v in alone.quantity("probe_gradient_norm").items()} == pytest.approx(
        together.quantity("probe_gradient_norm"), rel=1e-5
    )


@pytest.mark.parametrize("name", ["_x", "-x", "_1", "-", "a.b", "a>b"])
def test_every_name_that_keras_trains_is_drawn_and_measured(name: str) -> None:
    writer = MemoryWriter()
    train(lambda: network(dense(4, "relu", name=name)), [DepthGauge(writer, (X, Y))], epochs=1)
    assert f"probe_gradient_norm/{name}/kernel" in writer.scalars
    boxes = {node.name.partition("/")[0] for node in writer.graph.node}
    assert {name, "out"} <= boxes
