"""Bin arrays into histograms that stay true for tiny and for broken numbers. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 60


@dataclass(frozen=True)
class Histogram:
    """Counts [n] between ascending finite edges [n + 1]; entries that cannot stand on the axis are counted apart."""

    edges: NDArray[np.float64]
    counts: NDArray[np.float64]
    zeros: int = 0
    """Exact zeros that a logarithmic axis has no place for."""
    nonfinite: int = 0
    """NaNs and infinities."""


def histogram(values: ArrayLike, bins: int = BINS) -> Histogram | None:
    """Equal bins between the smallest and the largest finite entry; None where no entry is finite."""
    flat = np.asarray(values, np.float64).ravel()
    finite = flat[np.isfinite(flat)]
    return _bin(finite, bins, 0, flat.size - finite.size)


def log10_histogram(values: ArrayLike, bins: int = BINS) -> Histogram | None:
    """Equal bins of log10 |x| over the non-zero finite entries; None where there is none."""
    flat = np.abs(np.asarray(values, np.float64).ravel())
    finite = flat[np.isfinite(flat)]
    positive = finite[finite > 0]
    return _bin(np.log10(positive), bins, finite.size - positive.size, flat.size - finite.size)


def _bin(values: NDArray[np.float64], bins: int, zeros: int, nonfinite: int) -> Histogram | None:
    if not values.size:
        return None
    low, high = _span(values.min(), values.max())
    # Halves keep the width finite for a span of the largest float64 numbers.
    position = (values / 2 - low / 2) / (high / 2 - low / 2) * bins
    index = np.minimum(position.astype(np.int64), bins - 1)
    fractions = np.linspace(0, 1, bins + 1)
    edges = low * (1 - fractions) + high * fractions
    return Histogram(edges, np.bincount(index, minlength=bins).astype(np.float64), zeros, nonfinite)


def _span(low: float, high: float) -> tuple[float, float]:
    """A span of positive width also for equal entries, in proportion to them so that 1e-34 keeps its place."""
    if high > low:
        return low, high
    margin = abs(low) * 1e-3 or 1e-12
    return low - margin, high + margin
