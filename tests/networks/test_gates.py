"""The toy datasets: what a perceptron, a shallow and a deep network can learn of the logic gates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mnist_depth import datasets, models
from mnist_depth.config import RunConfig
from mnist_depth.plan import Plan
from mnist_depth.training import loop

pytestmark = pytest.mark.slow


def _learn(**fields: Any) -> tuple[float, float]:
    """Loss and accuracy after training on all four inputs at once."""
    config = RunConfig.from_dict({"batch_size": 4, **fields})
    data = datasets.load(config.dataset)
    plan = Plan(len(data.train), config.batch_size, config.epochs)
    loss, metrics = models.loss(config), models.metrics(config)
    optimizer = models.build_optimizer(config)
    model = loop.prepare(models.build(config), data.train, plan, optimizer=optimizer, loss=loss, metrics=metrics)
    loop.fit(model, plan, config.seed)
    logits = np.asarray(model(data.test.images), np.float64)[:, 0]
    signs = np.where(data.test.labels == 1, 1, -1)
    return float(np.mean(np.logaddexp(0, -signs * logits))), float(np.mean((logits > 0) == (signs > 0)))


@pytest.mark.parametrize(("gate", "solved"), [("and", True), ("or", True), ("xor", False)])
def test_one_layer_solves_what_a_line_can_separate(gate: str, solved: bool) -> None:
    loss, accuracy = _learn(dataset=gate, depth=1, epochs=2000, learning_rate=1.0)
    assert (accuracy == 1) == solved
    assert loss < 0.05 if solved else loss == pytest.approx(np.log(2), abs=1e-3)


def test_two_layers_solve_xor() -> None:
    loss, accuracy = _learn(
        dataset="xor", depth=2, width=2, activation="sigmoid", initializer="uniform_1", epochs=5000, learning_rate=1.0
    )
    assert accuracy == 1
    assert loss < 0.1


def test_ten_sigmoid_layers_stay_at_chance() -> None:
    network = {"dataset": "xor", "depth": 10, "width": 5, "initializer": "uniform_1", "epochs": 10_000}
    loss, _ = _learn(**network, activation="sigmoid")
    assert loss == pytest.approx(np.log(2), abs=1e-3)


def test_ten_relu_layers_solve_xor_from_some_starts_and_not_from_others() -> None:
    network = {"dataset": "xor", "depth": 10, "width": 5, "initializer": "uniform_1", "epochs": 10_000}
    solved = [_learn(**network, activation="relu", seed=seed)[1] == 1 for seed in range(6)]
    assert 0 < sum(solved) < 6
