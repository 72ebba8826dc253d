"""Diagnose a live Keras model: measure it, then judge (`mnist_depth.diagnosis`)."""

from __future__ import annotations

from typing import Any

from mnist_depth.diagnosis import Diagnosis, judge
from mnist_depth.model_diagnosis.measuring import from_model


def diagnose(model: Any, x: Any, y: Any, *, loss: Any = None) -> Diagnosis:
    """Diagnose any built Keras model: x as for `model.fit`, y the labels. The model is left unchanged.

    Give the training set, or some hundred examples: at most 512 are used, drawn at random.
    `loss(y_true, y_pred)` replaces the model's own loss.

    Raises UserError when the model has no weight layer or the batch does not fit it.
    """
    return judge(from_model(model, x, y, loss=loss))
