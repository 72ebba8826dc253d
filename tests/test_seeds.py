"""Streams of random numbers that do not depend on each other."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_depth.seeds import derive


def test_a_stream_is_the_same_every_time_and_fits_every_library() -> None:
    assert derive(3, "kernel", 2) == derive(3, "kernel", 2)
    assert all(0 <= derive(seed, "shuffle") < 2**31 for seed in range(1_000))


def test_seed_name_and_index_tell_streams_apart() -> None:
    streams = ("kernel", "bias", "shuffle")
    found = {derive(seed, stream, index) for seed in range(30) for stream in streams for index in range(30)}
    assert len(found) == 30 * 3 * 30


@pytest.mark.slow
def test_neighboring_seeds_are_not_correlated() -> None:
    bits = np.array([[derive(seed, "kernel") >> bit & 1 for bit in range(31)] for seed in range(4_000)], float)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.04  # 5 standard deviations of a fair coin
    following = np.abs(np.corrcoef(bits[:-1].T, bits[1:].T)[:31, 31:])
    assert following.max() < 0.08
