"""The loss of the best constant prediction, against a search over all constant predictions with Keras' own losses."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mnist_depth.diagnosis.constant_loss import reference_losses

keras: Any = importlib.import_module("keras")

RANDOM = np.random.default_rng(0)
CLASSES = np.repeat([0, 1, 2], [6, 3, 1])
BITS = np.repeat([0.0, 1.0], [17, 3])
WEIGHTS = np.where(BITS == 1, 5.0, 0.5)
SHARES = [
    np.array([a, b, 1 - a - b]) for a in np.linspace(0.01, 0.98, 98) for b in np.linspace(0.01, 0.98, 98) if a + b < 1
]
NUMBERS = [np.array([value]) for value in np.linspace(0, 1, 401)[1:-1]]
losses = keras.losses


def lowest(loss: Any, y: Any, candidates: Sequence[Any], weights: Any = None) -> float:
    """The smallest loss that any of the candidates has when predicted for every example."""
    return min(float(loss(y, np.tile(one, (len(y), 1)), sample_weight=weights)) for one in candidates)


@pytest.mark.parametrize(
    ("loss", "y", "candidates", "weights"),
    [
        (losses.SparseCategoricalCrossentropy(), CLASSES, SHARES[::7], None),
        (losses.CategoricalCrossentropy(label_smoothing=0.3), np.eye(3)[CLASSES], SHARES[::7], None),
        (losses.BinaryCrossentropy(), BITS[:, None], NUMBERS, None),
        (losses.BinaryCrossentropy(label_smoothing=0.2), BITS[:, None], NUMBERS, None),
        (losses.BinaryCrossentropy(), BITS[:, None], NUMBERS, WEIGHTS),
        (losses.MeanSquaredError(), BITS[:, None] ** 2, NUMBERS, WEIGHTS),
        (losses.MeanAbsoluteError(), np.linspace(0.2, 0.9, 15)[:, None], NUMBERS, None),
    ],
)
def test_no_constant_prediction_is_better(loss: Any, y: Any, candidates: Sequence[Any], weights: Any) -> None:
    found = reference_losses(loss, y, weights)
    assert found is not None
    assert found.constant == pytest.approx(lowest(loss, y, candidates, weights), rel=2e-3)


def test_the_lowest_loss_is_that_of_predicting_the_labels() -> None:
    soft = RANDOM.uniform(size=(20, 3))
    found = reference_losses("binary_crossentropy", soft)
    assert found is not None
    assert found.lowest == pytest.approx(float(losses.BinaryCrossentropy()(soft, soft)), rel=1e-4)
    smoothed = losses.CategoricalCrossentropy(label_smoothing=0.3)
    found = reference_losses(smoothed, np.eye(3)[CLASSES])
    best = 0.7 * np.eye(3)[CLASSES] + 0.1
    assert found is not None
    assert found.lowest == pytest.approx(float(smoothed(np.eye(3)[CLASSES], best)), rel=1e-4)


def test_positions_of_an_image_share_one_constant() -> None:
    """The left half is 0 and the right half 1 in every image: only a position that is known predicts that."""
    images = np.zeros((12, 4, 4, 1))
    images[:, :, 2:] = 1
    found = reference_losses("mse", images)
    assert found is not None
    assert found.constant == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("loss", "y", "weights"),
    [
        ("hinge", BITS, None),
        (None, BITS, None),
        (lambda y_true, y_pred: y_pred, BITS, None),
        ("binary_crossentropy", BITS * 2, None),
        ("mse", np.array([1.0, np.nan]), None),
        ("mse", None, None),
        ("mse", {"out": BITS}, None),
        ("mae", BITS, WEIGHTS),
        ("mse", np.ones((20, 2)), np.ones((20, 2))),
        (losses.MeanSquaredError(reduction="sum"), BITS, None),
        (losses.SparseCategoricalCrossentropy(ignore_class=0), CLASSES, None),
    ],
)
def test_none_where_no_constant_prediction_is_defined(loss: Any, y: Any, weights: Any) -> None:
    assert reference_losses(loss, y, weights) is None
