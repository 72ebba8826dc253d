"""The callback that logs a run: losses and accuracies after every interval, the checkpoint, and when to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import keras

from mnist_depth.instrument import MultiWriter
from mnist_depth.plan import Plan
from mnist_depth.training.loop import BlockModel, Scorer

MAX_POINTS = 1_000
"""TensorBoard shows no more points of a scalar tag than this."""


class RunLogger(keras.callbacks.Callback):
    """Write `loss` and `accuracy` of train, validation and test per interval, and `minibatch_loss` at most 1,000 times.

    `save(intervals)` is called after each interval's points are on disk, so that a checkpoint never runs ahead of them.
    `status` is `stopped` after `stop()` said so, `diverged` after a loss that is not finite, else `finished`. A
    diverged run ends at once, or continues if `keep_going` is set.
    """

    def __init__(
        self,
        plan: Plan,
        scorer: Scorer,
        writers: Mapping[str, MultiWriter],
        *,
        first_interval: int,
        save: Callable[[int], None],
        stop: Callable[[], bool],
        keep_going: bool = False,
    ) -> None:
        super().__init__()
        self._scorer, self._writers = scorer, writers
        self._save, self._stop, self._keep_going = save, stop, keep_going
        self._step = plan.steps_after(first_interval)
        self._every = math.ceil(plan.steps / MAX_POINTS)
        self.status = "finished"
        self.scores: dict[str, dict[str, float]] = {}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a block: write its due minibatch losses, and look whether to stop."""
        model: Any = self.model
        assert isinstance(model, BlockModel)
        before, self._step = self._step, int(model.optimizer.iterations.numpy())
        losses = model.block_losses
        for step in range(before + 1, self._step + 1):
            if step % self._every == 0 or step == 1:
                self._writers["train"].write_scalars(step, {"minibatch_loss": float(losses[step - before - 1])})
        if self._stop():
            self.status = "stopped"
            model.stop_training = True
        elif not math.isfinite(losses[: self._step - before].sum()):
            self.status = "diverged"
            model.stop_training = not self._keep_going

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """After an interval: score, write, save. An interval cut short by a stop is left to be trained again."""
        if self.status == "stopped":
            return
        self.scores = {"train": {name: float(value) for name, value in (logs or {}).items()}, **self._scorer()}
        for name, scores in self.scores.items():
            self._writers[name].write_scalars(self._step, scores)
        for writer in self._writers.values():
            writer.flush()
        if self.status == "finished" or self._keep_going:
            self._save(epoch + 1)
