"""Networks that are trained by losses of their own are judged one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mnist_depth import records
from mnist_depth.instrument import DepthGauge, MemoryWriter
from mnist_depth.results.diagnosis import diagnose_run

RNG = np.random.default_rng(0)
NO_XLA: Any = {"jit_compile": False}
X = RNG.normal(size=(64, 6)).astype(np.float32)


def chain(name: str, depth: int, activation: str, outputs: int) -> keras.Sequential:
    kind: Any = keras.initializers.HeNormal if activation == "relu" else keras.initializers.GlorotUniform
    hidden = [
        keras.layers.Dense(16, activation, kernel_initializer=kind(seed=1), name=f"hidden_{place}")
        for place in range(depth)
    ]
    return keras.Sequential([keras.Input((6,)), *hidden, keras.layers.Dense(outputs, name="out")], name=name)


class Adversaries(keras.Model):
    """A generator and a discriminator without a `call`, each with a loss and an optimizer of its own."""

    def __init__(self, generator: Any, discriminator: Any) -> None:
        super().__init__()
        self.discriminator, self.generator = discriminator, generator
        self.for_generator, self.for_discriminator = keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01)

    def train_step(self, data: Any) -> Any:
        with tf.GradientTape(persistent=True) as tape:
            real, false = self.discriminator(data), self.discriminator(self.generator(data))
            loss = tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(false))
            fooled = tf.reduce_mean(tf.nn.softplus(-false))
        for part, own, optimizer in (
            (self.discriminator, loss, self.for_discriminator),
            (self.generator, fooled, self.for_generator),
        ):
            weights: Any = part.trainable_weights
            gradients: Any = tape.gradient(own, [weight.value for weight in weights])
            optimizer.apply(gradients, weights)
        return {"loss": loss}


def adversaries(generator: str, discriminator: str) -> Adversaries:
    model = Adversaries(chain("generator", 9, generator, 6), chain("discriminator", 2, discriminator, 1))
    model.compile(**NO_XLA)
    return model


def trained(model: Any, target: Any, *data: Any, **options: Any) -> DepthGauge:
    gauge = DepthGauge(target, graph=False, **options)
    model.fit(*data, epochs=2, batch_size=32, verbose=0, callbacks=[gauge])
    return gauge


@pytest.mark.filterwarnings("ignore:no graph is written")
def test_a_generator_that_vanishes_behind_a_healthy_discriminator(tmp_path: Path) -> None:
    found = trained(adversaries("sigmoid", "relu"), tmp_path / "gan", X).diagnosis
    assert found is not None
    assert [(one.kind, one.layer) for one in found.findings if one.severity == "error"] == [
        ("vanishing", "generator/hidden_0")
    ]
    assert found.sentence.startswith("generator: the first layer's gradient is ")
    assert "after 9 steps" in found.sentence
    record = records.read_gauge(tmp_path / "gan")
    names = {name: len(layers) for name, layers in record.metadata["networks"].items()}
    assert names == {"discriminator": 3, "generator": 10}
    assert [diagnose_run(record, moment).verdict for moment in ("start", "end")] == ["vanishing"] * 2
    assert diagnose_run(record, "end").sentence == found.sentence


def test_healthy_adversaries_have_a_ratio_each() -> None:
    writer = MemoryWriter()
    found = trained(adversaries("relu", "relu"), writer, X).diagnosis
    assert found is not None
    assert found.verdict == "healthy"
    first, second = found.sentence.split("; ")
    assert first.startswith("discriminator: the first layer's gradient is ")
    assert second.startswith("generator: the first layer's gradient is ")
    last = {
        tag.partition("/")[2]: list(points.values())[-1]
        for tag, points in writer.scalars.items()
        if "gradient_norm" in tag
    }
    kernels = [name for name in last if name.startswith("generator/") and name.endswith("/kernel")]
    assert f"is {last[kernels[0]] / last[kernels[-1]]:.2g} times" in second


class Layerwise(keras.Model):
    """One chain under one loss, whose first and last layers have optimizers of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = chain("body", 9, "sigmoid", 6), chain("head", 1, "sigmoid", 1)
        self.second = keras.optimizers.SGD(0.01)

    def call(self, inputs: Any) -> Any:
        return self.head(self.body(inputs))

    def train_step(self, data: Any) -> Any:
        x, y = data
        with tf.GradientTape() as tape:
            loss: Any = self.compute_loss(x, y, self(x, training=True))
        parts = [self.body.trainable_weights, self.head.trainable_weights]
        weights: Any = [weight for part in parts for weight in part]
        gradients: Any = tape.gradient(loss, [weight.value for weight in weights])
        self.optimizer.apply(gradients[: len(parts[0])], parts[0])
        self.second.apply(gradients[len(parts[0]) :], parts[1])
        return {"loss": loss}


def test_parts_of_one_chain_with_optimizers_of_their_own_stay_one_network() -> None:
    model = Layerwise()
    model.compile(keras.optimizers.SGD(0.01), "mse", **NO_XLA)
    found = trained(model, MemoryWriter(), X, X[:, :1], gradients="applied").diagnosis
    assert found is not None
    assert found.sentence.startswith("the first layer's gradient is ")
    assert "after 11 steps" in found.sentence
