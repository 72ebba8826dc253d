"""Finished runs without their files: what a study would find had its runs ended like this."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mnist_depth.config import RunConfig, layer_name
from mnist_depth.points import Point, Points
from mnist_depth.records import RunRecord

Metrics = Mapping[str, float]
Layers = Mapping[str, Sequence[float | tuple[float, ...]]]
"""Quantity, with `/bias` behind it for a variable's -> for each hidden layer one value, or several over time."""

CONSTANT_ACCURACY = 0.1135


def finished(config: RunConfig, layers: Layers | None = None, /, **metrics: float) -> RunRecord:
    """A run that ended with these metrics and measured these quantities."""
    folder = Path("logs") / "study" / config.slug / f"seed_{config.seed}"
    record = RunRecord(folder, config, {}, {"status": "finished", "metrics": metrics})
    # A cached property: its value is put where reading the files would have put it.
    vars(record)["measured"] = Points.of(
        Point("train", _tag(quantity, layer, config.depth), step, 0.0, value)
        for quantity, values in (layers or {}).items()
        for layer, of_layer in enumerate(values, 1)
        for step, value in enumerate(of_layer if isinstance(of_layer, tuple) else (of_layer,))
    )
    return record


def _tag(quantity: str, layer: int, depth: int) -> str:
    base, _, variable = quantity.partition("/")
    return f"{base}/{layer_name(layer, depth)}" + (f"/{variable}" if variable else "")


def stuck(**changes: float) -> dict[str, float]:
    """The metrics of a constant predictor on ten classes."""
    return {
        "train_loss": 2.303,
        "test_loss": math.log(10),
        "train_accuracy": 0.1124,
        "test_accuracy": 0.098,
        "validation_accuracy": 0.1,
        "best_test_accuracy": CONSTANT_ACCURACY,
        "gradient_ratio": 1e-5,
        "largest_class_share": CONSTANT_ACCURACY,
        **changes,
    }


def learned(accuracy: float = 0.975, **changes: float) -> dict[str, float]:
    """The metrics of a network that learned."""
    return {
        "train_loss": 0.05,
        "test_loss": 0.1,
        "train_accuracy": 0.99,
        "test_accuracy": accuracy,
        "validation_accuracy": accuracy,
        "best_test_accuracy": accuracy,
        "gradient_ratio": 0.8,
        "largest_class_share": CONSTANT_ACCURACY,
        **changes,
    }


Maker = Callable[[RunConfig], dict[str, float]]
Measure = Callable[[RunConfig], Layers]
Choice = Mapping[str, Any]


def matches(config: RunConfig, choice: Choice) -> bool:
    return all(getattr(config, name) == value for name, value in choice.items())
