"""Rectified Adam, which Keras lacks."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="mnist_depth")
class RAdam(keras.optimizers.Optimizer):
    """Adam whose step size is scaled down while the variance of its second moment is not yet known.

    Liu et al. 2019, "On the variance of the adaptive learning rate and beyond", algorithm 2. While rho_t <= 4 (the
    first four updates at beta_2 = 0.999) the step is the bias-corrected momentum alone, not adapted. `epsilon` is added
    to the root of the raw second moment, as in the authors' code.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        name: str = "radam",
        **options: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, name=name, **options)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, variables: list[Any]) -> None:
        """Make the two moments of every variable."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Apply one update to `variable`."""
        dtype = variable.dtype
        g: Any = ops.cast(gradient, dtype)
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        self.assign(m, self.beta_1 * m + (1 - self.beta_1) * g)
        self.assign(v, self.beta_2 * v + (1 - self.beta_2) * g * g)
        plain, adapted = (ops.cast(scale, dtype) for scale in self._scales())
        rate: Any = ops.cast(learning_rate, dtype)
        self.assign_sub(variable, rate * m * (plain + adapted / (ops.sqrt(v) + self.epsilon)))

    def _scales(self) -> tuple[Any, Any]:
        """What the raw momentum is multiplied by: a plain share and one over the root of the second moment.

        One of the two is zero. In float64, because rho_t is a small difference of numbers near 2000.
        """
        done: Any = ops.cast(self.iterations, "float64")
        step = done + 1
        power_1, power_2 = self.beta_1**step, self.beta_2**step
        limit = 2 / (1 - self.beta_2) - 1
        rho = limit - 2 * step * power_2 / (1 - power_2)
        rectified = rho > 4
        safe: Any = ops.where(rectified, rho, ops.full_like(rho, 5.0))
        r = ops.sqrt((safe - 4) * (safe - 2) * limit / ((limit - 4) * (limit - 2) * safe))
        unbias = 1 / (1 - power_1)
        zero = ops.zeros_like(rho)
        return ops.where(rectified, zero, unbias), ops.where(rectified, unbias * r * ops.sqrt(1 - power_2), zero)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
