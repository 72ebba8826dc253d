"""Gradient against layer (`instrument/by_layer`) of a finished run, and what theory predicts beside it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mnist_depth.instrument.by_layer import END, FOLDER, QUANTITIES, SHOWN, START, moment, with_log
from mnist_depth.records import RunRecord
from mnist_depth.summaries.events import replace_events, scalars
from mnist_depth.summaries.protos import Message
from mnist_depth.summaries.series import Series

THEORY = "theory"
PREDICTED = "pre_activation_gradient_norm"
"""The quantity that theory predicts: the norm of dL/dz."""

Profile = dict[str, list[Series]]
"""Quantity -> a series per layer, layer 1 first."""


def write_depth_profile(
    record: RunRecord, series: Mapping[tuple[str, str], Series], theory: Sequence[float] | None = None
) -> None:
    """Write the snapshots of a run; `theory` is the predicted norm of dL/dz per layer, in any unit.

    The prediction is scaled to the measured value of the output layer at the start. Snapshots that no longer belong to
    the run are removed.
    """
    profile = _profile(series)
    folder = record.folder / FOLDER
    snapshots = _snapshots(record, profile) if profile else {}
    for name, step in snapshots.items():
        replace_events(folder / name, FOLDER, _events(profile, step))
    curve = _scaled(theory, profile)
    if curve:
        wall_time = profile[PREDICTED][-1].wall_times[0]
        events = [scalars(layer, with_log(PREDICTED, value), wall_time) for layer, value in enumerate(curve, start=1)]
        replace_events(folder / THEORY, FOLDER, events)
    _remove_others(folder, {*snapshots, *([THEORY] if curve else [])})


def _profile(series: Mapping[tuple[str, str], Series]) -> Profile:
    names = sorted({match[1] for _, tag in series if (match := re.fullmatch(r".*/(layer_\d+)(/kernel)?", tag))})
    found: Profile = {}
    for quantity, ending in QUANTITIES.items():
        layers = [series.get(("train", f"{quantity}/{name}{'/kernel' if ending else ''}")) for name in names]
        if layers and all(layers):
            found[quantity] = [layer for layer in layers if layer]
    return found


def _snapshots(record: RunRecord, profile: Profile) -> dict[str, int]:
    """Name -> step: the start, epochs 1, 3, 10, 30, ... and the end."""
    first = min(layers[0].steps[0] for layers in profile.values())
    last = max(layers[0].steps[-1] for layers in profile.values())
    found = {START: first}
    per_epoch = record.steps_per_epoch
    found |= {moment(epoch): epoch * per_epoch for epoch in SHOWN if 0 < epoch * per_epoch < last}
    return found | {END: last}


def _events(profile: Profile, step: int) -> list[Message]:
    """One event per layer; a quantity that was measured at no step within a quarter of `step` is left out."""
    depth = len(next(iter(profile.values())))
    events = []
    for layer in range(depth):
        values: dict[str, float] = {}
        wall_time = 0.0
        for quantity, layers in profile.items():
            at = layers[layer].nearest(step)
            if abs(layers[layer].steps[at] - step) <= max(1, step / 4):
                values |= with_log(quantity, layers[layer].values[at])
                wall_time = max(wall_time, layers[layer].wall_times[at])
        if values:
            events.append(scalars(layer + 1, values, wall_time))
    return events


def _scaled(theory: Sequence[float] | None, profile: Profile) -> list[float]:
    if theory is None or PREDICTED not in profile or len(theory) != len(profile[PREDICTED]) or not theory[-1]:
        return []
    scale = profile[PREDICTED][-1].values[0] / theory[-1]
    return [value * scale for value in theory] if math.isfinite(scale) else []


def _remove_others(folder: Path, names: set[str]) -> None:
    if folder.is_dir():
        for path in folder.iterdir():
            if path.is_dir() and path.name not in names:
                replace_events(path, FOLDER, [])
