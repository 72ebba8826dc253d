"""Training loops of the user's own, which call the gauge through Keras' CallbackList."""

from __future__ import annotations

from typing import Any

import keras
import pytest
import tensorflow as tf

from mnist_depth.instrument import DepthGauge, MemoryWriter, every_steps
from mnist_depth.instrument.update_choice import BYPASSED
from tests.instrument.twins import STEPS, X, Y, assert_same, dense, messages_of, network

pytestmark = pytest.mark.slow

LAST = 2 * STEPS
NAMES = {"hidden/kernel", "hidden/bias", "out/kernel", "out/bias"}


class Loop:
    """A model that is not compiled, an optimizer that it does not hold, and a compiled step."""

    def __init__(self) -> None:
        keras.utils.set_random_seed(1)
        self.model = network(dense(4, "tanh", name="hidden"), compiled=False)
        self.optimizer: Any = keras.optimizers.Adam(0.01)
        self.step = tf.function(self._step)

    def _step(self, x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = mean_square(y, self.model(x, training=True))
        weights = self.model.trainable_variables
        gradients: Any = tape.gradient(loss, [weight.value for weight in weights])
        self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return loss

    def train(self, *callbacks: Any) -> Any:
        hooks: Any = keras.callbacks.CallbackList(list(callbacks), model=self.model)
        hooks.on_train_begin()
        loss = 0.0
        for epoch in range(2):
            hooks.on_epoch_begin(epoch)
            for batch in range(STEPS):
                hooks.on_train_batch_begin(batch)
                part = slice(batch * 16, batch * 16 + 16)
                loss = self.step(X[part], Y[part])
                hooks.on_train_batch_end(batch)
            hooks.on_epoch_end(epoch, {"loss": float(loss)})
        hooks.on_train_end()
        return self.model


def mean_square(y: Any, predicted: Any) -> Any:
    return tf.reduce_mean((y - predicted) ** 2)


def gauge(probe: Any = (X, Y), **options: Any) -> tuple[DepthGauge, MemoryWriter]:
    writer = MemoryWriter()
    return DepthGauge(writer, probe, schedule=every_steps(1), on_finding="ignore", **options), writer


def measured(writer: MemoryWriter, quantity: str) -> dict[str, list[int]]:
    prefix = f"{quantity}/"
    return {tag[len(prefix) :]: sorted(of) for tag, of in writer.scalars.items() if tag.startswith(prefix)}


def test_a_model_that_is_not_compiled() -> None:
    loop = Loop()
    measuring, writer = gauge(optimizer=loop.optimizer, loss=mean_square, gradients="both")
    assert messages_of(lambda: assert_same(loop.train(measuring), Loop().train())) == []
    steps = list(range(1, LAST + 1))
    assert measured(writer, "probe_gradient_norm") == {name: [0, *steps] for name in NAMES}
    assert measured(writer, "gradient_norm") == dict.fromkeys(NAMES, steps)
    assert sorted(writer.scalars["loss"]) == [STEPS, LAST]


def test_without_loss_and_optimizer_it_is_said_and_updates_are_measured() -> None:
    loop = Loop()
    measuring, writer = gauge()
    messages = messages_of(lambda: assert_same(loop.train(measuring), Loop().train()))
    assert [message.partition(":")[0] for message in messages] == [
        "gradients are those that training applies",
        "no optimizer has made a step",
    ]
    assert measured(writer, "update_ratio") == {name: list(range(1, LAST + 1)) for name in NAMES}
    assert sorted(writer.scalars["activation_std/hidden"]) == list(range(LAST + 1))


@pytest.mark.parametrize("probe", [None, (X, Y)])
def test_a_step_that_was_traced_before_the_gauge_bypasses_its_hooks(probe: Any) -> None:
    plain, watched = Loop(), Loop()
    for loop in (plain, watched):
        loop.step(X[:16], Y[:16])
    measuring, writer = gauge(probe, optimizer=watched.optimizer)
    messages = messages_of(lambda: assert_same(watched.train(measuring), plain.train()))
    assert [message for message in messages if message == BYPASSED] == messages[-1:] == [BYPASSED]
    assert measured(writer, "gradient_norm") == {}
    assert measured(writer, "update_ratio") == {name: list(range(3, LAST + 2)) for name in NAMES}
