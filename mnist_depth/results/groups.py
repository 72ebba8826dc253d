"""Runs that differ only in their seed, taken together: labels, means and spreads."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mnist_depth import records
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.records import GaugeRecord, RunRecord, TrainingRecord

SELF_EXPLAINING = ("dataset", "activation", "initializer", "optimizer")
"""Config fields whose values need no name before them in a label."""


MAX_FIELDS = 4
"""With more varying fields than this, labels name only what differs from most runs."""

ALWAYS_NAMED = ("depth",)
"""Fields that labels name wherever they vary: what a network is, not how it differs from most."""

Labeler = Callable[[RunConfig], str]
"""The name of a configuration, empty where there is none."""


class Axis(NamedTuple):
    """One axis of variation: a config field, or a name for several of them."""

    name: str
    value: Callable[[RunConfig], Any]


def field_axis(name: str) -> Axis:
    """The axis of one config field."""
    return Axis(name, attrgetter(name))


class Spread(NamedTuple):
    """Mean and sample standard deviation of one number over seeds; nan deviation for a single seed."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Group:
    """The runs of one configuration, one per seed."""

    label: str
    runs: tuple[TrainingRecord, ...]
    places: Mapping[str, Any] = field(default_factory=dict)
    """Axis name -> this configuration's value on it."""

    @property
    def config(self) -> RunConfig | None:
        """None if a gauge measured a user's own model."""
        return config_of(self.runs[0])

    @cached_property
    def metrics(self) -> list[dict[str, float]]:
        """The final figures of every run that has any, with training time and gradients before training."""
        return [figures_of(run) for run in self.runs if run.status != "unfinished"]

    def spread(self, metric: str) -> Spread | None:
        """Mean and deviation of a final figure over the seeds that have it."""
        values = [metrics[metric] for metrics in self.metrics if metric in metrics]
        if not values:
            return None
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        return Spread(float(np.mean(values)), deviation)


def config_of(record: TrainingRecord) -> RunConfig | None:
    """The config of a study's run, None for the folder of a gauge."""
    return record.config if isinstance(record, RunRecord) else None


SIGNAL = "pre_activation_gradient_norm/"
"""Tags of ||dL/dz|| on a fixed batch, the norm that theory predicts and that tables and verdicts use."""


def figures_of(record: TrainingRecord) -> dict[str, float]:
    """The final figures of a training, and its gradients before training."""
    return {**record.figures, **gradient_figures(record)}


def gradient_figures(record: TrainingRecord) -> dict[str, float]:
    """||dL/dz|| of the first and the last layer before training, and their ratio; nothing where it was not recorded."""
    found = [record.series("train", SIGNAL + layer)[1] for layer in record.layers]
    firsts = [values[0] for values in found if values]
    if len(firsts) < 2:
        return {}
    ratio = {"dz_ratio": firsts[0] / firsts[-1]} if firsts[-1] else {}
    return {"dz_first": firsts[0], "dz_last": firsts[-1], **ratio}


# Reading and naming


def read_runs(root: Path) -> tuple[list[TrainingRecord], list[str]]:
    """Every training at or below `root`, and one line about each folder that cannot be used."""
    runs, notes = [], []
    readers = {records.CONFIG: records.read_run, records.GAUGE: records.read_gauge}
    for name, read in readers.items():
        for folder in records.folders_with(name, root):
            try:
                record = read(folder)
                _ = record.measured  # read now, so that a damaged file is reported once and in one place
            except UserError as error:
                notes.append(str(error))
            else:
                runs.append(record)
    return runs, notes


def group_runs(
    runs: Sequence[TrainingRecord],
    label: Labeler | None = None,
    axes: Sequence[Axis] | None = None,
    place: Callable[[RunConfig], int] | None = None,
) -> list[Group]:
    """Groups of runs that differ only in the seed, by `place` and then in a natural order; each gauge's is a group.

    Labels say what differs between groups; `label` may give better names, and an empty one leaves the choice here.
    `axes` are what the configurations vary on, by default the config fields that vary.
    """
    studied = [run for run in runs if isinstance(run, RunRecord)]
    measured = [Group(run.name, (run,)) for run in runs if isinstance(run, GaugeRecord)]
    if measured:
        axes = []
    axes = [field_axis(name) for name in axes_of(studied)] if axes is None else axes
    by_config: dict[tuple[str, RunConfig], list[RunRecord]] = {}
    for run in studied:
        by_config.setdefault((run.study, replace(run.config, seed=0)), []).append(run)
    fields = varying_fields(studied)
    groups = sorted(by_config.values(), key=lambda members: _order(members[0], fields, place))
    named = _labels([members[0] for members in groups], fields, label)
    return measured + [
        Group(
            name,
            tuple(sorted(members, key=lambda run: run.seed)),
            {axis.name: axis.value(members[0].config) for axis in axes},
        )
        for name, members in zip(named, groups, strict=True)
    ]


def _labels(firsts: Sequence[RunRecord], fields: Sequence[str], label: Labeler | None) -> list[str]:
    """One label per group, each different: a given name that two groups share is followed by what differs."""
    differences = _differences(firsts, fields)
    given = [label(run.config) if label else "" for run in firsts]
    studies = {run.study for run in firsts}
    return [
        (f"{run.study}: " if len(studies) > 1 else "")
        + (name if name and given.count(name) == 1 else f"{name}, {text}" if name else text)
        for run, name, text in zip(firsts, given, differences, strict=True)
    ]


def _differences(firsts: Sequence[RunRecord], fields: Sequence[str]) -> list[str]:
    """The fields in which each config differs from the others; where many vary, only what is unlike most configs."""
    configs = [run.config for run in firsts]
    if len(fields) <= MAX_FIELDS:
        return [label_of(config, fields) for config in configs]
    usual = {name: Counter(getattr(config, name) for config in configs).most_common(1)[0][0] for name in fields}
    own = [
        [name for name in fields if name in ALWAYS_NAMED or getattr(config, name) != usual[name]] for config in configs
    ]
    return [label_of(config, names) if names else "baseline" for config, names in zip(configs, own, strict=True)]


DERIVED = {"learning_rate": "optimizer", "epochs": "dataset", "pretraining_epochs": "dataset"}
"""Fields that usually follow from another one: an optimizer's usual rate, a dataset's usual number of passes."""


def varying_fields(runs: Sequence[RunRecord]) -> list[str]:
    """The config fields that differ between the runs, except the seed and what follows from another field."""
    configs = [run.config.to_dict() for run in runs]
    names = configs[0] if configs else {}
    fields = [name for name in names if name != "seed" and len({config[name] for config in configs}) > 1]
    return [name for name in fields if name not in DERIVED or not _determines(configs, DERIVED[name], name)]


def axes_of(runs: Sequence[RunRecord]) -> list[str]:
    """The varying fields without those that an earlier one determines, the activation first: the grid of the runs."""
    configs = [run.config.to_dict() for run in runs]
    fields = varying_fields(runs)
    axes = [
        name
        for index, name in enumerate(fields)
        if not any(_determines(configs, earlier, name) for earlier in fields[:index])
    ]
    return sorted(axes, key=lambda name: name != "activation")


def _determines(configs: Sequence[Mapping[str, Any]], cause: str, effect: str) -> bool:
    pairs = {(config[cause], config[effect]) for config in configs}
    return len(pairs) == len({value for value, _ in pairs})


def label_of(config: RunConfig, fields: Sequence[str]) -> str:
    """The config's values of these fields, `sigmoid, depth 9`; its slug where there are none."""
    return ", ".join(_words(name, getattr(config, name)) for name in fields) or config.slug


def _words(name: str, value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if name in SELF_EXPLAINING else f"{name.replace('_', ' ')} {text}"


def _order(run: RunRecord, fields: Sequence[str], place: Callable[[RunConfig], int] | None) -> tuple[Any, ...]:
    return (run.study, place(run.config) if place else 0, *(getattr(run.config, name) for name in fields))
