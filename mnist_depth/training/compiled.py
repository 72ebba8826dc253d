"""A compiled network with its scorer and its instruments, used again by every run of the same shape.

Compiling takes seconds, a short run less: runs that differ in nothing but seed, learning rate, weight penalty and the
values that training starts from share it.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras

from mnist_depth import models
from mnist_depth.config import RunConfig
from mnist_depth.datasets import Dataset, Split
from mnist_depth.instrument import DepthGauge, MultiWriter, at_most, at_steps, every_epochs
from mnist_depth.networks.optimizers import DECOUPLED
from mnist_depth.networks.penalty import penalties
from mnist_depth.plan import Plan
from mnist_depth.registry import split_name
from mnist_depth.training import loop

PROBE_EXAMPLES = 256
"""Size of the fixed batch that the instruments measure on: the first validation images."""

Key = tuple[RunConfig, str, str, tuple[str, ...]]


LAYERS = "^(layer|projection|add|merge)"
"""The layers that are measured: not the scaling of the pixels."""

MOST_APPLIED, MOST_PROBED = 50, 20
"""Points of what is seen inside the updates, and of what is probed (histograms too), whatever the run's length."""


def gauges(instruments: str, probe: Split, plan: Plan) -> list[DepthGauge]:
    """The callbacks that measure a run: gradients as applied, everything else on the fixed batch `probe`.

    They write nowhere until they are given a writer by `restart`.
    """
    if instruments == "none":
        return []
    intervals = every_epochs(-(-plan.intervals // MOST_PROBED))
    enough = instruments == "light" or plan.intervals >= MOST_PROBED / 2
    gauge = DepthGauge(
        MultiWriter(),
        probe=(probe.images[:PROBE_EXAMPLES], probe.labels[:PROBE_EXAMPLES]),
        preset=instruments,
        schedule=intervals if enough else intervals | at_most(MOST_PROBED, plan.steps),
        applied=at_steps(plan.block_starts(MOST_APPLIED)),
        histograms=intervals,
        gradients="both",
        layers=LAYERS,
        epoch_scalars=False,
    )
    return [gauge]


class Workbench:
    """One network, compiled for training, scoring and measuring."""

    def __init__(self, config: RunConfig, data: Dataset, scored: Mapping[str, Split], instruments: str) -> None:
        self.plan = Plan(len(data.train), config.batch_size, config.epochs)
        self.model = loop.prepare(
            models.build(config),
            data.train,
            self.plan,
            optimizer=models.build_optimizer(config),
            loss=models.loss(config),
            metrics=models.metrics(config),
        )
        self.scorer = loop.Scorer(self.model, scored, models.loss(config), models.metrics(config)[0])
        self.gauges = gauges(instruments, data.validation, self.plan)

    def start(self, config: RunConfig, network: keras.Model, writer: MultiWriter) -> None:
        """Take over the state and weight penalty of `network`, a fresh optimizer's state and the run's writer.

        What was predicted for the run before is forgotten.
        """
        for mine, its in zip(penalties(self.model), penalties(network), strict=True):
            mine.strength.assign(its.strength)
        for ours, theirs in zip(_state(self.model), _state(network), strict=True):
            ours.assign(theirs)
        optimizer: Any = self.model.optimizer
        fresh: Any = models.build_optimizer(config)
        for each in (optimizer, fresh):
            each.build(self.model.trainable_variables)
        for ours, theirs in zip(optimizer.variables, fresh.variables, strict=True):
            ours.assign(theirs)
        self.scorer.predictions = {}
        for gauge in self.gauges:
            gauge.restart(writer)


def _state(model: keras.Model) -> list[Any]:
    """Weights and random state, without the metrics that only a compiled model has."""
    metrics = {id(variable) for metric in model.metrics for variable in metric.variables}
    return [variable for variable in model.variables if id(variable) not in metrics]


def _shape(config: RunConfig) -> RunConfig:
    """The config without what `Workbench.start` sets anew: what is left is compiled in."""
    decoupled = split_name(config.optimizer)[0] in DECOUPLED
    penalty = config.weight_decay if decoupled else float(config.weight_decay > 0)
    return replace(
        config,
        seed=0,
        learning_rate=1.0,
        pretraining="none",
        pretraining_epochs=1,
        initializer="zeros",
        bias_std=0.0,
        weight_decay=penalty,
    )


KEPT = 4
"""Benches kept: TensorFlow does not free what was compiled for a network that is gone, so networks that take turns must
not be compiled again and again; each bench holds its data."""

_benches: dict[Key, Workbench] = {}


def workbench(config: RunConfig, data: Dataset, scored: Mapping[str, Split], instruments: str) -> Workbench:
    """The bench for runs of this shape: one used lately where it fits, else a new one in the oldest's place."""
    key = (_shape(config), data.checksum, instruments, tuple(scored))
    bench = _benches.pop(key, None)
    if bench is None:
        while len(_benches) >= KEPT:
            del _benches[next(iter(_benches))]
        keras.backend.clear_session()
        gc.collect()
        bench = Workbench(config, data, scored, instruments)
    _benches[key] = bench
    return bench
