"""Trainings for the figures, from run folders and gauge folders."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from mnist_depth import theory
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.figures.data import Bars, Floats, Series, Training
from mnist_depth.records import GaugeRecord, RunRecord

PREDICTED = "pre_activation_gradient_norm"
"""The quantity that theory predicts: the norm of dL/dz."""


def from_record(record: RunRecord | GaugeRecord, *, histograms: bool = False) -> Training:
    """A training with all its curves; `histograms` reads those too, which takes longer. Raises UserError."""
    series = {
        key: Series(np.asarray(found.steps, float), np.asarray(found.values, float))
        for key, found in record.measured.items()
    }
    bars: dict[str, dict[int, Bars]] = {}
    for point in record.histograms() if histograms else ():
        bars.setdefault(point.tag, {})[point.step] = Bars(np.array(point.edges), np.array(point.counts))
    return Training(
        name=name_of(record),
        series=series,
        fields=fields_of(record),
        known_layers=layers_of(record),
        steps_per_epoch=record.steps_per_epoch,
        predicted=predicted_of(record),
        histograms=bars,
    )


def name_of(record: RunRecord | GaugeRecord) -> str:
    return f"{record.study}/{record.name}" if record.study else record.name


def fields_of(record: RunRecord | GaugeRecord) -> Mapping[str, Any]:
    """What the training is grouped, filtered and colored by; trainings that differ only in `seed` are one line.

    A gauge does not know what its user varies, so that each of its folders is a line of its own.
    """
    if isinstance(record, RunRecord):
        return {**record.fields, "study": record.study, "seed": record.seed}
    return {"name": record.name, **record.fields}


def layers_of(record: RunRecord | GaugeRecord) -> list[str]:
    """The layers in the order of the model; those of a run sort by their names."""
    return record.layers if isinstance(record, GaugeRecord) else []


def predicted_of(record: RunRecord | GaugeRecord) -> Mapping[str, Floats]:
    """What theory says about a run; nothing for networks that it does not cover."""
    return _predicted(record.config) if isinstance(record, RunRecord) else {}


@lru_cache(1000)
def _predicted(config: RunConfig) -> Mapping[str, Floats]:
    with contextlib.suppress(UserError):
        return {PREDICTED: np.array([row.gradient for row in theory.predict_config(config)])}
    return {}
