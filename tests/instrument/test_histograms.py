"""Histograms: the same counts as NumPy's own, and the truth about tiny, equal and broken numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mnist_depth.instrument import histogram, log10_histogram

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_counts_are_numpys(dtype: Any) -> None:
    values = RANDOM.normal(size=(50, 40)).astype(dtype)
    bars = histogram(values)
    assert bars is not None
    expected, edges = np.histogram(values.astype(np.float64), bins=len(bars.counts))
    np.testing.assert_allclose(bars.edges, edges, rtol=1e-12, atol=1e-12)
    assert np.abs(bars.counts - expected).sum() <= 4  # an entry within a rounding error of an edge may change sides


@pytest.mark.parametrize("scale", [1e-37, 1e-34, 1e-6, 1.0, 1e30, 3e37])
def test_every_scale_of_float32(scale: float) -> None:
    values = (RANDOM.normal(size=1000) * scale).astype(np.float32)
    bars = histogram(values)
    assert bars is not None
    assert bars.counts.sum() == 1000
    assert bars.edges[0] == values.min()
    assert bars.edges[-1] == values.max()
    assert (np.diff(bars.edges) > 0).all()
    assert np.count_nonzero(bars.counts) > 20


def test_a_vanishing_gradient_shows_on_a_logarithmic_axis() -> None:
    values = np.concatenate([np.full(90, 1e-34), np.full(10, -1e-2), np.zeros(7)]).astype(np.float32)
    bars = log10_histogram(values)
    assert bars is not None
    assert bars.edges[0] == pytest.approx(-34)
    assert bars.edges[-1] == pytest.approx(-2)
    assert (bars.counts[0], bars.counts[-1], bars.zeros) == (90, 10, 7)


@pytest.mark.parametrize("value", [0.0, 1.0, -1e-34, 1e-40, 1e30])
def test_equal_entries(value: float) -> None:
    bars = histogram(np.full(9, value, np.float32))
    assert bars is not None
    assert bars.counts.sum() == 9
    assert bars.edges[0] < np.float32(value) < bars.edges[-1]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("function", [histogram, log10_histogram])
def test_broken_entries_are_counted_apart(function: Any) -> None:
    bars = function(np.array([1.0, 2.0, np.nan, np.inf, -np.inf], np.float32))
    assert bars.nonfinite == 3
    assert bars.counts.sum() == 2
    assert np.isfinite(bars.edges).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", [[], [np.nan, np.inf]])
def test_nothing_finite(values: list[float]) -> None:
    assert histogram(np.array(values)) is None
    assert log10_histogram(np.array(values)) is None


def test_only_zeros_have_no_logarithm() -> None:
    assert log10_histogram(np.zeros(3)) is None


@pytest.mark.filterwarnings("error")
def test_the_largest_numbers_do_not_overflow() -> None:
    for largest in (np.float32(3e38), np.float64(1.7e308)):
        bars = histogram(np.array([-largest, largest]))
        assert bars is not None
        assert (bars.counts[0], bars.counts[-1]) == (1, 1)
