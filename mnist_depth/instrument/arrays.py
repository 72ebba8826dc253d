"""Stacked arrays of one shape, what several statistics need of them, and their norms.

Norms divide by the largest entry before they square, so that a float32 gradient of 1e-34 is not reported as 0, and
one of 1e30 not as infinity.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import tensorflow as tf

PADDED, JOINED = 2.0, 2**21
"""Arrays of different sizes are padded and measured together if that takes at most PADDED times their entries, and at
most JOINED: larger ones would take memory, and are slow for other reasons than the number of operations."""


class Arrays:
    """Arrays of one shape and type, stacked to [arrays, ...], and what several statistics need of them.

    float64 stays float64, every other type becomes float32.
    """

    def __init__(self, arrays: Sequence[tf.Tensor]) -> None:
        self.stacked = tf.stack([tf.cast(array, precision(array.dtype)) for array in arrays])

    @cached_property
    def norm(self) -> tf.Tensor:
        """sqrt(sum x^2), [arrays]; `join_norms` sets it for several stacks at once."""
        return _norms(self.flat)

    @property
    def dtype(self) -> Any:
        return self.stacked.dtype

    @cached_property
    def flat(self) -> tf.Tensor:
        """[arrays, entries]."""
        return tf.reshape(self.stacked, [self.stacked.shape[0], -1])

    @property
    def size(self) -> tuple[Any, Any]:
        """Number of arrays, and entries of each; None where unknown while tracing."""
        count, entries = self.flat.shape
        return count, entries

    @cached_property
    def magnitude(self) -> tf.Tensor:
        return tf.abs(self.flat)

    @cached_property
    def largest(self) -> tf.Tensor:
        """[arrays]."""
        return tf.reduce_max(self.magnitude, axis=1)

    @cached_property
    def unit(self) -> tf.Tensor:
        """What to divide by: the largest magnitude, 1 where all entries are zero; [arrays]."""
        return tf.where(self.largest > 0, self.largest, tf.ones_like(self.largest))

    @cached_property
    def scaled(self) -> tf.Tensor:
        """[arrays, entries], between -1 and 1."""
        return self.flat / self.unit[:, None]

    @cached_property
    def zero(self) -> tf.Tensor:
        """bool [arrays, ...]."""
        return tf.equal(self.stacked, tf.zeros([], self.dtype))


def precision(dtype: Any) -> Any:
    return tf.float64 if dtype == tf.float64 else tf.float32


def join_norms(stacks: Iterable[Arrays]) -> None:
    """Set the norms of many stacks, those of similar size in one operation, padded with zeros.

    XLA compiles several kernels per operation, and a network has a gradient, a weight and an update of every shape.
    """
    for alike in _similar_in_size(stacks):
        sizes = [arrays.size for arrays in alike]
        # Each [its arrays, its entries] -> [its arrays, most entries]; together [arrays of all stacks, most entries].
        rows = [
            tf.pad(arrays.flat, [[0, 0], [0, sizes[0][1] - entries]])
            for arrays, (_, entries) in zip(alike, sizes, strict=True)
        ]
        norms = tf.split(_norms(tf.concat(rows, axis=0)), [count for count, _ in sizes])
        for arrays, found in zip(alike, norms, strict=True):
            arrays.norm = found


def _similar_in_size(stacks: Iterable[Arrays]) -> list[list[Arrays]]:
    """Stacks of one type to measure together, those with the largest arrays first."""
    groups: list[list[Arrays]] = []
    known = [arrays for arrays in stacks if None not in arrays.size]
    for arrays in sorted(known, key=lambda arrays: (arrays.dtype.name, -arrays.size[1])):
        together = [*(groups[-1] if groups else ()), arrays]
        padded = sum(member.size[0] for member in together) * together[0].size[1]
        entries = sum(math.prod(member.size) for member in together)
        if together[0].dtype == arrays.dtype and padded <= min(PADDED * entries, JOINED):
            groups[-1:] = [together]
        else:
            groups.append([arrays])
    return groups


def _norms(rows: tf.Tensor) -> tf.Tensor:
    """sqrt(sum x^2) of each row of [rows, entries]."""
    largest = tf.reduce_max(tf.abs(rows), axis=1)
    unit = tf.where(largest > 0, largest, tf.ones_like(largest))
    return unit * tf.sqrt(tf.reduce_sum(tf.square(rows / unit[:, None]), axis=1))
