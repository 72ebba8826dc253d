"""The gauge warns once about what it cannot measure, and uses training where the probe lacks information."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mnist_depth.instrument import DepthGauge, MemoryWriter, every_steps, measure
from tests.instrument.twins import STEPS, X, Y, assert_same, dense, messages_of, network, train

pytestmark = pytest.mark.slow


def gauge(probe: Any = (X, Y), **options: Any) -> tuple[DepthGauge, MemoryWriter]:
    writer = MemoryWriter()
    return DepthGauge(writer, probe, **{"schedule": every_steps(1), "graph": False, **options}), writer


class Penalty(keras.layers.Layer):
    def call(self, inputs: Any) -> Any:
        squares: Any = keras.ops.mean(inputs**2)
        self.add_loss(1e-3 * squares)
        return inputs


class Autoencoder(keras.Model):
    """Its train step minimizes more than the loss that Keras knows of."""

    def __init__(self) -> None:
        super().__init__()
        self.enc, self.penalty, self.dec = dense(3, "tanh", name="enc"), Penalty(), dense(6, name="dec")

    def call(self, inputs: Any) -> Any:
        return self.dec(self.penalty(self.enc(inputs)))

    def train_step(self, data: Any) -> Any:
        x = data[0]
        with tf.GradientTape() as tape:
            loss: Any = self.whole_loss(x)
        weights: Any = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, [w.value for w in weights]), weights)
        return {"loss": loss}

    def whole_loss(self, x: Any) -> Any:
        difference: Any = keras.ops.mean((x - self(x)) ** 2)
        return difference + sum(self.losses)


def autoencoder() -> Any:
    model: Any = Autoencoder()
    model.compile("sgd", jit_compile=False)
    model(X)
    return model


def test_a_loss_that_only_the_train_step_knows() -> None:
    """The gradients are those that training applies; the probe's would be those of the penalty alone."""
    measuring, writer = gauge()
    messages = messages_of(lambda: train(autoencoder, [measuring], data=(X, X), batch_size=64, epochs=1))
    assert len(messages) == 1
    assert "computes its loss in a train_step of its own and is compiled without one; loss= gives" in messages[0]
    keras.utils.set_random_seed(1)
    model = autoencoder()
    with tf.GradientTape() as tape:
        loss = model.whole_loss(X)
    gradient = tape.gradient(loss, model.enc.kernel.value)
    assert writer.scalars["gradient_norm/enc/kernel"] == {1: pytest.approx(float(np.linalg.norm(gradient)), rel=1e-4)}
    assert not [tag for tag in writer.scalars if tag.startswith(("probe_", "pre_activation_gradient"))]


def test_measure_leaves_out_gradients_of_another_loss() -> None:
    model = autoencoder()
    messages = messages_of(lambda: measure(model, X, X))
    assert len(messages) == 1
    assert messages[0].startswith("no gradients, the rest is measured: the model computes its loss in a train_step")
    measured = measure(model, X, X, loss=lambda y, predicted: tf.reduce_mean((y - predicted) ** 2, -1))
    assert measured.scalars["probe_loss"] == pytest.approx(float(model.whole_loss(X)), rel=1e-5)


def test_a_loss_that_is_given_is_the_probes() -> None:
    measuring, writer = gauge(loss=lambda y, predicted: tf.reduce_mean((y - predicted) ** 2, -1))
    assert messages_of(lambda: train(autoencoder, [measuring], data=(X, X))) == []
    assert "probe_gradient_norm/enc/kernel" in writer.scalars


class Extends(keras.Model):
    """A train step that extends Keras' own."""

    def train_step(self, data: Any) -> Any:
        return {**super().train_step(data), "twice": 2.0}


class Helped(keras.Model):
    """A train step that reaches the model's loss through a method."""

    def train_step(self, data: Any) -> Any:
        with tf.GradientTape() as tape:
            loss: Any = self.loss_of(*data)
        weights: Any = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, [w.value for w in weights]), weights)
        return {"loss": loss}

    def loss_of(self, x: Any, y: Any) -> Any:
        return self.compute_loss(x, y, self(x, training=True))


class Hidden(Helped):
    """A train step with a loss of its own, though the model is compiled with one."""

    def loss_of(self, x: Any, y: Any) -> Any:
        error: Any = keras.ops.mean(keras.ops.abs(y - self(x, training=True)))
        return error


def watched(kind: Any) -> tuple[list[str], MemoryWriter]:
    """What a gauge says and writes of a small model of this class; its training is the same as without the gauge."""

    def make() -> Any:
        inputs = keras.Input((6,))
        model: Any = kind(inputs, dense(1, name="out")(inputs))
        model.compile("sgd", "mse", jit_compile=False)
        return model

    measuring, writer = gauge()
    return messages_of(lambda: assert_same(train(make), train(make, [measuring]))), writer


@pytest.mark.parametrize(("kind", "known"), [(Extends, True), (Helped, True), (Hidden, False)])
def test_train_steps_with_the_compiled_loss_and_with_another(kind: Any, known: bool) -> None:
    messages, writer = watched(kind)
    assert [m.partition(":")[0] for m in messages] == ([] if known else ["gradients are those that training applies"])
    assert ("probe_gradient_norm/out/kernel" in writer.scalars) == known
    assert ("gradient_norm/out/kernel" in writer.scalars) != known


class Branch(keras.Model):
    """A layer that no output depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = dense(1, name="used"), dense(2, name="unused")

    def call(self, inputs: Any) -> Any:
        self.unused(inputs)
        return self.used(inputs)


def test_variables_without_a_gradient_are_named() -> None:
    model: Any = Branch()
    model.compile("sgd", "mse")
    model(X)
    messages = messages_of(lambda: measure(model, X, Y))
    assert len(messages) == 1
    assert messages[0].startswith("no gradient on the probe for unused/kernel, unused/bias: ")
    assert "gradients='applied'" in messages[0]


class Traced(keras.layers.Layer):
    """Reads its variables inside a function that is traced, or computed anew, on its own."""

    def __init__(self, how: str, **options: Any) -> None:
        super().__init__(**options)
        self.how, self.inner = how, dense(6, "tanh", name="inner")

    def build(self, input_shape: Any) -> None:
        self.inner.build(input_shape)

    def call(self, inputs: Any) -> Any:
        if self.how == "recompute_grad":
            return tf.recompute_grad(lambda x: self.inner(x))(inputs)
        return keras.remat(self.inner)(inputs)


class TracedCall(Traced):
    @tf.function
    def call(self, inputs: Any) -> Any:
        return self.inner(inputs)


@pytest.mark.parametrize("how", ["remat", "recompute_grad", "tf.function"])
def test_layers_that_read_their_variables_on_their_own(how: str) -> None:
    kind = TracedCall if how == "tf.function" else Traced

    def make() -> Any:
        return network(kind(how, name="block"))

    keras.utils.set_random_seed(1)
    model = make()
    measured = measure(model, X, Y).quantity("probe_gradient_norm")
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((Y - model(X)) ** 2)
    kernel = model.get_layer("block").inner.kernel.value
    assert measured["block/inner/kernel"] == pytest.approx(float(np.linalg.norm(tape.gradient(loss, kernel))), rel=1e-4)
    measuring, _ = gauge(gradients="both")
    assert messages_of(lambda: assert_same(train(make), train(make, [measuring]))) == []


def test_quantized_layers_are_measured() -> None:
    """Keras calls `quantized_call` in place of `call`."""
    model = network(dense(8, "relu", name="hidden"))
    model.quantize("int8")
    model.compile("sgd", "mse")
    measured = measure(model, X, Y, statistics=["activation_std"])
    assert measured.layers == ("hidden", "out")
    assert measured.scalars["activation_std/out"] == pytest.approx(float(np.std(model(X))), rel=1e-5)


@pytest.mark.parametrize("one_hot", [False, True])
def test_class_weights_weigh_the_probe(one_hot: bool) -> None:
    labels = np.arange(64) % 3
    y = np.eye(3, dtype="float32")[labels] if one_hot else labels
    loss = "categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy"

    def make() -> Any:
        model: Any = keras.Sequential([keras.Input((6,)), dense(3, "softmax", name="out")])
        model.compile("sgd", loss, jit_compile=False)
        return model

    weights = {0: 1.0, 1: 5.0, 2: 0.5}
    measuring, writer = gauge((X, y))
    train(make, [measuring], data=(X, y), class_weight=weights, epochs=1)
    keras.utils.set_random_seed(1)
    expected = measure(make(), X, y, np.asarray([weights[int(label)] for label in labels])).scalars["probe_loss"]
    assert writer.scalars["probe_loss"][0] == pytest.approx(expected, rel=1e-6)


class ByHand(keras.Model):
    """Updates its weights without an optimizer."""

    def train_step(self, data: Any) -> Any:
        x, y = data
        with tf.GradientTape() as tape:
            loss: Any = self.compute_loss(x, y, self(x, training=True))
        weights: Any = self.trainable_variables
        gradients: Any = tape.gradient(loss, [w.value for w in weights])
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.assign_sub(0.1 * gradient)
        return {"loss": loss}


def test_where_no_optimizer_steps_batches_are_counted() -> None:
    messages, writer = watched(ByHand)
    assert [m for m in messages if "no optimizer has made a step" in m] == messages != []
    assert sorted(writer.scalars["loss"]) == [STEPS, 2 * STEPS]
    assert sorted(writer.scalars["probe_loss"]) == list(range(2 * STEPS + 1))
    assert all(value > 0 for value in writer.scalars["update_ratio/out/kernel"].values())


def test_a_gauge_on_a_probe_traces_no_training_step() -> None:
    """What it costs at first is one trace of its own; measuring again costs none."""
    traces: list[str] = []

    class Counted(keras.layers.Layer):
        def call(self, inputs: Any, training: bool = False) -> Any:
            traces.append("training" if training else "inference")
            return inputs

    def make() -> Any:
        model = network(Counted(name="counted"))
        traces.clear()
        return model

    measuring, _ = gauge()
    train(make, [measuring])
    assert traces == ["inference", "training"]
    model = make()
    for _ in range(3):
        measure(model, X, Y)
    measure(model, X + 1, Y)
    assert traces == ["inference"]


def test_measure_sees_what_has_changed() -> None:
    model = network(dense(4, name="hidden"))
    first = measure(model, X, Y).scalars
    model.get_layer("hidden").kernel.assign(2 * model.get_layer("hidden").kernel)
    second = measure(model, X, Y).scalars
    assert second["weight_norm/hidden/kernel"] == pytest.approx(2 * first["weight_norm/hidden/kernel"])
    model.get_layer("hidden").trainable = False
    assert "probe_gradient_norm/hidden/kernel" not in measure(model, X, Y).scalars
    model.compile("sgd", "mae")
    assert measure(model, X, Y).scalars["probe_loss"] == pytest.approx(float(np.mean(np.abs(model(X) - Y))), rel=1e-5)
