"""A cache of compiled models, each with its scorer and its instruments, for runs of the same shape.

Compiling takes seconds, more than a short run. Runs that differ only in seed, learning rate, weight penalty and initial
values share a compiled model.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras

from mnist_depth import models
from mnist_depth.config import RunConfig
from mnist_depth.datasets import Dataset, Split
from mnist_depth.instrument import DepthGauge, MultiWriter, at_most, at_steps, every_epochs
from mnist_depth.networks.optimizers import OPTIMIZERS
from mnist_depth.networks.penalty import penalties
from mnist_depth.plan import Plan
from mnist_depth.registry import split_name
from mnist_depth.training import loop

PROBE_EXAMPLES = 256
"""Size of the fixed batch that the instruments measure on: the first validation images."""

Key = tuple[RunConfig, str, str, tuple[str, ...]]


LAYERS = "^(layer|projection|add|merge)"
"""The layers that are measured: not the scaling of the pixels."""

MAX_APPLIED, MAX_PROBED = 50, 20
"""Points measured inside updates, and points (histograms too) measured on the probe, however long the run is."""


def gauges(instruments: str, probe: Split, plan: Plan) -> list[DepthGauge]:
    """The callbacks that measure a run: gradients as applied, everything else on the fixed batch `probe`.

    They have no writer until `restart` sets one.
    """
    if instruments == "none":
        return []
    intervals = every_epochs(-(-plan.intervals // MAX_PROBED))
    enough = instruments == "light" or plan.intervals >= MAX_PROBED / 2
    gauge = DepthGauge(
        MultiWriter(),
        probe=(probe.images[:PROBE_EXAMPLES], probe.labels[:PROBE_EXAMPLES]),
        preset=instruments,
        schedule=intervals if enough else intervals | at_most(MAX_PROBED, plan.steps),
        applied=at_steps(plan.block_starts(MAX_APPLIED)),
        histograms=intervals,
        gradients="both",
        layers=LAYERS,
        epoch_scalars=False,
        on_finding="ignore",
    )
    return [gauge]


class CompiledModel:
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
        """Begin a run: take over weights, random state and penalties of `network`, and forget the run before.

        Every value is assigned to a variable of the compiled programs, so nothing is compiled again.
        """
        for penalty, fresh_penalty in zip(penalties(self.model), penalties(network), strict=True):
            penalty.strength.assign(fresh_penalty.strength)
        _assign(_state(self.model), _state(network))
        optimizer: Any = self.model.optimizer
        fresh: Any = models.build_optimizer(config)
        for built in (optimizer, fresh):
            built.build(self.model.trainable_variables)
        _assign(optimizer.variables, fresh.variables)
        self.scorer.predictions = {}
        for gauge in self.gauges:
            gauge.restart(writer)


def _assign(targets: Sequence[Any], sources: Sequence[Any]) -> None:
    for target, source in zip(targets, sources, strict=True):
        target.assign(source)


def _state(model: keras.Model) -> list[Any]:
    """Weights and random state, without the metrics that only a compiled model has."""
    metrics = {id(variable) for metric in model.metrics for variable in metric.variables}
    return [variable for variable in model.variables if id(variable) not in metrics]


def _shape(config: RunConfig) -> RunConfig:
    """The config without the fields that `CompiledModel.start` assigns; the remaining ones are compiled in."""
    decoupled = OPTIMIZERS[split_name(config.optimizer)[0]].decays_weights
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


MAX_CACHED = 4
"""Models in the cache. TensorFlow does not free what was compiled for a deleted network, so networks that take turns
must not be compiled again and again; but every cached model holds its data."""

_cache: dict[Key, CompiledModel] = {}
"""Most recently used last."""


def compiled_model(config: RunConfig, data: Dataset, scored: Mapping[str, Split], instruments: str) -> CompiledModel:
    """Return a cached compiled model for this shape, or build one, evicting the least recently used."""
    key = (_shape(config), data.checksum, instruments, tuple(scored))
    compiled = _cache.pop(key, None)
    if compiled is None:
        if len(_cache) >= MAX_CACHED:
            del _cache[next(iter(_cache))]
        if _cache:  # before the first model there is nothing to free
            keras.backend.clear_session()
            gc.collect()
        compiled = CompiledModel(config, data, scored, instruments)
    _cache[key] = compiled
    return compiled
