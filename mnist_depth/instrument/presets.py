"""Named choices of statistics and histograms."""

from __future__ import annotations

from dataclasses import dataclass

from mnist_depth.instrument.schedule import Schedule, every_epochs, every_steps
from mnist_depth.instrument.statistics import STATISTICS


@dataclass(frozen=True)
class Preset:
    """What to measure, and the default schedules."""

    statistics: tuple[str, ...]
    histograms: tuple[str, ...]
    """Subjects; `gradient_log10` is log10 |gradient|."""
    schedule: Schedule
    histogram_schedule: Schedule


LIGHT = (
    "gradient_norm",
    "activation_std",
    "activation_std_across_samples",
    "pre_activation_gradient_norm",
    "time_gain",
    "time_steps",
)

STANDARD = (
    "gradient_norm",
    "weight_norm",
    "update_ratio",
    "activation_mean",
    "activation_std",
    "activation_std_across_samples",
    "saturated_share",
    "zero_share",
    "dead_share",
    "pre_activation_gradient_norm",
    "time_gain",
    "time_steps",
)


PRESETS: dict[str, Preset] = {
    "light": Preset(LIGHT, (), every_epochs(1), every_epochs(1)),
    "standard": Preset(
        STANDARD, ("weight", "gradient", "gradient_log10", "activation"), every_steps(100), every_epochs(1)
    ),
    "full": Preset(
        tuple(STATISTICS),
        ("weight", "gradient", "gradient_log10", "update", "activation", "activation_gradient"),
        every_steps(10),
        every_epochs(1),
    ),
}
