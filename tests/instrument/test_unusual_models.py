"""Unusual models: bit-identical to a twin without the gauge, measured under the right names, exact warnings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mnist_depth.instrument import every_steps, measure
from tests.instrument.twins import STEPS, X, Y, assert_same, compare, dense, gauge, hidden, messages_of, network, train

pytestmark = pytest.mark.slow


def masked() -> Any:
    inputs = keras.Input((6,), dtype="int32")
    x = keras.layers.LSTM(4, name="lstm")(keras.layers.Embedding(9, 3, mask_zero=True, name="words")(inputs))
    return compiled(keras.Model(inputs, dense(1, name="out")(x)))


def compiled(model: Any, loss: Any = "mse", **options: Any) -> Any:
    model.compile(options.pop("optimizer", "sgd"), loss, **{"jit_compile": False, **options})
    return model


def shared_twice() -> Any:
    encoder = keras.Sequential([keras.Input((6,)), dense(4, "tanh", name="code")], name="encoder")
    left, right = keras.Input((6,)), keras.Input((6,))
    joined = keras.layers.Concatenate(name="join")([encoder(left), encoder(right)])
    return compiled(keras.Model([left, right], dense(1, name="out")(joined)))


def many_losses() -> Any:
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    x = keras.layers.Add(name="sum")([dense(4, name="a")(left), dense(4, name="b")(right)])
    outputs = {"size": dense(1, name="size")(x), "kind": dense(3, "softmax", name="kind")(x)}
    losses = {"size": "mse", "kind": "sparse_categorical_crossentropy"}
    return compiled(keras.Model({"left": left, "right": right}, outputs), losses, loss_weights={"size": 0.1, "kind": 2})


def lora() -> Any:
    model = hidden()
    model.layers[0].enable_lora(2)
    return compiled(model)


def xla() -> Any:
    return hidden(jit_compile=True)


def averaged() -> Any:
    return hidden(optimizer=keras.optimizers.Adam(0.01, use_ema=True, gradient_accumulation_steps=2))


def half_precision() -> Any:
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=256.0)
    return network(keras.layers.Dense(5, "tanh", name="hidden", dtype="mixed_float16"), optimizer=optimizer)


class FitsItsOwnWay(keras.Model):
    """Overrides `fit`, and steps a second optimizer by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = dense(4, "tanh", name="hidden"), dense(1, name="out")
        self.second = keras.optimizers.Adam(0.01)

    def call(self, inputs: Any) -> Any:
        return self.out(self.hidden(inputs))

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        return super().fit(*args, **kwargs)

    def train_step(self, data: Any) -> Any:
        x, y = data[:2]
        with tf.GradientTape() as tape:
            loss: Any = self.compute_loss(x, y, self(x, training=True))
        parts = [self.hidden.trainable_weights, self.out.trainable_weights]
        weights: Any = [weight for part in parts for weight in part]
        gradients: Any = tape.gradient(loss, [weight.value for weight in weights])
        self.optimizer.apply(gradients[:2], parts[0])
        self.second.apply(gradients[2:], parts[1])
        return {"loss": loss}


def own_fit() -> Any:
    return compiled(FitsItsOwnWay())


class SharpnessAware(keras.Model):
    """Moves the weights uphill, takes the gradient there, and moves them back before the update (SAM)."""

    def train_step(self, data: Any) -> Any:
        x, y = data
        weights: Any = self.trainable_variables
        loss, gradients = self.gradients(x, y)
        uphill = [gradient * 0.05 / tf.linalg.global_norm(gradients) for gradient in gradients]
        for weight, step in zip(weights, uphill, strict=True):
            weight.assign_add(step)
        _, gradients = self.gradients(x, y)
        for weight, step in zip(weights, uphill, strict=True):
            weight.assign_sub(step)
        self.optimizer.apply(gradients, weights)
        return {"loss": loss}

    def gradients(self, x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss: Any = self.compute_loss(x, y, self(x, training=True))
        return loss, tape.gradient(loss, [weight.value for weight in self.trainable_variables])


def sharpness_aware() -> Any:
    inputs = keras.Input((6,))
    return compiled(SharpnessAware(inputs, dense(1, name="out")(dense(5, "tanh", name="hidden")(inputs))))


def spectral() -> Any:
    return network(keras.layers.SpectralNormalization(dense(5, "tanh", name="inner"), name="normed"))


def strings() -> Any:
    inputs = keras.Input((), dtype="string")
    lookup: Any = keras.layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")
    return compiled(keras.Model(inputs, dense(1, name="out")(dense(5, "tanh", name="hidden")(lookup(inputs)))))


def on_one_replica() -> Any:
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        return hidden()


WORDS = np.random.default_rng(5).integers(0, 9, (64, 6))
KINDS = np.random.default_rng(6).integers(0, 3, 64)
WEIGHTS = np.random.default_rng(7).random(64).astype("float32")
LETTERS = tf.constant(["a", "b", "c", "a"] * 16)
LEFT_RIGHT = {"left": X, "right": X[::-1].copy()}
TARGETS = {"size": Y, "kind": KINDS}
OF_HIDDEN = {"hidden/kernel", "hidden/bias", "out/kernel", "out/bias"}

ACCUMULATED = "gradients are accumulated: of every update, the last minibatch's is written"

MODELS: dict[str, tuple[Callable[[], Any], Any, set[str], list[str]]] = {
    "masked": (
        masked,
        (WORDS, Y),
        {"words/embeddings", *(f"lstm/lstm_cell/{v}" for v in ("kernel", "recurrent_kernel", "bias"))}
        | {"out/kernel", "out/bias"},
        [],
    ),
    "shared twice": (
        shared_twice,
        ([X, X[::-1].copy()], Y),
        {"encoder/code/kernel", "encoder/code/bias", "out/kernel", "out/bias"},
        [],
    ),
    "many losses": (
        many_losses,
        (LEFT_RIGHT, TARGETS),
        {f"{layer}/{v}" for layer in ("a", "b", "size", "kind") for v in ("kernel", "bias")},
        [],
    ),
    "sample weights": (hidden, (X, Y, WEIGHTS), OF_HIDDEN, []),
    "lora": (
        lora,
        (X, Y),
        {"hidden/bias", "hidden/lora_kernel_a", "hidden/lora_kernel_b", "out/kernel", "out/bias"},
        [],
    ),
    "xla": (xla, (X, Y), OF_HIDDEN, []),
    "averaged and accumulated": (averaged, (X, Y), OF_HIDDEN, [ACCUMULATED]),
    "half precision": (half_precision, (X, Y), OF_HIDDEN, []),
    "a fit of its own": (own_fit, (X, Y), OF_HIDDEN, []),
    "sharpness aware": (sharpness_aware, (X, Y), OF_HIDDEN, []),
    "spectral": (spectral, (X, Y), {"normed/inner/kernel", "normed/inner/bias", "out/kernel", "out/bias"}, []),
    "strings": (strings, (LETTERS, Y), OF_HIDDEN, []),
    "one replica": (on_one_replica, (X, Y), OF_HIDDEN, []),
}


@pytest.mark.parametrize("name", list(MODELS))
def test_models(name: str) -> None:
    make, data, variables, warned = MODELS[name]
    sample_weight = {"sample_weight": data[2]} if len(data) == 3 else {}
    measuring, writer = gauge(data)
    plain = train(make, data=data[:2], epochs=1, **sample_weight)
    found: list[Any] = []
    messages = messages_of(lambda: found.append(train(make, [measuring], data=data[:2], epochs=1, **sample_weight)))
    assert_same(plain, found[0])
    assert messages == warned
    updates = int(found[0].optimizer.iterations.numpy())
    for kind, steps in (("probe_gradient_norm", range(updates + 1)), ("gradient_norm", range(1, updates + 1))):
        series = {tag.partition("/")[2]: points for tag, points in writer.scalars.items() if tag.startswith(f"{kind}/")}
        assert set(series) == variables
        assert {tuple(points) for points in series.values()} == {tuple(steps)}
    assert writer.graph is not None


def test_the_probe_weighs_losses_and_samples_as_training_does() -> None:
    """The loss on a probe that is the whole epoch is the loss that `evaluate` reports."""
    measuring, writer = gauge((LEFT_RIGHT, TARGETS, {"size": WEIGHTS, "kind": WEIGHTS}), schedule=every_steps(100))
    keras.utils.set_random_seed(1)
    model = many_losses()
    weights: Any = {"size": WEIGHTS, "kind": WEIGHTS}
    expected = model.evaluate(LEFT_RIGHT, TARGETS, sample_weight=weights, batch_size=64, verbose=0, return_dict=True)
    model.fit(LEFT_RIGHT, TARGETS, sample_weight=weights, verbose=0, callbacks=[measuring])
    assert writer.scalars["probe_loss"][0] == pytest.approx(expected["loss"], rel=1e-5)


def test_ragged_inputs() -> None:
    lines = tf.ragged.constant([[1, 2, 3], [4, 5], [6], [7, 8, 1]] * 16, dtype=tf.int64)
    batches: Any = tf.data.Dataset.from_tensor_slices((lines, Y)).batch(16)

    def make() -> Any:
        inputs = keras.Input((None,), dtype="int64")
        words: Any = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(9, 3, name="words")(inputs))
        return compiled(keras.Model(inputs, dense(1, name="out")(words)))

    measuring, writer = gauge(batches)
    plain = train(make, data=(batches,), batch_size=None)
    assert_same(plain, train(make, [measuring], data=(batches,), batch_size=None))
    for name in ("words/embeddings", "out/kernel"):
        # The probe is the first batch, which the first update of an epoch is made of.
        norms = [writer.scalars[f"{kind}gradient_norm/{name}"] for kind in ("probe_", "")]
        assert [norms[0][step] for step in (0, STEPS)] == pytest.approx([norms[1][step + 1] for step in (0, STEPS)])


def test_a_dictionary_of_inputs_is_drawn_without_a_probe() -> None:
    measuring, writer = gauge(None)
    train(many_losses, [measuring], data=(LEFT_RIGHT, TARGETS))
    assert {"a", "b", "size", "kind"} <= {node.name.partition("/")[0] for node in writer.graph.node}


def test_a_model_without_trainable_weights_costs_no_warning() -> None:
    def frozen() -> Any:
        model = hidden()
        model.trainable = False
        return compiled(model)

    measuring, writer = gauge(gradients=None)
    assert messages_of(lambda: train(frozen, [measuring])) == []
    assert list(writer.scalars["activation_std/hidden"]) == list(range(2 * STEPS + 1))


def test_an_activation_that_creates_its_weights_late() -> None:
    """The slopes of a PReLU are created in its first call; they are measured as all others, without a second trace."""

    def make() -> Any:
        return network(dense(5, keras.layers.PReLU(name="prelu"), name="hidden"))

    expected = {*OF_HIDDEN, "hidden/prelu/alpha"}
    for probe, kinds in (((X, Y), ("gradient_norm/", "probe_gradient_norm/")), (None, ("gradient_norm/",))):
        measuring, writer = gauge(probe)
        assert messages_of(partial(compare, make, measuring)) == []
        for kind in kinds:
            assert {tag.removeprefix(kind) for tag in writer.scalars if tag.startswith(kind)} == expected


@pytest.mark.parametrize("separate", [False, True], ids=["activation of the layer", "layer of its own"])
def test_dead_units_behind_a_normalization(separate: bool) -> None:
    """Six of ten units get a bias far below zero: 60 % dead, wherever the ReLU is."""
    if separate:
        layers = [dense(10), keras.layers.BatchNormalization(name="norm"), keras.layers.ReLU(name="relu")]
    else:
        layers = [dense(10, "relu", name="relu")]
    model = network(*layers)
    shift = layers[1].beta if separate else layers[0].bias
    shift.assign([-50.0] * 6 + [50.0] * 4)
    assert measure(model, X, Y).quantity("dead_share")["relu"] == pytest.approx(0.6)


def test_a_loss_that_the_train_step_adds_to_is_not_the_probes() -> None:
    """Keras' compiled loss is only a part of what this step minimizes."""

    class Distiller(keras.Model):
        def train_step(self, data: Any) -> Any:
            x, y = data
            with tf.GradientTape() as tape:
                predicted: Any = self(x, training=True)
                loss: Any = self.compute_loss(x, y, predicted)
                loss = 0.1 * loss + keras.ops.mean(predicted**2)
            weights: Any = self.trainable_variables
            self.optimizer.apply(tape.gradient(loss, [weight.value for weight in weights]), weights)
            return {"loss": loss}

    def make() -> Any:
        inputs = keras.Input((6,))
        return compiled(Distiller(inputs, dense(1, name="out")(inputs)))

    measuring, writer = gauge(gradients=None)
    messages = messages_of(partial(compare, make, measuring))
    assert [m.partition(":")[0] for m in messages] == ["gradients are those that training applies"]
    assert "gradient_norm/out/kernel" in writer.scalars
    assert "probe_gradient_norm/out/kernel" not in writer.scalars


def test_a_model_in_half_precision_prints_nothing(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnist_depth.instrument.notice.SECONDS", 1e6)
    capfd.readouterr()
    train(half_precision, [gauge()[0]])
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
