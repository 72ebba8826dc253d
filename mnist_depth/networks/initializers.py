"""Kernel initializers by name; every factory takes the layer's own seed.

Normal means normal: Keras' `glorot_normal` and the like draw from a truncated normal; these do not. Fans are counted on
the kernel as it is, so that a maxout layer of `width` units with k pieces has fan_out k * width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mnist_depth.registry import Entry


def _scaled(scale: float, mode: str, distribution: str = "untruncated_normal") -> Callable[..., Any]:
    def build(*, seed: int) -> Any:
        import keras

        return keras.initializers.VarianceScaling(scale, mode, distribution, seed=seed)

    return build


def _zeros(*, seed: int) -> Any:
    import keras

    return keras.initializers.Zeros()


def _normal(stddev: float, *, seed: int) -> Any:
    import keras

    return keras.initializers.RandomNormal(stddev=stddev, seed=seed)


def _fixed_normal(stddev: float) -> Callable[..., Any]:
    return lambda *, seed: _normal(stddev, seed=seed)


def _uniform_1(*, seed: int) -> Any:
    import keras

    return keras.initializers.RandomUniform(-1.0, 1.0, seed=seed)


def _orthogonal(gain: float, *, seed: int) -> Any:
    import keras

    return keras.initializers.Orthogonal(gain, seed=seed)


def _mean_field(sigma_w: float, *, seed: int) -> Any:
    return _scaled(sigma_w**2, "fan_in")(seed=seed)


INITIALIZERS: dict[str, Entry] = {
    "zeros": Entry("all zeros: every unit of a layer stays the same", _zeros),
    "normal_1": Entry("N(0, 1), the lecture's first choice", _fixed_normal(1.0)),
    "normal_0_01": Entry("N(0, 0.01^2)", _fixed_normal(0.01)),
    "normal": Entry("N(0, std^2), std after the colon", _normal, (1.0,)),
    "uniform_1": Entry("U(-1, 1), the XOR lecture's choice", _uniform_1),
    "lecun_normal": Entry("N(0, 1/fan_in) (LeCun et al. 1998)", _scaled(1.0, "fan_in")),
    "lecun_uniform": Entry("uniform, variance 1/fan_in (LeCun et al. 1998)", _scaled(1.0, "fan_in", "uniform")),
    "glorot_normal": Entry("N(0, 2/(fan_in+fan_out)) (Glorot & Bengio 2010)", _scaled(1.0, "fan_avg")),
    "glorot_uniform": Entry(
        "uniform, variance 2/(fan_in+fan_out) (Glorot & Bengio 2010)", _scaled(1.0, "fan_avg", "uniform")
    ),
    "he_normal": Entry("N(0, 2/fan_in) (He et al. 2015)", _scaled(2.0, "fan_in")),
    "he_uniform": Entry("uniform, variance 2/fan_in (He et al. 2015)", _scaled(2.0, "fan_in", "uniform")),
    "xavier_fan_in": Entry("N(0, 1) * sqrt(1/fan_in), the lecture's Xavier", _scaled(1.0, "fan_in")),
    "he_fan_in": Entry("N(0, 1) * sqrt(2/fan_in), the lecture's He", _scaled(2.0, "fan_in")),
    "orthogonal": Entry("orthogonal matrix times the gain after the colon (Saxe et al. 2013)", _orthogonal, (1.0,)),
    "mean_field": Entry(
        "N(0, sigma_w^2/fan_in), sigma_w after the colon; bias_std is sigma_b (Poole et al. 2016)", _mean_field, (1.0,)
    ),
    "glorot_4": Entry(
        "glorot_normal with gain 4, variance 16 * 2/(fan_in+fan_out), for sigmoid (Glorot & Bengio 2010)",
        _scaled(16.0, "fan_avg"),
    ),
}

ALIASES: dict[str, str] = {
    "glorot": "glorot_uniform",
    "xavier": "glorot_uniform",
    "xavier_normal": "glorot_normal",
    "xavier_uniform": "glorot_uniform",
    "xavier_4": "glorot_4",
    "he": "he_normal",
    "msra": "he_normal",
}
