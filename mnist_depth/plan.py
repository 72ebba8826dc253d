"""Step arithmetic of a run: how its updates are grouped into epochs, intervals and blocks. Imports no TensorFlow.

- A *step* is one optimizer update on one minibatch, an *epoch* one pass over the training images.
- An *interval* is the stretch between two scores and checkpoints, one Keras epoch of `fit`: one epoch, or several where
  a run has so many short ones (the gates have one step per epoch) that scoring each would take longer than training.
- A *block* is the minibatches of one call of the compiled step, one Keras batch of `fit`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mnist_depth.config import RunConfig
from mnist_depth.datasets import SIZES, Sizes

MAX_BLOCK_STEPS = 100
"""Large enough to hide the cost of calling the compiled step, small enough to stop within a second."""

MIN_BLOCKS = 50
"""Minimum number of blocks per run (fewer if it has fewer steps); applied gradients are sampled once per block."""

MAX_INTERVALS = 200


@dataclass(frozen=True)
class Plan:
    """How many minibatches a run takes and how they are grouped into epochs, intervals and blocks."""

    examples: int
    batch_size: int
    epochs: int

    @property
    def minibatch(self) -> int:
        """Images per step: the whole data where it is smaller than the batch size."""
        return min(self.batch_size, self.examples)

    @property
    def steps_per_epoch(self) -> int:
        """The remainder of each epoch's own shuffle is left out, so every minibatch is full."""
        return self.examples // self.minibatch

    @property
    def steps(self) -> int:
        """All updates of the run."""
        return self.epochs * self.steps_per_epoch

    @property
    def epochs_per_interval(self) -> int:
        return math.ceil(self.epochs / MAX_INTERVALS)

    @property
    def intervals(self) -> int:
        return math.ceil(self.epochs / self.epochs_per_interval)

    @property
    def blocks_per_interval(self) -> int:
        longest = min(MAX_BLOCK_STEPS, math.ceil(self.steps / MIN_BLOCKS))
        return math.ceil(self.epochs_per_interval * self.steps_per_epoch / longest)

    @property
    def steps_per_block(self) -> int:
        """Every interval has equal blocks; the last may be padded."""
        return math.ceil(self.epochs_per_interval * self.steps_per_epoch / self.blocks_per_interval)

    def epochs_after(self, intervals: int) -> int:
        """Epochs done after so many intervals."""
        return min(self.epochs, intervals * self.epochs_per_interval)

    def steps_after(self, intervals: int) -> int:
        """Steps done after so many intervals."""
        return self.epochs_after(intervals) * self.steps_per_epoch

    def block_starts(self, most: int) -> list[int]:
        """The first update of every block, or of every n-th so that there are at most `most`; the run's first is 1."""
        starts = [
            first
            for done in range(self.intervals)
            for first in range(self.steps_after(done) + 1, self.steps_after(done + 1) + 1, self.steps_per_block)
        ]
        return starts[:: math.ceil(len(starts) / most)]


def plan_of(config: RunConfig, sizes: Mapping[str, Sizes] = SIZES) -> Plan:
    """The plan of a run whose dataset has these sizes.

    >>> plan_of(RunConfig(epochs=2)).steps
    1100
    """
    return Plan(config.train_examples or sizes[config.dataset].train, config.batch_size, config.epochs)
