"""Detect whether an activation is bounded, by evaluating it far from zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

FAR = (-1e4, -1e3, 1e3, 1e4)
SETTLED = 2e-3
"""Two far points that differ by less lie on an asymptote; softsign still differs by 9e-4."""


def limits(activation: Callable[..., Any] | None) -> tuple[float, float, float] | None:
    """(value at -infinity, value at +infinity, range) of a bounded elementwise function, None for any other."""
    if activation is None or getattr(activation, "variables", None):
        return None
    points = np.concatenate([FAR, np.linspace(-10, 10, 401)]).astype(np.float32)
    try:
        with tf.init_scope():
            values = np.asarray(activation(tf.constant(points)), np.float64)
    except Exception:  # a function of the user's may raise anything when it is not given what it expects
        return None
    if values.shape != points.shape or not np.isfinite(values).all():
        return None
    low, high = float(values[0]), float(values[3])
    settled = abs(values[0] - values[1]) < SETTLED and abs(values[2] - values[3]) < SETTLED
    width = float(values.max() - values.min())
    return (low, high, width) if settled and width > SETTLED else None
