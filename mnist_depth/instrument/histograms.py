"""Bin arrays into histograms that stay true for tiny and for broken numbers. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 60

COMFORTABLE = (1e-30, 1e30)
"""Widths of a bin for which float32 arithmetic neither underflows nor overflows."""


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
    finite, broken = _finite(values)
    return _bin(finite, bins, 0, broken)


def log10_histogram(values: ArrayLike, bins: int = BINS) -> Histogram | None:
    """Equal bins of log10 |x| over the non-zero finite entries; None where there is none."""
    finite, broken = _finite(values)
    zeros = finite.size - int(np.count_nonzero(finite))
    nonzero = finite[finite != 0] if zeros else finite
    return _bin(np.log10(np.abs(nonzero)), bins, zeros, broken)


def _finite(values: ArrayLike) -> tuple[NDArray[Any], int]:
    """The finite entries in float32 or float64, and how many others there were."""
    flat = np.asarray(values).ravel()
    if flat.dtype not in (np.float32, np.float64):
        flat = flat.astype(np.float32 if flat.dtype.itemsize < 4 else np.float64)
    if not flat.size or np.isfinite([flat.max(), flat.min()]).all():  # NaN shows in both
        return flat, 0
    finite = flat[np.isfinite(flat)]
    return finite, flat.size - finite.size


def _bin(values: NDArray[Any], bins: int, zeros: int, nonfinite: int) -> Histogram | None:
    if not values.size:
        return None
    low, high = _span(float(values.min()), float(values.max()))
    if not COMFORTABLE[0] < (high - low) / bins < COMFORTABLE[1]:
        values = values.astype(np.float64)
    # Halves keep the width finite for a span of the largest float64 numbers.
    position = (values * 0.5 - low / 2) * (bins / (high / 2 - low / 2))
    index = np.minimum(position.astype(np.intp), bins - 1)
    fractions = np.linspace(0, 1, bins + 1)
    edges = low * (1 - fractions) + high * fractions
    return Histogram(edges, np.bincount(index, minlength=bins).astype(np.float64), zeros, nonfinite)


def _span(low: float, high: float) -> tuple[float, float]:
    """A span of positive width also for equal entries, in proportion to them so that 1e-34 keeps its place."""
    if high > low:
        return low, high
    margin = abs(low) * 1e-3 or 1e-12
    return low - margin, high + margin
