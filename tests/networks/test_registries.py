"""Every entry of every registry builds, trains a few steps on real digits, and leaves honest numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mnist_depth import datasets, models
from mnist_depth.config import REGISTRIES, RunConfig
from mnist_depth.networks.options import BATCH_NORMS, LOGITS_ACTIVATIONS
from mnist_depth.registry import lookup

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {"dataset": "digits", "depth": 4, "width": 12, "pretraining_epochs": 1}
NEEDS: dict[tuple[str, str], dict[str, Any]] = {("pretraining", "dbn"): {"activation": "sigmoid"}}
"""What a choice cannot be without."""

ARGUMENTS = {
    "activation": ("maxout:4",),
    "initializer": ("normal:0.1", "orthogonal:2", "mean_field:2"),
    "wiring": (
        "residual:1",
        "residual:3",
        "split_merge:3,concat",
        "split_merge:2,add",
        "recurrent:lstm",
        "recurrent:gru",
    ),
    "pretraining": ("lsuv:samples", "dbn:2"),
}

NAMES: dict[str, Any] = {**REGISTRIES, "batch_norm": BATCH_NORMS, "logits_activation": LOGITS_ACTIVATIONS}
CHOICES = [
    (field, name)
    for field, names in NAMES.items()
    if field != "dataset"
    for name in (*names, *ARGUMENTS.get(field, ()))
]


def _train(config: RunConfig, steps: int = 3) -> tuple[list[float], list[np.ndarray]]:
    """Losses of a few steps, and the weights after them."""
    images = datasets.load(config.dataset).train
    model = models.build(config)
    entry, arguments = lookup(REGISTRIES["pretraining"], config.pretraining, "pretraining")
    entry.build(model, config, images.images[:200], *arguments)
    compiled: dict[str, Any] = {"optimizer": models.build_optimizer(config), "loss": models.loss(config)}
    model.compile(**compiled, metrics=models.metrics(config), run_eagerly=True)
    losses: list[float] = []
    for _ in range(steps):
        result: Any = model.train_on_batch(images.images[:50], images.labels[:50], return_dict=True)
        assert 0 <= result["accuracy"] <= 1
        losses.append(result["loss"])
    return losses, [np.asarray(variable) for variable in model.trainable_variables]


@pytest.mark.parametrize(("field", "name"), CHOICES, ids=lambda value: value)
def test_every_choice_trains(field: str, name: str) -> None:
    base = name.split(":")[0]
    config = RunConfig.from_dict({**SMALL, **NEEDS.get((field, base), {}), field: name})
    losses, weights = _train(config)
    assert np.isfinite(losses).all()
    assert all(np.isfinite(array).all() for array in weights)
    started = [np.asarray(variable) for variable in models.build(config).trainable_variables]
    assert any(not np.array_equal(old, new) for old, new in zip(started, weights, strict=True))


@pytest.mark.parametrize("dataset", ["digits", "gaussian", "xor", "and", "or"])
def test_every_kind_of_data_trains(dataset: str) -> None:
    losses, _ = _train(RunConfig(dataset=dataset, depth=3, width=5))
    assert losses[-1] < losses[0]


def test_an_overflowing_network_leaves_honest_numbers() -> None:
    """N(0, 1) with ReLU at depth 9 overflows on its first steps: that is a result and no crash."""
    losses, weights = _train(RunConfig(dataset="digits", width=128, initializer="normal_1"))
    assert losses[0] > 1e6
    assert not np.isfinite(losses).all()
    assert not all(np.isfinite(array).all() for array in weights)


def test_choices_work_together() -> None:
    config = RunConfig.from_dict(
        {
            **SMALL,
            "activation": "maxout:3",
            "initializer": "orthogonal",
            "wiring": "residual:2",
            "batch_norm": "after",
            "dropout": 0.2,
            "weight_decay": 1e-3,
            "clip_norm": 1.0,
            "optimizer": "radam",
            "pretraining": "lsuv",
            "bias_std": 0.1,
        }
    )
    losses, _ = _train(config)
    assert np.isfinite(losses).all()
