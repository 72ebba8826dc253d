"""Kernel initializers by name; every factory takes the layer's own seed.

Normal means normal: Keras' `glorot_normal` and its kin draw from a truncated normal, ours do not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mnist_depth.registry import Entry


def _scaled(scale: float, mode: str, distribution: str) -> Callable[..., Any]:
    def build(*, seed: int) -> Any:
        import keras

        return keras.initializers.VarianceScaling(scale, mode, distribution, seed=seed)

    return build


def _normal(stddev: float, *, seed: int) -> Any:
    import keras

    return keras.initializers.RandomNormal(stddev=stddev, seed=seed)


INITIALIZERS: dict[str, Entry] = {
    "normal": Entry("N(0, std^2), std after the colon", _normal, (1.0,)),
    "glorot_normal": Entry(
        "N(0, 2/(fan_in+fan_out)) (Glorot & Bengio 2010)", _scaled(1.0, "fan_avg", "untruncated_normal")
    ),
    "glorot_uniform": Entry("uniform, variance 2/(fan_in+fan_out)", _scaled(1.0, "fan_avg", "uniform")),
    "he_normal": Entry("N(0, 2/fan_in) (He et al. 2015)", _scaled(2.0, "fan_in", "untruncated_normal")),
    "he_uniform": Entry("uniform, variance 2/fan_in (He et al. 2015)", _scaled(2.0, "fan_in", "uniform")),
}

ALIASES: dict[str, str] = {
    "glorot": "glorot_uniform",
    "xavier": "glorot_uniform",
    "xavier_normal": "glorot_normal",
    "xavier_uniform": "glorot_uniform",
    "he": "he_normal",
}
