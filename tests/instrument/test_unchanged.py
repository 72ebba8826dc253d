"""Training is bit-identical with and without the gauge, also in cases that are easy to disturb."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mnist_depth.instrument import DepthGauge, MemoryWriter, every_steps, measure
from tests.instrument.twins import STEPS, X, Y, assert_same, dense, network, train


class Noise(keras.layers.Layer):
    """Draws from TensorFlow's own stream in training."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        return inputs + tf.random.normal(tf.shape(inputs)) if training else inputs


class Drop(keras.layers.Layer):
    def call(self, inputs: Any, training: bool = False) -> Any:
        return tf.nn.dropout(inputs, 0.5) if training else inputs


class Latent(keras.layers.Layer):
    """Draws in inference too."""

    def call(self, inputs: Any) -> Any:
        return inputs + tf.random.normal(tf.shape(inputs))


class Generator(keras.layers.Layer):
    """Draws in inference too, from a generator of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.generator = tf.random.Generator.from_seed(5)

    def call(self, inputs: Any) -> Any:
        return inputs + self.generator.normal(tf.shape(inputs))


class Counter(keras.layers.Layer):
    """Counts its calls in a plain variable, and depends on the count."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.count = tf.Variable(tf.zeros([]), trainable=False)

    def call(self, inputs: Any) -> Any:
        self.count.assign_add(1.0)
        return inputs * (1 + 0.1 * self.count)


class TracedCounter(Counter):
    """Counts inside a @tf.function, which is traced once, by its first caller."""

    @tf.function
    def call(self, inputs: Any) -> Any:
        self.count.assign_add(1.0)
        return inputs * (1 + 0.1 * self.count)


GAUGES: dict[str, Callable[[], DepthGauge]] = {
    "probe": lambda: DepthGauge(MemoryWriter(), (X, Y)),
    "applied": lambda: DepthGauge(MemoryWriter(), schedule=every_steps(3)),
    "both": lambda: DepthGauge(MemoryWriter(), (X, Y), gradients="both", schedule=every_steps(1), training=True),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "gauge"),
    [*itertools.product((Noise, Generator), GAUGES), (Drop, "applied"), (Latent, "both"), (Counter, "both")],
)
def test_random_streams_and_counters(kind: Any, gauge: str) -> None:
    def make() -> Any:
        return network(kind(name="odd"), dense(8, "relu", name="hidden"))

    plain, watched = train(make), train(make, [GAUGES[gauge]()])
    assert_same(plain, watched)
    assert np.ptp(np.asarray(plain.trainable_variables[0].value)) > 0
    if hasattr(plain.layers[0], "count"):
        assert float(watched.layers[0].count) == float(plain.layers[0].count) == 2 * STEPS


@pytest.mark.parametrize("eagerly", [False, True])
def test_measuring_moves_no_counter_and_no_generator(eagerly: bool) -> None:
    keras.utils.set_random_seed(1)
    model = network(Counter(name="counter"), TracedCounter(name="traced"), Generator(name="g"), run_eagerly=eagerly)
    before = [np.array(v) for v in (model.layers[0].count, model.layers[1].count, model.layers[2].generator.state)]
    drawn = np.random.default_rng(0)
    measure(model, X, Y)
    measure(model, X, Y, training=True)
    assert drawn.random() == np.random.default_rng(0).random()
    for old, new in zip(
        before, (model.layers[0].count, model.layers[1].count, model.layers[2].generator.state), strict=True
    ):
        np.testing.assert_array_equal(old, np.array(new))


def test_noise_goes_on_in_the_next_fit() -> None:
    """Two calls of `fit` draw one stream, with the gauge in the first, in the second, or in none of them."""

    def twice(first: list[Any], second: list[Any]) -> Any:
        model = train(lambda: network(Noise(name="noise")), first, epochs=1)
        model.fit(X, Y, batch_size=16, epochs=1, shuffle=False, verbose=0, callbacks=second)
        return model

    plain = twice([], [])
    assert_same(plain, twice([GAUGES["applied"]()], []))
    writer = MemoryWriter()
    with pytest.warns(UserWarning, match=r"applied gradients are not measured: the model draws from tf\.random"):
        assert_same(plain, twice([], [DepthGauge(writer, schedule=every_steps(1))]))
    assert sorted(writer.scalars["update_ratio/out/kernel"]) == [5, 6, 7, 8]


class Recompile(keras.callbacks.Callback):
    """Unfreezes a layer in the second epoch and compiles the model with another optimizer."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        model: Any = self.model
        if epoch == 1:
            model.get_layer("base").trainable = True
            model.compile(keras.optimizers.SGD(0.05), "mse", jit_compile=False)
            model.make_train_function(force=True)


@pytest.mark.slow
@pytest.mark.parametrize("gauge", GAUGES)
@pytest.mark.parametrize("gauge_first", [False, True])
@pytest.mark.filterwarnings("ignore:the probe is traced anew")
def test_a_model_that_is_compiled_during_fit(gauge: str, gauge_first: bool) -> None:
    def make() -> Any:
        return network(dense(8, "tanh", name="base", trainable=False))

    measuring = GAUGES[gauge]()
    callbacks: list[Any] = [measuring, Recompile()] if gauge_first else [Recompile(), measuring]
    plain, watched = train(make, [Recompile()], epochs=3), train(make, callbacks, epochs=3)
    assert_same(plain, watched)
    fresh = train(make, epochs=1)
    assert np.abs(np.asarray(plain.get_layer("base").kernel) - np.asarray(fresh.get_layer("base").kernel)).max() > 0
    writer: Any = measuring.writer
    assert sorted(writer.scalars["loss"]) == [
        STEPS,
        2 * STEPS,
        3 * STEPS,
    ]  # the step count continues, though the new optimizer is at 0
    assert "apply" not in vars(watched.optimizer)


def test_a_train_function_of_ones_own_stays() -> None:
    """A callback replaces the train function; from then on it is the one that runs."""
    calls: list[int] = []

    class Wrap(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            model: Any = self.model
            original = model.train_function

            def counted(iterator: Any) -> Any:
                calls.append(epoch)
                return original(iterator)

            model.train_function = counted

    train(lambda: network(dense(4, name="hidden")), [GAUGES["probe"](), Wrap()], epochs=1)
    assert calls == [0] * STEPS


class Unbuilt(keras.Model):
    """Makes its variables at the first call, with dropout that is on in inference too, and counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = dense(8, "tanh", name="hidden")
        self.seed = keras.random.SeedGenerator(3)
        self.calls = self.add_weight(name="calls", shape=(), trainable=False, initializer="zeros")
        self.out = dense(1, name="out")

    def call(self, inputs: Any) -> Any:
        self.calls.assign_add(1.0)
        return self.out(keras.random.dropout(self.hidden(inputs), 0.3, seed=self.seed))


@pytest.mark.parametrize("gauge", GAUGES)
@pytest.mark.filterwarnings("ignore:nothing inside the model", "ignore:no graph is written")
def test_building_moves_no_seed_and_no_counter(gauge: str) -> None:
    def make() -> Any:
        model: Any = Unbuilt()
        model.compile(keras.optimizers.SGD(0.05), "mse", jit_compile=False)
        return model

    plain, watched = train(make), train(make, [GAUGES[gauge]()])
    assert_same(plain, watched)
    assert float(np.asarray(watched.calls)) == 2 * STEPS


def test_a_shuffled_dataset_as_probe_is_shuffled_as_without() -> None:
    def run(gauged: bool) -> Any:
        keras.utils.set_random_seed(1)
        data = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(64, seed=4).batch(16)
        callbacks = [DepthGauge(MemoryWriter(), data)] if gauged else []
        return train(lambda: network(dense(4, name="hidden")), callbacks, data=(data,), batch_size=None, shuffle=None)

    assert_same(run(False), run(True))
