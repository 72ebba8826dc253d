"""Histograms that stay accurate for tiny values and count non-finite ones. NumPy only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 60

COMFORTABLE = (1e-30, 1e30)
"""Bin widths for which float32 arithmetic neither underflows nor overflows."""

CHUNK = 8_192
"""Entries per pass: temporaries that fit into the fastest cache take a third of the time of full-size ones."""

Axis = Callable[[NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True)
class Histogram:
    """Counts [n] between ascending finite edges [n + 1]; entries without a place on the axis are counted separately."""

    edges: NDArray[np.float64]
    counts: NDArray[np.float64]
    zeros: int = 0
    """Exact zeros, which have no logarithm; 0 on a linear axis."""
    nonfinite: int = 0
    """NaNs and infinities."""


def histogram(values: ArrayLike, bins: int = BINS) -> Histogram | None:
    """Equal bins between the smallest and the largest finite entry; None where no entry is finite."""
    finite, broken = _finite(values)
    return _bin(finite, _same, bins, broken)


def log10_histogram(values: ArrayLike, bins: int = BINS) -> Histogram | None:
    """Equal bins of log10 |x| over the non-zero finite entries; None where there is none."""
    finite, broken = _finite(values)
    return _bin(finite, _log10, bins, broken)


def _finite(values: ArrayLike) -> tuple[NDArray[Any], int]:
    """The finite entries in float32 or float64, and how many others there were."""
    flat = np.asarray(values).ravel()
    if flat.dtype not in (np.float32, np.float64):
        flat = flat.astype(np.float32 if flat.dtype.itemsize < 4 else np.float64)
    # Common case without a mask of the whole array: the minimum and maximum are finite only if every entry is.
    if not flat.size or np.isfinite([flat.max(), flat.min()]).all():  # NaN shows in both
        return flat, 0
    finite = flat[np.isfinite(flat)]
    return finite, flat.size - finite.size


def _same(values: NDArray[Any]) -> NDArray[Any]:
    return values


def _log10(values: NDArray[Any]) -> NDArray[Any]:
    magnitude = np.abs(values)
    return np.log10(magnitude if magnitude.min() > 0 else magnitude[magnitude > 0])


def _bin(values: NDArray[Any], axis: Axis, bins: int, nonfinite: int) -> Histogram | None:
    """Bin `axis(values)`; the values that `axis` drops are counted as zeros."""
    # Two passes over pieces of CHUNK entries: the first finds the range, the second counts. `axis` is applied in each,
    # because keeping its result would take as much memory as the array.
    pieces = [values[start : start + CHUNK] for start in range(0, values.size, CHUNK)]
    extremes = [(placed.min(), placed.max()) for placed in map(axis, pieces) if placed.size]
    if not extremes:
        return None
    low, high = _span(float(min(low for low, _ in extremes)), float(max(high for _, high in extremes)))
    comfortable = COMFORTABLE[0] < (high - low) / bins < COMFORTABLE[1]
    counts = np.zeros(bins + 1)  # the extra bin catches entries that equal `high`
    for placed in map(axis, pieces):
        # Halved, because high - low overflows for a span between the largest float64 numbers.
        position = (placed if comfortable else placed.astype(np.float64)) * 0.5
        position -= low / 2
        position *= bins / (high / 2 - low / 2)
        counts += np.bincount(position.astype(np.intp), minlength=bins + 1)
    counts[bins - 1] += counts[bins]  # the largest entry belongs to the last bin
    return Histogram(equal_edges(low, high, bins), counts[:bins], values.size - int(counts[:bins].sum()), nonfinite)


def equal_edges(low: float, high: float, bins: int) -> NDArray[np.float64]:
    """Edges [bins + 1] of equal bins: exact at both ends, and no overflow."""
    fractions = np.linspace(0, 1, bins + 1)
    return low * (1 - fractions) + high * fractions


def _span(low: float, high: float) -> tuple[float, float]:
    """Widen an empty span in proportion to its value, so that entries that all equal 1e-34 are still resolved."""
    if high > low:
        return low, high
    margin = abs(low) * 1e-3 or 1e-12
    return low - margin, high + margin
