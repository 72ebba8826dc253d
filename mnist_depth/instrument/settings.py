"""The checked arguments of a gauge."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mnist_depth.instrument.findings import OnFinding, check_on_finding
from mnist_depth.instrument.gauge_folder import Existing
from mnist_depth.instrument.presets import PRESETS, Preset
from mnist_depth.instrument.probe_batch import first_batch
from mnist_depth.instrument.schedule import Schedule, never
from mnist_depth.instrument.validation import Gradients, check_batch, check_gradients, check_patterns, check_schedules
from mnist_depth.instrument.writers.protocol import Writer


@dataclass(frozen=True)
class Settings:
    """The arguments of `DepthGauge`, which documents them."""

    target: str | os.PathLike[str] | Writer
    probe: Any
    preset_name: str
    schedule_given: Schedule | None
    histograms: Schedule | None
    applied: Schedule | None
    gradients: Gradients | None
    layers: str | None
    variables: str | None
    training: bool | None
    graph: bool
    hparams: Mapping[str, bool | int | float | str] | None
    epoch_scalars: bool
    optimizer: Any
    loss: Callable[[Any, Any], Any] | None
    existing: Existing
    on_finding: OnFinding

    def __post_init__(self) -> None:
        if self.preset_name not in PRESETS:
            raise ValueError(f"unknown preset {self.preset_name!r}; valid: {', '.join(PRESETS)}")
        if "://" in (self.folder or ""):
            raise ValueError(f"a gauge takes a folder of this machine, not the address {self.folder}; mount it")
        if self.existing not in ("new", "error"):
            raise ValueError(f"unknown existing={self.existing!r}; valid: new, error")
        check_on_finding(self.on_finding)
        check_schedules(schedule=self.schedule_given, histograms=self.histograms, applied=self.applied)
        check_patterns(layers=self.layers, variables=self.variables)
        if self.probe is not None:
            object.__setattr__(self, "probe", first_batch(self.probe))
            check_batch(self.probe)
        check_gradients(self.gradients, self.probe is not None)

    @property
    def preset(self) -> Preset:
        return PRESETS[self.preset_name]

    @property
    def schedule(self) -> Schedule:
        return self.schedule_given or self.preset.schedule

    @property
    def histogram_schedule(self) -> Schedule:
        return (self.histograms or self.preset.histogram_schedule) if self.preset.histograms else never()

    @property
    def update_schedule(self) -> Schedule:
        """When updates and applied gradients are measured."""
        return self.applied or self.schedule

    @property
    def folder(self) -> str | None:
        return None if isinstance(self.target, Writer) else os.fspath(self.target)
