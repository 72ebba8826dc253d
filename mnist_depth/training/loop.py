"""`fit` on in-memory arrays, many minibatches inside one compiled step.

The networks are small, so Python's overhead per minibatch is most of a plain `fit`. Here the images stay in memory as
uint8, one Keras "batch" is a block of up to 100 minibatches' indices, and `train_step` loops over them inside one
XLA-compiled function. Callbacks, metrics and checkpoints of `fit` keep working; batch callbacks fire once per block.
The final weights are bit-identical to a plain compiled `fit` over the same minibatches.

One Keras "epoch" is an interval of the run's plan (`mnist_depth.plan`), one Keras "batch" a block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mnist_depth.datasets import Split
from mnist_depth.instrument.optimizer_hook import is_hooked
from mnist_depth.plan import Plan
from mnist_depth.seeds import derive

Apply = Callable[[Sequence[Any], Sequence[Any]], Any]
"""An optimizer's `apply`: gradients and the variables to change."""

LoopState = Sequence[tf.Tensor]
"""State of the loop over a block: index, losses, kept gradients."""

SHORT_RUN = 1_000
"""Steps up to which a second compiled loop costs more than it saves: half a second, against 0.3 ms per step."""


class BlockModel(keras.Model):
    """A functional model that trains on blocks of indices into arrays that it holds.

    `BlockModel(input, output)` shares the layers and variables of the model whose input and output it is given.
    """

    def hold(self, split: Split, plan: Plan) -> None:
        """Keep the training examples and a buffer of losses where the compiled step can reach them."""
        self._examples = split.tensors
        self._is_short = plan.steps <= SHORT_RUN
        self._block_losses = tf.Variable(tf.zeros([plan.steps_per_block]), trainable=False)
        # Indices in `trainable_weights` of gradients that are more than one matrix product: those of vectors (sums over
        # the batch), and those of kernels where a penalty adds to them. `train_step` says why they are kept.
        weights = [(place, w) for place, w in enumerate(self.trainable_weights) if len(w.shape) < 2 or self.losses]
        self._kept = {place: tf.Variable(tf.zeros(w.shape, w.dtype), trainable=False) for place, w in weights}

    @property
    def block_losses(self) -> np.ndarray:
        """The loss of each minibatch of the last block, float32 [steps per block]."""
        return self._block_losses.numpy()

    def train_step(self, data: Any) -> dict[str, Any]:
        """Train on every minibatch of a block, int32 [steps, minibatch]; return the interval's metrics so far.

        Rows of indices that start with -1 are padding, at the end of the last block of an interval.
        """
        rows, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        steps = tf.reduce_sum(tf.cast(rows[:, 0] >= 0, tf.int32))
        state: LoopState = [
            tf.constant(0),  # index of the next minibatch
            tf.zeros_like(self._block_losses),  # [steps per block]
            *(tf.zeros_like(gradient) for gradient in self._kept.values()),  # each of its weight's shape
        ]
        # Instruments measure at most the first update of a block. In a long run only that one goes through the hook: a
        # hook that has nothing to measure slows every update by a tenth. Compiling two loops takes longer than one.
        hooked = is_hooked(self.optimizer)
        if hooked:
            end = steps if self._is_short else tf.minimum(steps, 1)
            state = self._loop(rows, end, self.optimizer.apply, state)
        if not (hooked and self._is_short):
            state = self._loop(rows, steps, partial(type(self.optimizer).apply, self.optimizer), state)
        _, losses, *gradients = state
        for variable, value in zip([self._block_losses, *self._kept.values()], [losses, *gradients], strict=True):
            variable.assign(value)
        return self.get_metrics_result()

    def _loop(self, rows: tf.Tensor, end: tf.Tensor, apply: Apply, state: LoopState) -> LoopState:
        """Train on the minibatches `rows` [steps, minibatch] from the state's index up to `end`."""
        images, labels = self._examples

        def one_minibatch(index: tf.Tensor, losses: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor, ...]:
            chosen = rows[index]  # [minibatch]
            loss, gradients = self._update(tf.gather(images, chosen), tf.gather(labels, chosen), apply)
            losses = tf.tensor_scatter_nd_update(losses, [[index]], [loss])
            # Bit-identity under observation: these gradients leave the loop as its state, although they are never read,
            # so that XLA always computes them apart from the update. Otherwise it fuses them into the update unless an
            # instrument reads them too, and the fused sum is rounded differently.
            return index + 1, losses, *(gradients[place] for place in self._kept)

        return tf.while_loop(lambda index, *_: index < end, one_minibatch, state)

    def _update(self, images: tf.Tensor, labels: tf.Tensor, apply: Apply) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """One optimizer step, as Keras' own `train_step` takes it; returns the loss and its gradients."""
        tape: Any = tf.GradientTape()
        with tape:
            logits = self(images, training=True)
            loss: Any = self.compute_loss(images, labels, logits, training=True)
        # Weighted by the number of examples, as Keras does, so that the mean of the interval is one over examples.
        self._loss_tracker.update_state(loss, sample_weight=tf.shape(images)[0])
        weights = self.trainable_weights
        gradients = tape.gradient(loss, weights)
        apply(gradients, weights)
        self.compute_metrics(images, labels, logits)
        return loss, gradients


class Scorer:
    """Loss and accuracy of a model on whole splits, every example counted, in one compiled call.

    `predictions` holds the class that the last call predicted for each example of each split, int32 [n].
    """

    def __init__(
        self,
        model: keras.Model,
        splits: Mapping[str, Split],
        loss: Callable[[Any, Any], Any],
        accuracy: keras.metrics.Metric,
    ) -> None:
        data = {name: split.tensors for name, split in splits.items()}
        # All splits go through the network in one batch [sum of sizes, features] and are separated afterwards, so that
        # the layers are compiled once.
        everything = tf.concat([images for images, _ in data.values()], axis=0)
        sizes = [len(split) for split in splits.values()]

        @tf.function(jit_compile=True, autograph=False)
        def score() -> tuple[dict[str, dict[str, tf.Tensor]], dict[str, tf.Tensor]]:
            parts = dict(zip(data, tf.split(model(everything, training=False), sizes), strict=True))
            scores = {
                name: {"loss": loss(labels, parts[name]), "accuracy": _accuracy(accuracy, labels, parts[name])}
                for name, (_, labels) in data.items()
            }
            return scores, {name: _predicted(logits) for name, logits in parts.items()}

        self._score = score
        self.predictions: dict[str, np.ndarray] = {}

    def __call__(self) -> dict[str, dict[str, float]]:
        """For each split, its mean loss (without weight penalties) and its accuracy."""
        scores, predictions = self._score()
        self.predictions = {name: classes.numpy() for name, classes in predictions.items()}
        return {name: {metric: float(value) for metric, value in values.items()} for name, values in scores.items()}


def _predicted(logits: tf.Tensor) -> tf.Tensor:
    """The largest logit's class; with one logit, whether it is positive."""
    if logits.shape[-1] == 1:
        return tf.cast(logits[:, 0] > 0, tf.int32)
    return tf.argmax(logits, axis=1, output_type=tf.int32)


def _accuracy(metric: keras.metrics.Metric, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    metric.reset_state()
    metric.update_state(labels, logits)
    return metric.result()


def index_blocks(plan: Plan, seed: int, first_interval: int = 0) -> Iterator[tuple[np.ndarray]]:
    """Endless blocks of minibatch indices, int32 [steps_per_block, minibatch], interval after interval.

    Every epoch's order depends on (seed, epoch) alone, so a resumed run sees what an uninterrupted one would have seen.
    """
    done = first_interval
    while True:
        # All minibatches of the interval, one a row, filled up with -1 so that they divide into equal blocks.
        rows = np.full((plan.blocks_per_interval * plan.steps_per_block, plan.minibatch), -1, np.int32)
        for place, epoch in enumerate(range(plan.epochs_after(done), plan.epochs_after(done + 1))):
            order = np.random.default_rng(derive(seed, "order", epoch)).permutation(plan.examples)
            # [steps per epoch, minibatch]; the remainder of the shuffle is dropped, so that every minibatch is full.
            used = order[: plan.steps_per_epoch * plan.minibatch].reshape(plan.steps_per_epoch, plan.minibatch)
            rows[place * plan.steps_per_epoch : (place + 1) * plan.steps_per_epoch] = used
        for block in np.split(rows, plan.blocks_per_interval):
            yield (block,)
        done += 1


def _dataset(plan: Plan, seed: int, first_interval: int) -> tf.data.Dataset:
    """`index_blocks` for `fit`, without autotuning.

    Keras makes an autotuned dataset of a generator. The autotuning thread wakes up 1.3, 2.6, 5.1, 10 ... seconds after
    its start, and `fit` often waited for it at its end.
    """
    spec = tf.TensorSpec([None, plan.minibatch], tf.int32)
    blocks = partial(index_blocks, plan, seed, first_interval)
    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.from_generator(blocks, output_signature=(spec,)).with_options(options)


def prepare(model: keras.Model, split: Split, plan: Plan, **compile_options: Any) -> BlockModel:
    """A compiled BlockModel over `model`'s layers that trains on `split`."""
    block_model = BlockModel(model.input, model.output, name=model.name)
    block_model.hold(split, plan)
    options: dict[str, Any] = {"jit_compile": True, **compile_options}
    block_model.compile(**options)
    return block_model


def fit(
    model: BlockModel,
    plan: Plan,
    seed: int,
    *,
    first_interval: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> keras.callbacks.History:
    """Train what is left after `first_interval` intervals, with Keras' own `fit`."""
    return model.fit(
        _dataset(plan, seed, first_interval),
        steps_per_epoch=plan.blocks_per_interval,
        epochs=plan.intervals,
        initial_epoch=first_interval,
        callbacks=list(callbacks),
        verbose=0,  # pyright: ignore[reportArgumentType]
        shuffle=False,  # `index_blocks` has shuffled already
    )
