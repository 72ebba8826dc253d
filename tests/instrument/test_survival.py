"""Training continues whatever the gauge cannot measure; one warning names the cause and what to do."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

from mnist_depth.instrument import DepthGauge, MemoryWriter, every_steps
from mnist_depth.instrument.error_text import cause
from tests.instrument.twins import STEPS, X, Y, assert_same, dense, messages_of, network, train

pytestmark = pytest.mark.slow


def gauge(probe: Any = (X, Y), **options: Any) -> tuple[DepthGauge, MemoryWriter]:
    writer = MemoryWriter()
    return DepthGauge(writer, probe, **{"schedule": every_steps(1), **options}), writer


def test_a_vector_in_the_logs_is_written_entry_by_entry() -> None:
    classes = np.eye(3, dtype="float32")[np.arange(64) % 3]

    def make() -> Any:
        model: Any = keras.Sequential([keras.Input((6,)), dense(3, "softmax", name="out")])
        model.compile("adam", "categorical_crossentropy", metrics=[keras.metrics.F1Score()])
        return model

    measuring, writer = gauge((X, classes))
    model = train(make, [measuring], data=(X, classes), validation_split=0.25)
    scores = model.history.history["f1_score"]
    for index in range(3):
        assert list(writer.scalars[f"f1_score/{index}"].values()) == pytest.approx([float(s[index]) for s in scores])
    assert "validation_f1_score/2" in writer.scalars


class Reports(keras.Model):
    """Puts into the logs whatever it is given."""

    extra: Any = None

    def train_step(self, data: Any) -> Any:
        return {**super().train_step(data), "extra": self.extra}


@pytest.mark.parametrize(
    ("extra", "tags"),
    [(tf.constant([1.0, 2.0]), ["extra/0", "extra/1"]), (tf.zeros([20, 20]), []), (tf.constant("text"), [])],
)
def test_what_a_train_step_reports(extra: Any, tags: list[str]) -> None:
    def make() -> Any:
        inputs = keras.Input((6,))
        model: Any = Reports(inputs, dense(1)(inputs))
        model.extra = extra
        model.compile("sgd", "mse", jit_compile=False)
        return model

    measuring, writer = gauge()
    messages = messages_of(lambda: train(make, [measuring], epochs=1))
    assert [tag for tag in writer.scalars if tag.startswith("extra")] == tags
    assert bool(tags) != any("'extra' in the logs of fit" in m and "epoch_scalars=False" in m for m in messages)


class Picky(keras.layers.Layer):
    """Fails on a batch of another size than training's."""

    text = "only batches of 16"

    def call(self, inputs: Any) -> Any:
        if inputs.shape[0] not in (None, 16):
            raise ValueError(self.text)
        return inputs


class Speechless(Picky):
    text = ""


@pytest.mark.parametrize(("kind", "cause"), [(Picky, "only batches of 16"), (Speechless, "")])
def test_a_probe_that_fails(kind: Any, cause: str) -> None:
    def make() -> Any:
        return network(kind(name="picky"), dense(4, "tanh", name="hidden"))

    measuring, writer = gauge()
    messages = messages_of(lambda: assert_same(train(make), train(make, [measuring])))
    assert len(messages) == 1
    assert messages[0].startswith(f"the probe is not measured: {cause}")
    assert "give probe= a batch that the model takes" in messages[0]
    assert sorted(writer.scalars["gradient_norm/hidden/kernel"]) == list(range(1, 2 * STEPS + 1))


class Gan(keras.Model):
    """Two networks, an optimizer for each, and no `call`; what it is compiled with never steps."""

    def __init__(self) -> None:
        super().__init__()
        self.disc = keras.Sequential(
            [keras.Input((6,)), dense(8, "leaky_relu", name="d1"), dense(1, name="d2")], name="disc"
        )
        self.gen = keras.Sequential([keras.Input((3,)), dense(8, "relu", name="g1"), dense(6, name="g2")], name="gen")
        self.noise = keras.random.SeedGenerator(3)
        self.steps_of_disc = 1

    def compile(self) -> None:
        super().compile(jit_compile=False)
        self.optimizers = {"disc": keras.optimizers.Adam(1e-3), "gen": keras.optimizers.Adam(1e-3)}
        self.bce: Any = keras.losses.BinaryCrossentropy(from_logits=True)

    def train_step(self, real: Any) -> Any:
        for _ in range(self.steps_of_disc):
            fake = self.gen(keras.random.normal((16, 3), seed=self.noise))
            with tf.GradientTape() as tape:
                loss: Any = self.bce(tf.ones((16, 1)), self.disc(real)) + self.bce(tf.zeros((16, 1)), self.disc(fake))
            weights: Any = self.disc.trainable_weights
            self.optimizers["disc"].apply(tape.gradient(loss, [w.value for w in weights]), weights)
        with tf.GradientTape() as tape:
            fake = self.gen(keras.random.normal((16, 3), seed=self.noise))
            loss = self.bce(tf.ones((16, 1)), self.disc(fake))
        weights = self.gen.trainable_weights
        self.optimizers["gen"].apply(tape.gradient(loss, [w.value for w in weights]), weights)
        return {"loss": loss}


def gan(steps_of_disc: int = 1) -> Any:
    model: Any = Gan()
    model.steps_of_disc = steps_of_disc
    model.compile()
    return model


@pytest.mark.parametrize("probe", [None, (X,)])
def test_every_optimizer_of_a_gan_is_watched(probe: Any) -> None:
    """Its compiled optimizer never steps; the probe cannot go through a model without `call`."""
    measuring, writer = gauge(probe, schedule=every_steps(2))
    messages = messages_of(lambda: assert_same(train(gan, data=(X,)), train(gan, [measuring], data=(X,))))
    watched = {tag: sorted(points) for tag, points in writer.scalars.items() if tag.startswith("gradient_norm")}
    names = [
        f"{net}/{layer}/{v}"
        for net, ls in {"disc": "d1 d2", "gen": "g1 g2"}.items()
        for layer in ls.split()
        for v in ("kernel", "bias")
    ]
    assert watched == {f"gradient_norm/{name}": [1, 2, 4, 6, 8] for name in names}
    assert sorted(writer.scalars["loss"]) == [STEPS, 2 * STEPS]
    assert [m for m in messages if "does not have a `call()` method" in m and "probe is not measured" in m] == messages[
        : len(messages) * (probe is not None)
    ]


def test_optimizers_that_step_at_different_rates() -> None:
    """Three updates of one network for each of the other: steps are those of the faster one."""
    measuring, writer = gauge(None, schedule=every_steps(4))
    with pytest.warns(UserWarning, match="no graph is written"):
        assert_same(train(lambda: gan(3), data=(X,), epochs=1), train(lambda: gan(3), [measuring], data=(X,), epochs=1))
    assert sorted(writer.scalars["gradient_norm/disc/d1/kernel"]) == [1, 4, 8, 12]
    assert sorted(writer.scalars["gradient_norm/gen/g1/kernel"]) == [3, 6, 9, 12]  # the first updates at or behind them


@pytest.mark.parametrize("kind", ["csr", "sparse tensor", "dense"])
def test_sparse_inputs(kind: str) -> None:
    values = np.random.default_rng(1).normal(size=(64, 12)).astype("float32")
    matrix: Any = scipy.sparse.csr_matrix(np.where(values > 0.5, values, 0))
    probe = {
        "csr": matrix,
        "sparse tensor": tf.sparse.reorder(tf.sparse.from_dense(matrix.toarray())),
        "dense": matrix.toarray(),
    }[kind]

    def make() -> Any:
        model: Any = keras.Sequential([keras.Input((12,), sparse=True), dense(4, "relu", name="a"), dense(1, name="b")])
        model.compile("sgd", "mse", jit_compile=False)
        return model

    measuring, writer = gauge((probe, Y))
    model = train(make, [measuring], data=(matrix, Y))
    assert_same(train(make, data=(matrix, Y)), model)
    keras.utils.set_random_seed(1)
    fresh = make()
    hidden = np.maximum(matrix.toarray() @ np.asarray(fresh.get_layer("a").kernel), 0)
    error = hidden @ np.asarray(fresh.get_layer("b").kernel) - Y
    expected = np.linalg.norm(hidden.T @ error * 2 / len(Y))
    assert writer.scalars["probe_gradient_norm/b/kernel"][0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("examples", [16, 64])
def test_a_stateful_network_takes_the_examples_that_fit(examples: int) -> None:
    x = np.random.default_rng(2).normal(size=(64, 5, 3)).astype("float32")

    def make() -> Any:
        inputs = keras.Input(batch_shape=(16, 5, 3))
        model: Any = keras.Model(inputs, dense(1, name="out")(keras.layers.LSTM(4, stateful=True, name="lstm")(inputs)))
        model.compile("sgd", "mse", jit_compile=False)
        return model

    measuring, writer = gauge((x[:examples], Y[:examples]))
    messages = messages_of(lambda: assert_same(train(make, data=(x, Y)), train(make, [measuring], data=(x, Y))))
    assert bool(messages) == (examples > 16)
    assert all("the first 16 examples of the probe are used" in message for message in messages)
    assert len(writer.scalars["probe_gradient_norm/out/kernel"]) == 2 * STEPS + 1


class Batches(keras.utils.PyDataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        return X[index * 16 : index * 16 + 16], Y[index * 16 : index * 16 + 16]


@pytest.mark.parametrize("kind", ["dataset", "endless", "generator", "PyDataset"])
def test_the_first_batch_of_a_dataset(kind: str) -> None:
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(16)
    spec = data.element_spec
    probes = {
        "dataset": lambda: data,
        "endless": lambda: data.repeat(),
        "generator": lambda: tf.data.Dataset.from_generator(lambda: iter(Batches()), output_signature=spec),
        "PyDataset": Batches,
    }
    writers = [gauge(probe) for probe in (probes[kind](), (X[:16], Y[:16]))]
    for measuring, _ in writers:
        train(lambda: network(dense(4, name="hidden")), [measuring], epochs=1)
    assert writers[0][1].scalars["probe_loss"] == writers[1][1].scalars["probe_loss"]


@pytest.mark.parametrize("probe", [X, iter([(X, Y)]), tf.data.Dataset.from_tensor_slices((X, Y)).batch(16).take(0)])
def test_what_is_no_probe(probe: Any) -> None:
    with pytest.raises(ValueError, match="a probe is"):
        DepthGauge(MemoryWriter(), probe)


def test_the_cause_of_an_error() -> None:
    model = network(dense(4, name="hidden"))
    with pytest.raises(ValueError, match="Exception encountered") as keras_error:
        model(np.zeros((2, 5), "float32"))
    assert cause(keras_error.value).startswith("Input 0 ")
    assert "to have value 6, but received input with shape (2, 5)" in cause(keras_error.value)

    @tf.function
    def failing(x: Any) -> Any:
        tf.debugging.assert_less(x, 1.0, message="too large")
        return x

    with pytest.raises(tf.errors.InvalidArgumentError) as graph_error:
        failing(tf.constant(2.0))
    assert "assertion failed" in cause(graph_error.value)

    @tf.function
    def raising(x: Any) -> Any:
        raise ValueError("bad shape")

    with pytest.raises(ValueError, match="bad shape") as user_error:
        raising(tf.constant(2.0))
    assert cause(user_error.value) in ("ValueError: bad shape", "bad shape")
    assert cause(ValueError()) == "ValueError"
    assert cause(ValueError("\n\n first\nsecond")) == "first"
