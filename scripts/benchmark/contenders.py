"""The contenders: the same network trained on the same number of images by this package and by others.

Every contender takes a number of epochs, an empty folder and a function to call at the end of each epoch, and trains
the 784-256x8-10 ReLU network (batch 100, SGD 0.1). The images are random: speed does not depend on what they show.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from scripts.benchmark.limits import (
    BATCH,
    CLASSES,
    EXAMPLES,
    FEATURES,
    HIDDEN,
    SHAPES,
    WIDTH,
    Mark,
    fixed_work,
    numpy_products,
    torch_products,
    xla_products,
)

RATE = 0.1
FIXED_WORK = "fixed work"
"""The contender that shows how steady the machine is; it does not train."""

USUAL_EPOCHS = 15
"""The instruments measure as often as in a run of the default length, however few epochs are counted here."""

Contender = Callable[[int, Path, Mark], None]
"""Takes epochs, an empty folder, and what to call at the end of each epoch, when all that belongs to it is done."""


def images() -> tuple[Any, Any]:
    import numpy as np

    random = np.random.default_rng(0)
    return (
        random.integers(0, 256, (EXAMPLES, FEATURES), np.uint8),
        random.integers(0, CLASSES, EXAMPLES).astype(np.int32),
    )


def keras_network() -> Any:
    import keras

    inputs = keras.Input((FEATURES,), dtype="float32")
    x = inputs
    for layer in range(HIDDEN):
        x = keras.layers.Dense(WIDTH, "relu", kernel_initializer="glorot_normal", name=f"layer_{layer + 1:02d}")(x)
    model = keras.Model(inputs, keras.layers.Dense(CLASSES, name=f"layer_{HIDDEN + 1:02d}")(x))
    return model


def epoch_end(mark: Mark) -> Any:
    """A Keras callback for the end of the epoch; put it last, so that the work of all other callbacks is included."""
    import keras

    return keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: mark())


def convolutional_network() -> Any:
    import keras

    return keras.Sequential(
        [
            keras.Input((FEATURES,)),
            keras.layers.Reshape((28, 28, 1)),
            keras.layers.Conv2D(16, 3, activation="relu", padding="same"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(32, 3, padding="same"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(CLASSES),
        ]
    )


def keras_fit(
    epochs: int,
    folder: Path,
    mark: Mark,
    *,
    board: bool = False,
    gauge: str | None = None,
    network: Callable[[], Any] = keras_network,
    **compile_options: Any,
) -> None:
    """Plain Keras: `fit` on float32 arrays in memory, as its users have them; `gauge` is a DepthGauge's preset."""
    import keras

    x, y = images()
    model = network()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(RATE), loss, metrics=["accuracy"], **compile_options)
    x = x.astype("float32") / 255
    callbacks: list[Any] = [keras.callbacks.TensorBoard(str(folder), histogram_freq=1)] if board else []
    if gauge:
        from mnist_depth.instrument import DepthGauge, every_epochs

        # As often as Keras' callback writes; `standard` and `full` by themselves also measure within the epoch.
        often = every_epochs(1) if gauge == "full" else None
        callbacks.append(DepthGauge(folder, probe=(x[:BATCH], y[:BATCH]), preset=gauge, schedule=often))
    model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[*callbacks, epoch_end(mark)])  # pyright: ignore[reportArgumentType]


def mnist_depth_fit(epochs: int, folder: Path, mark: Mark, *, instruments: str) -> None:
    """This package's engine, with the gauge as `python -m mnist_depth train` attaches it."""
    from mnist_depth import models
    from mnist_depth.config import RunConfig
    from mnist_depth.datasets import Split
    from mnist_depth.instrument import EventWriter, JsonLinesWriter, MultiWriter
    from mnist_depth.plan import Plan
    from mnist_depth.training import loop
    from mnist_depth.training.compiled import gauges

    split = Split(*images())
    config = RunConfig(epochs=epochs)
    plan = Plan(EXAMPLES, BATCH, epochs)
    model = loop.prepare(
        models.build(config),
        split,
        plan,
        optimizer=models.build_optimizer(config),
        loss=models.loss(config),
        metrics=models.metrics(config),
    )
    writer = MultiWriter(EventWriter(folder / "train"), JsonLinesWriter(folder, "train", plan.steps_per_epoch))
    measuring = gauges(instruments, split, Plan(EXAMPLES, BATCH, USUAL_EPOCHS))
    for gauge in measuring:
        gauge.restart(writer)
    loop.fit(model, plan, 0, callbacks=[*measuring, epoch_end(mark)])


def compiled_epoch(epochs: int, folder: Path, mark: Mark) -> None:
    """A whole epoch written by hand in one compiled TensorFlow function: the least that a framework can cost."""
    import numpy as np
    import tensorflow as tf

    x, y = (tf.constant(array) for array in images())
    random = np.random.default_rng(0)
    weights = [
        (
            tf.Variable(tf.constant(random.normal(0, (2 / (n + m)) ** 0.5, (n, m)), tf.float32)),
            tf.Variable(tf.zeros([m])),
        )
        for n, m in SHAPES
    ]
    flat = [variable for pair in weights for variable in pair]

    @tf.function(jit_compile=True)
    def epoch(order: tf.Tensor) -> tf.Tensor:
        def step(index: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            h = tf.cast(tf.gather(x, order[index]), tf.float32) / 255
            labels = tf.gather(y, order[index])
            tape: Any = tf.GradientTape()
            with tape:
                for kernel, bias in weights[:-1]:
                    h = tf.nn.relu(h @ kernel + bias)
                logits = h @ weights[-1][0] + weights[-1][1]
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
            for variable, gradient in zip(flat, tape.gradient(loss, flat), strict=True):
                variable.assign_sub(RATE * gradient)
            return index + 1, total + loss

        count = order.shape[0]
        return tf.while_loop(lambda index, _: index < count, step, (tf.constant(0), tf.constant(0.0)))[1]

    for _ in range(epochs):
        order = random.permutation(EXAMPLES).reshape(-1, BATCH).astype("int32")
        epoch(tf.constant(order)).numpy()
        mark()


def torch_loop(epochs: int, folder: Path, mark: Mark, *, board: bool) -> None:
    """PyTorch over tensors in memory; with `board`, gradient norms per step and histograms per epoch."""
    torch: Any = importlib.import_module("torch")
    nn = torch.nn
    torch.set_num_threads(int(os.environ.get("TF_NUM_INTRAOP_THREADS") or os.cpu_count() or 1))
    x, y = (torch.from_numpy(array) for array in images())
    x, y = x.float() / 255, y.long()
    layers: list[Any] = []
    for layer in range(HIDDEN):
        layers += [nn.Linear(WIDTH if layer else FEATURES, WIDTH), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(WIDTH, CLASSES))
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    writer: Any = None
    if board:
        writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter(str(folder))
    step = 0
    for epoch in range(epochs):
        order = torch.randperm(EXAMPLES)
        for rows in order.split(BATCH):
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if writer:
                for name, weight in model.named_parameters():
                    writer.add_scalar(f"gradient_norm/{name}", weight.grad.norm(), step)
            optimizer.step()
            step += 1
        if writer:
            for name, weight in model.named_parameters():
                writer.add_histogram(f"weight/{name}", weight, epoch)
                writer.add_histogram(f"gradient/{name}", weight.grad, epoch)
        mark()


def jax_scan(epochs: int, folder: Path, mark: Mark) -> None:
    """JAX: an epoch as one `lax.scan`."""
    import numpy as np

    jax: Any = importlib.import_module("jax")
    jnp = jax.numpy

    x, y = (jnp.asarray(array) for array in images())
    random = np.random.default_rng(0)
    weights = [
        (jnp.asarray(random.normal(0, (2 / (n + m)) ** 0.5, (n, m)), jnp.float32), jnp.zeros(m)) for n, m in SHAPES
    ]

    def loss(weights: Any, rows: Any) -> Any:
        h = x[rows].astype(jnp.float32) / 255
        for kernel, bias in weights[:-1]:
            h = jax.nn.relu(h @ kernel + bias)
        logits = h @ weights[-1][0] + weights[-1][1]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[rows][:, None], axis=1))

    def step(weights: Any, rows: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights, rows)
        return jax.tree.map(lambda w, g: w - RATE * g, weights, gradients), value

    epoch = jax.jit(lambda weights, order: jax.lax.scan(step, weights, order))
    for _ in range(epochs):
        order = random.permutation(EXAMPLES).reshape(-1, BATCH).astype("int32")
        weights, losses = epoch(weights, order)
        losses.block_until_ready()
        mark()


CONTENDERS: dict[str, Contender] = {
    FIXED_WORK: fixed_work,
    "XLA products": xla_products,
    "NumPy products": numpy_products,
    "torch products": torch_products,
    "compiled epoch by hand": compiled_epoch,
    "ours, none": partial(mnist_depth_fit, instruments="none"),
    "ours, light": partial(mnist_depth_fit, instruments="light"),
    "ours, standard": partial(mnist_depth_fit, instruments="standard"),
    "ours, full": partial(mnist_depth_fit, instruments="full"),
    "keras fit": keras_fit,
    "keras fit + TensorBoard": partial(keras_fit, board=True),
    "keras fit + light": partial(keras_fit, gauge="light"),
    "keras fit + standard": partial(keras_fit, gauge="standard"),
    "keras fit + full": partial(keras_fit, gauge="full"),
    "convolutions": partial(keras_fit, network=convolutional_network),
    "convolutions + TensorBoard": partial(keras_fit, board=True, network=convolutional_network),
    "convolutions + light": partial(keras_fit, gauge="light", network=convolutional_network),
    "convolutions + standard": partial(keras_fit, gauge="standard", network=convolutional_network),
    "convolutions + full": partial(keras_fit, gauge="full", network=convolutional_network),
    "keras fit, 50 steps per execution": partial(keras_fit, steps_per_execution=50),
    "torch": partial(torch_loop, board=False),
    "torch + SummaryWriter": partial(torch_loop, board=True),
    "jax scan": jax_scan,
}
