"""Trainings for the figures, from run folders and gauge folders."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from mnist_depth import theory
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.figures.data import MAX_DRAWN, Bars, Floats, Series, Training, layer_of
from mnist_depth.figures.places import nested
from mnist_depth.records import GaugeRecord, HistogramPoint, RunRecord, TrainingRecord

PREDICTED = "pre_activation_gradient_norm"
"""The quantity that theory predicts: the norm of dL/dz."""


def from_record(record: TrainingRecord, histograms: Iterable[HistogramPoint] = ()) -> Training:
    """A training with all its curves and the usable ones of these histograms. Raises UserError for damaged files."""
    series = {
        key: Series(np.asarray(found.steps, float), np.asarray(found.values, float))
        for key, found in record.measured.items()
    }
    bars: dict[str, dict[int, Bars]] = {}
    for point in filter(is_usable, histograms):
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


def last_histograms(record: TrainingRecord) -> Iterable[HistogramPoint]:
    """The last usable histogram of every tag; none where the file is damaged."""
    with contextlib.suppress(UserError):
        return record.last_histograms(is_usable).values()
    return ()


def is_usable(point: HistogramPoint) -> bool:
    """Whether a histogram read from a file can be drawn: rising finite edges, counts that are not all zero."""
    edges, counts = np.array(point.edges), np.array(point.counts)
    if len(edges) != len(counts) + 1 or not (np.abs(edges) < MAX_DRAWN).all() or not (np.abs(counts) < MAX_DRAWN).all():
        return False
    return bool((np.diff(edges) > 0).all() and (counts >= 0).all() and counts.sum() > 0)


def name_of(record: TrainingRecord) -> str:
    return f"{record.study}/{record.name}" if record.study else record.name


def fields_of(record: TrainingRecord) -> Mapping[str, Any]:
    """What the training is grouped, filtered and colored by; trainings that differ only in `seed` are one line.

    A gauge does not know what its user varies, so that each of its folders is a line of its own.
    """
    if isinstance(record, RunRecord):
        return {**record.fields, "study": record.study, "seed": record.seed}
    return {"name": record.name, **record.fields}


def layers_of(record: TrainingRecord) -> list[str]:
    """The layers in the order of the model, those inside others among them; those of a run sort by their names."""
    if not isinstance(record, GaugeRecord):
        return []
    return nested(record.layers, dict.fromkeys(layer for tag in record.first_tags if (layer := layer_of(tag))))


def predicted_of(record: TrainingRecord) -> Mapping[str, Floats]:
    """What theory says about a run; nothing for networks that it does not cover."""
    return _predicted(record.config) if isinstance(record, RunRecord) else {}


@lru_cache(1000)
def _predicted(config: RunConfig) -> Mapping[str, Floats]:
    with contextlib.suppress(UserError):
        return {PREDICTED: np.array([row.gradient for row in theory.predict_config(config)])}
    return {}
