"""Folders of trainings: location, ownership and reading (file formats: docs/architecture.md)."""

from __future__ import annotations

from mnist_depth.points import METRICS, Point
from mnist_depth.records.find import find_runs, find_trainings, folders_with
from mnist_depth.records.gauge import GAUGE, GaugeRecord, read_gauge
from mnist_depth.records.histograms import HISTOGRAMS, HistogramPoint
from mnist_depth.records.ownership import LOCK, Busy, claim, clear, make_folder, owner_of, state
from mnist_depth.records.run import (
    CHECKPOINT,
    CONFIG,
    DONE,
    ERROR,
    STATUSES,
    WEIGHTS,
    RunRecord,
    event_tag,
    is_inside,
    read_run,
    run_folder,
)
from mnist_depth.records.training import FORMAT, SHOWN_FIGURES, TrainingRecord, numbers_of

__all__ = [
    "CHECKPOINT",
    "CONFIG",
    "DONE",
    "ERROR",
    "FORMAT",
    "GAUGE",
    "HISTOGRAMS",
    "LOCK",
    "METRICS",
    "SHOWN_FIGURES",
    "STATUSES",
    "WEIGHTS",
    "Busy",
    "GaugeRecord",
    "HistogramPoint",
    "Point",
    "RunRecord",
    "TrainingRecord",
    "claim",
    "clear",
    "event_tag",
    "find_runs",
    "find_trainings",
    "folders_with",
    "is_inside",
    "make_folder",
    "numbers_of",
    "owner_of",
    "read_gauge",
    "read_run",
    "run_folder",
    "state",
]
