"""What trial steps did to the kernels of a model's layers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from mnist_depth.diagnosis import Measurements
from mnist_depth.instrument.weight_layers import kernels_of


def with_movement(model: Any, measured: Measurements, steps: Any) -> Measurements:
    """The layers with what the trial steps did to their kernels."""
    from mnist_depth.instrument import names
    from mnist_depth.model_diagnosis.trial_steps import identical_share, movement

    variables = names.trainable_variables(model)
    layers = []
    for layer in measured.layers:
        kernels = kernels_of(layer.name, variables)
        if kernels:
            before = [np.asarray(variable) for variable in kernels.values()]
            after = [steps.weights[path] for path in kernels]
            ratios = [steps.update_ratios[path] for path in kernels if math.isfinite(steps.update_ratios[path])]
            layer = replace(layer, moved=movement(before, after), update_ratio=max(ratios, default=None))
            if layer.kind.startswith(("Dense", "Conv")) and len(kernels) == 1 and layer.units:
                layer = replace(layer, identical_share=identical_share(after[0]))
        layers.append(layer)
    return replace(measured, layers=tuple(layers))
