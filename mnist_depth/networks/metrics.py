"""Accuracies of networks whose scored hypothesis is not simply the largest logit."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="mnist_depth")
class LogitAccuracy(keras.metrics.BinaryAccuracy):
    """Share of labels [batch] that the sign of the logits [batch, 1] gets right."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().update_state(y_true, ops.sigmoid(y_pred), sample_weight)


@keras.saving.register_keras_serializable(package="mnist_depth")
class ReluScoredAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """Accuracy of relu(logits): where all logits are negative, all hypotheses are 0 and class 0 wins the tie."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().update_state(y_true, ops.relu(y_pred), sample_weight)
