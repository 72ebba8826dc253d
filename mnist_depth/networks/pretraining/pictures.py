"""Images of what a stack of RBMs has learned. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

EXAMPLES = 10
"""Images whose reconstruction is shown."""

ROWS = COLUMNS = 8
"""Filters shown."""


def filters(kernels: Sequence[np.ndarray]) -> np.ndarray:
    """The first 64 columns of the product of `kernels` [784, a], [a, b], ... as gray tiles: uint8 [height, width, 1].

    A unit above the first layer is drawn as the weighted sum of the filters below it. Gray is zero; each tile has its
    own scale.
    """
    columns = reduce(np.matmul, kernels)[:, : ROWS * COLUMNS]
    scale = np.maximum(np.abs(columns).max(axis=0), np.finfo(columns.dtype).tiny)
    tiles = np.full((ROWS * COLUMNS, 784), 0.5)
    tiles[: columns.shape[1]] = (columns / scale).T / 2 + 0.5
    return _sheet(tiles, ROWS, COLUMNS)


def pairs(originals: np.ndarray, copies: np.ndarray) -> np.ndarray:
    """`originals` [n, 784] in 0 ... 1 above their `copies`: uint8 [56, 28 * n, 1]."""
    return _sheet(np.concatenate([originals, copies]), 2, len(originals))


def _sheet(tiles: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Tiles [rows * columns, 784] in 0 ... 1 side by side; what is not a number is black."""
    grid = tiles.reshape(rows, columns, 28, 28).transpose(0, 2, 1, 3).reshape(rows * 28, columns * 28, 1)
    return np.rint(np.nan_to_num(grid, nan=0.0).clip(0, 1) * 255).astype(np.uint8)
