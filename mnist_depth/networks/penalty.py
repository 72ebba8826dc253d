"""The L2 penalty on kernels, with a strength that can change after compilation."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="mnist_depth")
class WeightPenalty(keras.regularizers.Regularizer):
    """strength / 2 * sum of squares: the gradient is strength * kernel.

    The strength is a variable and not a constant of the compiled step, so that the trials of a search share the step.
    """

    def __init__(self, strength: float) -> None:
        self.strength = keras.Variable(strength, dtype="float32", trainable=False, name="strength")

    def __call__(self, x: Any) -> Any:
        """The penalty of one kernel, a scalar."""
        strength: Any = ops.cast(self.strength, x.dtype)
        return strength / 2 * ops.sum(ops.square(x))

    def get_config(self) -> dict[str, Any]:
        return {"strength": float(self.strength.numpy())}


def penalties(model: keras.Model) -> list[WeightPenalty]:
    """Those of all kernels of a model, in the order of its layers."""
    parts: Any = model._flatten_layers()
    found = [getattr(layer, name, None) for layer in parts for name in ("kernel_regularizer", "recurrent_regularizer")]
    return [penalty for penalty in found if isinstance(penalty, WeightPenalty)]
