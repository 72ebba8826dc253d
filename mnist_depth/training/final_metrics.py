"""The figures of a finished run, for its marker `done.json`."""

from __future__ import annotations

import math
import statistics

import numpy as np

from mnist_depth.config import layer_name
from mnist_depth.datasets import Dataset
from mnist_depth.files import encode
from mnist_depth.points import SPLITS
from mnist_depth.records import RunRecord


def confusion(labels: np.ndarray, predicted: np.ndarray | None) -> list[list[int]] | None:
    """How often each class (rows) was taken for each class (columns); None where the test split was not scored."""
    if predicted is None:
        return None
    classes = int(max(labels.max(), predicted.max())) + 1
    counts = np.bincount(labels * classes + predicted, minlength=classes**2)
    return counts.reshape(classes, classes).tolist()


def final_metrics(record: RunRecord, data: Dataset) -> dict[str, float | str]:
    """The figures of a run that tables and studies use, by name."""
    figures: dict[str, float] = {"largest_class_share": float(np.bincount(data.test.labels).max() / len(data.test))}
    for split in SPLITS:
        steps, accuracies = record.series(split, "accuracy")
        if not steps:
            continue
        _, losses = record.series(split, "loss")
        figures |= {f"{split}_loss": losses[-1], f"{split}_accuracy": accuracies[-1]}
        best = max(range(len(accuracies)), key=accuracies.__getitem__)
        figures |= {f"best_{split}_accuracy": accuracies[best], f"best_{split}_step": float(steps[best])}
    figures |= _gradient_figures(record)
    return {name: encode(value) for name, value in figures.items()}


def _gradient_figures(record: RunRecord) -> dict[str, float]:
    """Norm of the applied kernel gradient in the first and the last layer, and their ratio: medians over the run."""
    last = record.config.depth
    _, firsts = record.series("train", f"gradient_norm/{layer_name(1, last)}/kernel")
    _, lasts = record.series("train", f"gradient_norm/{layer_name(last, last)}/kernel")
    if not firsts or len(firsts) != len(lasts):
        return {}
    ratios = [first / final if final else math.nan for first, final in zip(firsts, lasts, strict=True)]
    return {
        "gradient_norm_first": statistics.median(firsts),
        "gradient_norm_last": statistics.median(lasts),
        "gradient_ratio": statistics.median(ratios),
    }
