"""The folder of a `DepthGauge` on any Keras model."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from mnist_depth.errors import UserError, printable
from mnist_depth.points import METRICS, read_lines
from mnist_depth.records.training import TrainingRecord, read_format

GAUGE = "gauge.json"

LINES_OF_START = 10
"""Lines of measurements in which every tag of a layer appears."""


@dataclass(frozen=True, repr=False)
class GaugeRecord(TrainingRecord):
    """What a `DepthGauge` measured of any Keras model."""

    folder: Path
    metadata: Mapping[str, Any]
    """All of gauge.json: model, layers, optimizer, learning_rate, loss, steps_per_epoch, environment."""

    @property
    def name(self) -> str:
        return printable(self.folder.name)

    @property
    def study(self) -> str:
        return ""

    @property
    def seed(self) -> None:
        return None

    @property
    def status(self) -> str:
        """`diverged` after a loss that is not finite, else `measured`: a later `fit` may continue any training."""
        _, losses = self.series("train", "loss")
        return "measured" if all(map(math.isfinite, losses)) else "diverged"

    @property
    def has_ended(self) -> bool:
        return self.metadata.get("finished") is not False

    @property
    def figures(self) -> dict[str, float]:
        """The last value of every scalar that belongs to no layer, such as `validation_accuracy`."""
        return {
            f"{split}_{tag}": float(series.values[-1])
            for (split, tag), series in self.measured.items()
            if "/" not in tag and len(series.values)
        }

    @property
    def fields(self) -> Mapping[str, Any]:
        names = ("model", "optimizer", "learning_rate", "loss")
        return {"depth": len(self.layers)} | {name: self.metadata.get(name) for name in names}

    @property
    def layers(self) -> list[str]:
        return [printable(layer["name"]) for layer in self.metadata["layers"]]

    @cached_property
    def first_tags(self) -> list[str]:
        """The tags of the first measurements, in the order of the model's variables; none where they are damaged."""
        found: dict[str, None] = {}
        with contextlib.suppress(UserError):
            for tags in islice(read_lines(self.folder / METRICS, lambda line: list(line["scalars"])), LINES_OF_START):
                found |= dict.fromkeys(map(printable, tags))
        return list(found)

    @property
    def steps_per_epoch(self) -> int:
        steps = self.metadata.get("steps_per_epoch")
        return steps if type(steps) is int and steps > 0 else 0


def read_gauge(folder: Path) -> GaugeRecord:
    """Read the folder of a gauge. Raises UserError that names the file which is missing or damaged."""
    metadata = read_format(folder / GAUGE)
    layers = metadata.get("layers")
    named = isinstance(layers, list) and all(isinstance(x, dict) and isinstance(x.get("name"), str) for x in layers)
    if not named:
        raise UserError("{path} is damaged (no layers); remove the folder to measure again", path=folder / GAUGE)
    return GaugeRecord(folder, metadata)
