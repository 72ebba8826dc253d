"""Train many kinds of models with the gauge and without it, and compare the weights bit by bit.

    python scripts/soak.py [NAME ...]

Prints one line per model: whether the weights are those of the twin without the gauge, the CPU seconds of both, and the
warnings of the gauge. Exit code 1 if a training ended or a weight differs. Weights of Keras Applications are random, so
nothing is downloaded.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import gc
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from mnist_depth.instrument import DepthGauge, MemoryWriter, every_steps

BATCH, STEPS = 4, 2

Case = tuple[Any, Any, Any]
"""Compiled model, x, y."""


def random(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=(BATCH * STEPS, *shape)).astype("float32")


def classes(count: int = 3) -> Any:
    return np.random.default_rng(1).integers(0, count, BATCH * STEPS)


def words(length: int = 8) -> Any:
    return np.random.default_rng(2).integers(1, 20, (BATCH * STEPS, length))


def classifier(inputs: Any, outputs: Any, x: Any, **options: Any) -> Case:
    model: Any = keras.Model(inputs, layers.Dense(3)(outputs))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(options.pop("optimizer", "adam"), loss, jit_compile=False, **options)
    return model, x, classes()


def application(name: str, size: int, **options: Any) -> Callable[[], Case]:
    def make() -> Case:
        kind = getattr(keras.applications, name)
        base = kind(input_shape=(size, size, 3), include_top=False, weights=None, pooling="avg", **options)
        return classifier(base.input, base.output, random(size, size, 3))

    return make


def compiled(model: Any, x: Any, y: Any, loss: Any = "mse", **options: Any) -> Case:
    model.compile(**{"optimizer": "adam", "loss": loss, "jit_compile": False, **options})
    return model, x, y


def convnet() -> Case:
    i = keras.Input((12, 12, 1))
    x = layers.MaxPooling2D()(layers.Conv2D(8, 3, activation="relu")(i))
    return classifier(i, layers.Dropout(0.5)(layers.Flatten()(x)), random(12, 12, 1))


def augmented() -> Case:
    i = keras.Input((12, 12, 3))
    x = layers.RandomRotation(0.1)(layers.RandomFlip()(i))
    return classifier(i, layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3)(x)), random(12, 12, 3))


def bidirectional() -> Case:
    i = keras.Input((8,), dtype="int32")
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(layers.Embedding(20, 4)(i))
    return classifier(i, layers.Bidirectional(layers.LSTM(4))(x), words())


def gru_with_dropout() -> Case:
    i = keras.Input((8, 3))
    return classifier(i, layers.GRU(4, dropout=0.2, recurrent_dropout=0.2)(i), random(8, 3))


class TransformerBlock(layers.Layer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.attention = layers.MultiHeadAttention(2, 4, dropout=0.1)
        self.forward = keras.Sequential([layers.Dense(8, "relu"), layers.Dense(8)])
        self.norms = [layers.LayerNormalization() for _ in range(2)]
        self.dropout = layers.Dropout(0.1)

    def call(self, inputs: Any, training: bool = False) -> Any:
        x: Any = self.norms[0](inputs + self.attention(inputs, inputs, training=training))
        return self.norms[1](x + self.dropout(self.forward(x), training=training))


def transformer() -> Case:
    i = keras.Input((8,), dtype="int32")
    x = TransformerBlock()(TransformerBlock()(layers.Embedding(20, 8)(i)))
    return classifier(i, layers.GlobalAveragePooling1D()(x), words())


def language_model() -> Case:
    i = keras.Input((8,), dtype="int32")
    x: Any = layers.Embedding(20, 8, mask_zero=True)(i)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True))
    model = keras.Model(i, layers.Dense(20)(x))
    return compiled(model, words(), words(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))


def autoencoder() -> Case:
    model = keras.Sequential([keras.Input((12,)), layers.Dense(4, "relu"), layers.Dense(12, "sigmoid")])
    x = random(12)
    return compiled(model, x, x)


def denoising() -> Case:
    i = keras.Input((12, 12, 1))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.GaussianNoise(0.2)(i))
    x = layers.Conv2DTranspose(1, 3, padding="same")(x)
    return compiled(keras.Model(i, x), random(12, 12, 1), random(12, 12, 1))


class Sampling(layers.Layer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seed = keras.random.SeedGenerator(7)

    def call(self, inputs: Any) -> Any:
        mean, log_variance = inputs
        self.add_loss(-0.5 * ops.mean(1 + log_variance - mean**2 - ops.exp(log_variance)))
        return mean + ops.exp(0.5 * log_variance) * keras.random.normal(ops.shape(mean), seed=self.seed)


class Vae(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.mean, self.variance = layers.Dense(8, "relu"), layers.Dense(2), layers.Dense(2)
        self.sampling, self.decoder = Sampling(), layers.Dense(12, "sigmoid")

    def call(self, inputs: Any) -> Any:
        hidden = self.hidden(inputs)
        return self.decoder(self.sampling([self.mean(hidden), self.variance(hidden)]))

    def train_step(self, data: Any) -> Any:
        x, _ = data
        with tf.GradientTape() as tape:
            difference: Any = ops.mean((x - self(x)) ** 2)
            loss = difference + sum(self.losses)
        weights: Any = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, [w.value for w in weights]), weights)
        return {"loss": loss}


def vae() -> Case:
    model: Any = Vae()
    model.compile("adam", jit_compile=False)
    x = random(12)
    return model, x, x


class Gan(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.disc = keras.Sequential([keras.Input((6,)), layers.Dense(8, "leaky_relu"), layers.Dense(1)])
        self.gen = keras.Sequential([keras.Input((3,)), layers.Dense(8, "relu"), layers.Dense(6)])
        self.disc_optimizer, self.gen_optimizer = keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3)
        self.bce: Any = keras.losses.BinaryCrossentropy(from_logits=True)
        self.noise = keras.random.SeedGenerator(3)

    def train_step(self, data: Any) -> Any:
        real, _ = data
        steps = ((self.disc, self.disc_optimizer, 0.0), (self.gen, self.gen_optimizer, 1.0))
        loss: Any = 0.0
        for net, optimizer, target in steps:
            with tf.GradientTape() as tape:
                fake = self.disc(self.gen(keras.random.normal((BATCH, 3), seed=self.noise)))
                loss = self.bce(tf.fill((BATCH, 1), target), fake)
                if net is self.disc:
                    loss += self.bce(tf.ones((BATCH, 1)), self.disc(real))
            weights: Any = net.trainable_weights
            optimizer.apply(tape.gradient(loss, [w.value for w in weights]), weights)
        return {"loss": loss}


def gan() -> Case:
    model: Any = Gan()
    model.compile(jit_compile=False)
    return model, random(6), classes()


class Contrastive(keras.Model):
    """Two noisy views of each example are to lie close together (as in SimCLR)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = keras.Sequential([layers.GaussianNoise(0.1), layers.Dense(8, "relu"), layers.Dense(4)])

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.encoder(inputs, training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, **_: Any
    ) -> Any:
        other = self.encoder(x, training=True)
        close: Any = ops.mean(ops.square(y_pred - other))
        return close - ops.mean(ops.var(y_pred, axis=0))


def contrastive() -> Case:
    model: Any = Contrastive()
    model.compile("adam", jit_compile=False)
    return model, random(6), classes()


def siamese() -> Case:
    encoder = keras.Sequential([keras.Input((6,)), layers.Dense(8, "relu"), layers.Dense(4)])
    a, b = keras.Input((6,)), keras.Input((6,))
    distance = layers.Lambda(lambda pair: ops.abs(pair[0] - pair[1]))([encoder(a), encoder(b)])
    return compiled(keras.Model([a, b], layers.Dense(1)(distance)), [random(6), random(6)], random(1))


def many_outputs() -> Case:
    i = keras.Input((6,))
    x = layers.Dense(8, "relu")(i)
    model = keras.Model(
        i, {"kind": layers.Dense(3, "softmax", name="kind")(x), "size": layers.Dense(1, name="size")(x)}
    )
    losses = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
    return compiled(model, random(6), {"kind": classes(), "size": random(1)}, losses, metrics={"kind": "accuracy"})


def wide_and_deep() -> Case:
    a, b = keras.Input((4,)), keras.Input((6,))
    deep = layers.Dense(8, "relu")(layers.BatchNormalization()(b))
    return compiled(
        keras.Model([a, b], layers.Dense(1)(layers.Concatenate()([a, deep]))), [random(4), random(6)], random(1)
    )


def transfer() -> Case:
    make: Any = keras.applications.MobileNetV2
    base = make((32, 32, 3), include_top=False, weights=None, pooling="avg", alpha=0.35)
    base.trainable = False
    i = keras.Input((32, 32, 3))
    return classifier(i, base(i, training=False), random(32, 32, 3))


def unet() -> Case:
    i = keras.Input((16, 16, 1))
    down = layers.Conv2D(4, 3, padding="same", activation="relu")(i)
    middle = layers.SeparableConv2D(8, 3, padding="same", activation="relu")(layers.MaxPooling2D()(down))
    up = layers.UpSampling2D()(middle)
    return compiled(
        keras.Model(i, layers.Conv2D(1, 1)(layers.Concatenate()([up, down]))), random(16, 16, 1), random(16, 16, 1)
    )


def point_net() -> Case:
    i = keras.Input((10, 3))
    x = layers.Conv1D(8, 1, activation="relu")(layers.BatchNormalization(momentum=0.0)(i))
    return classifier(i, layers.GlobalMaxPooling1D()(x), random(10, 3))


def conv_lstm() -> Case:
    i = keras.Input((4, 8, 8, 1))
    return classifier(i, layers.GlobalAveragePooling2D()(layers.ConvLSTM2D(4, 3)(i)), random(4, 8, 8, 1))


def mixer() -> Case:
    i = keras.Input((8, 6))
    x: Any = layers.LayerNormalization()(i)
    x = i + layers.Permute((2, 1))(layers.Dense(8, "gelu")(layers.Permute((2, 1))(x)))
    return classifier(i, layers.GlobalAveragePooling1D()(layers.Dense(6, "gelu")(x)), random(8, 6))


class NotBuilt(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.parts = [layers.Dense(8, "relu"), layers.Dropout(0.3), layers.Dense(1)]

    def call(self, inputs: Any, training: bool = False) -> Any:
        x = self.parts[1](self.parts[0](inputs), training=training)
        return self.parts[2](x)


def not_built() -> Case:
    return compiled(NotBuilt(), random(6), random(1))


class TfNoise(layers.Layer):
    def call(self, inputs: Any, training: bool = False) -> Any:
        return tf.nn.dropout(inputs, 0.3) + tf.random.normal(tf.shape(inputs)) if training else inputs


def tf_noise() -> Case:
    return compiled(
        keras.Sequential([keras.Input((6,)), layers.Dense(8), TfNoise(), layers.Dense(1)]), random(6), random(1)
    )


def recompute() -> Case:
    class Recompute(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = layers.Dense(6, "tanh")

        def build(self, input_shape: Any) -> None:
            self.inner.build(input_shape)

        def call(self, inputs: Any) -> Any:
            return keras.remat(self.inner)(inputs)

    return compiled(keras.Sequential([keras.Input((6,)), Recompute(), layers.Dense(1)]), random(6), random(1))


def mixed_precision() -> Case:
    policy: Any = "mixed_float16"
    i = keras.Input((12, 12, 3))
    x = layers.BatchNormalization(dtype=policy)(layers.Conv2D(8, 3, dtype=policy)(i))
    x = layers.GlobalAveragePooling2D(dtype="float32")(layers.ReLU(dtype=policy)(x))
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(), initial_scale=128.0)
    return classifier(i, x, random(12, 12, 3), optimizer=optimizer)


def lora() -> Case:
    hidden = layers.Dense(8, "relu")
    model = keras.Sequential([keras.Input((6,)), hidden, layers.Dense(1)])
    hidden.enable_lora(2)
    return compiled(model, random(6), random(1))


def regularized() -> Case:
    hidden = layers.Dense(8, "selu", kernel_regularizer="l2", activity_regularizer="l1", kernel_constraint="max_norm")
    model = keras.Sequential(
        [keras.Input((6,)), layers.SpectralNormalization(hidden), layers.AlphaDropout(0.2), layers.Dense(1)]
    )
    return compiled(model, random(6), random(1), optimizer=keras.optimizers.SGD(0.01, use_ema=True))


def accumulated() -> Case:
    optimizer = keras.optimizers.AdamW(0.01, gradient_accumulation_steps=2, global_clipnorm=1.0)
    return compiled(
        keras.Sequential([keras.Input((6,)), layers.Dense(8, "silu"), layers.Dense(1)]),
        random(6),
        random(1),
        optimizer=optimizer,
    )


CASES: dict[str, Callable[[], Case]] = {
    "VGG16": application("VGG16", 32),
    "ResNet50": application("ResNet50", 32),
    "ResNet50V2": application("ResNet50V2", 32),
    "MobileNet": application("MobileNet", 32, alpha=0.25),
    "MobileNetV2": application("MobileNetV2", 32, alpha=0.35),
    "MobileNetV3Small": application("MobileNetV3Small", 32, alpha=0.75, minimalistic=True),
    "DenseNet121": application("DenseNet121", 32),
    "EfficientNetB0": application("EfficientNetB0", 32),
    "EfficientNetV2B0": application("EfficientNetV2B0", 32),
    "NASNetMobile": application("NASNetMobile", 32),
    "ConvNeXtTiny": application("ConvNeXtTiny", 32),
    "Xception": application("Xception", 71),
    "InceptionV3": application("InceptionV3", 75),
    **{
        make.__name__: make
        for make in (
            convnet,
            augmented,
            bidirectional,
            gru_with_dropout,
            transformer,
            language_model,
            autoencoder,
            denoising,
            vae,
            gan,
            contrastive,
            siamese,
            many_outputs,
            wide_and_deep,
            transfer,
            unet,
            point_net,
            conv_lstm,
            mixer,
            not_built,
            tf_noise,
            recompute,
            mixed_precision,
            lora,
            regularized,
            accumulated,
        )
    },
    "convnet under XLA": lambda: _under_xla(convnet()),
}


def _under_xla(case: Case) -> Case:
    case[0].jit_compile = True
    return case


def train(make: Callable[[], Case], gauged: bool) -> tuple[list[Any], float, list[str]]:
    """Weights, CPU seconds and the gauge's warnings of one training."""
    keras.backend.clear_session()
    gc.collect()
    keras.utils.set_random_seed(1)
    model, x, y = make()
    probe = (keras.tree.map_structure(lambda a: a[:BATCH], x), keras.tree.map_structure(lambda a: a[:BATCH], y))
    callbacks = [DepthGauge(MemoryWriter(), probe, schedule=every_steps(1), on_finding="ignore")] if gauged else []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        started = time.process_time()
        model.fit(x, y, batch_size=BATCH, epochs=1, shuffle=False, verbose=0, callbacks=callbacks)
        seconds = time.process_time() - started
    warned = [str(w.message).splitlines()[0] for w in caught if "mnist_depth" in w.filename]
    return [np.asarray(variable.value) for variable in model.variables], seconds, warned


def compare(name: str) -> bool:
    """Train one kind of model both ways and print what came of it."""
    plain, seconds, _ = train(CASES[name], gauged=False)
    try:
        watched, gauged_seconds, warned = train(CASES[name], gauged=True)
    except Exception as error:
        print(f"{name:20} ENDED {type(error).__name__}: {str(error)[:200]}", flush=True)
        return False
    same = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(plain, watched, strict=True))
    print(
        f"{name:20} {'same' if same else 'DIFFERS':8} {seconds:6.1f} s, with the gauge {gauged_seconds:6.1f} s",
        flush=True,
    )
    for line in warned:
        print(f"{'':20} warning: {line}", flush=True)
    return same


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all by default: {', '.join(CASES)}")
    names = parser.parse_args().names or list(CASES)
    unknown = [name for name in names if name not in CASES]
    if unknown:
        parser.error(f"unknown model {unknown[0]!r}; valid: {', '.join(CASES)}")
    # One thread: InceptionV3 without the gauge is not bit-identical to itself when operations run side by side.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    results = [compare(name) for name in names]
    print(f"{sum(results)} of {len(results)} models have the weights of their twin")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
