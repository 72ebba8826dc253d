"""Training in blocks: the same minibatches, the same weights, every example."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from mnist_depth import datasets, models
from mnist_depth import plan as plan_module
from mnist_depth.config import RunConfig
from mnist_depth.datasets import Split
from mnist_depth.plan import Plan
from mnist_depth.training import loop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def digits() -> datasets.Dataset:
    return datasets.load("digits")


def _compiled(config: RunConfig) -> dict[str, Any]:
    return {
        "optimizer": models.build_optimizer(config),
        "loss": models.loss(config),
        "metrics": models.metrics(config),
    }


def _blocks(plan: Plan, seed: int, first_interval: int, intervals: int) -> np.ndarray:
    source = loop.index_blocks(plan, seed, first_interval)
    rows = np.concatenate([next(source)[0] for _ in range(intervals * plan.blocks_per_interval)])
    return rows[rows[:, 0] >= 0]


def test_every_epoch_visits_each_example_at_most_once_in_a_new_order() -> None:
    plan = Plan(examples=1_037, batch_size=10, epochs=3)
    rows = _blocks(plan, seed=0, first_interval=0, intervals=3)
    assert rows.shape == (3 * 103, 10)
    epochs = rows.reshape(3, -1)
    for epoch in epochs:
        assert len(np.unique(epoch)) == 1_030
    assert not np.array_equal(epochs[0], epochs[1])


def test_a_resumed_run_sees_the_minibatches_it_would_have_seen() -> None:
    plan = Plan(examples=230, batch_size=10, epochs=4)
    whole = _blocks(plan, seed=5, first_interval=0, intervals=4)
    np.testing.assert_array_equal(_blocks(plan, seed=5, first_interval=2, intervals=2), whole[2 * 23 :])


@pytest.mark.parametrize(("examples", "batch", "epochs"), [(55_000, 100, 15), (4, 100, 10_000), (1_000, 1_000, 501)])
def test_the_plan_adds_up(examples: int, batch: int, epochs: int) -> None:
    plan = Plan(examples, batch, epochs)
    assert plan.intervals <= plan_module.MAX_INTERVALS
    assert plan.epochs_after(plan.intervals) == epochs
    assert plan.steps_after(plan.intervals) == epochs * (examples // min(batch, examples))
    assert plan.steps_per_block <= plan_module.MAX_BLOCK_STEPS
    rows = _blocks(Plan(examples, batch, min(epochs, 501)), 0, plan.intervals - 1, 1) if epochs < 1_000 else None
    if rows is not None:
        last_interval = epochs - (plan.intervals - 1) * plan.epochs_per_interval
        assert len(rows) == last_interval * plan.steps_per_epoch


@pytest.mark.parametrize(
    ("examples", "epochs", "most"), [(700, 3, 50), (5_500, 15, 50), (5_500, 15, 500), (30, 450, 7)]
)
def test_the_starts_of_blocks(examples: int, epochs: int, most: int) -> None:
    """Counted out: the first update of every block that the data really come in, thinned evenly."""
    plan = Plan(examples, 10, epochs)
    blocks, starts, step = loop.index_blocks(plan, seed=0), [], 1
    for _ in range(plan.intervals * plan.blocks_per_interval):
        (rows,) = next(blocks)
        taken = int((rows[:, 0] >= 0).sum())
        starts += [step] if taken else []
        step += taken
    assert step == plan.steps + 1
    assert len(starts) >= min(plan_module.MIN_BLOCKS, plan.steps) / 2
    chosen = plan.block_starts(most)
    assert chosen == starts[:: starts.index(chosen[1])]
    assert most / 2 <= len(chosen) <= most or len(starts) <= most


@pytest.mark.parametrize("options", [{}, {"batch_norm": "before", "dropout": 0.3, "optimizer": "adam"}])
def test_weights_are_bit_identical_to_plain_compiled_fit(digits: datasets.Dataset, options: dict[str, Any]) -> None:
    config = RunConfig(dataset="digits", depth=3, width=16, epochs=2, batch_size=50, **options)
    plan = Plan(len(digits.train), config.batch_size, config.epochs)
    block_model = loop.prepare(models.build(config), digits.train, plan, **_compiled(config))
    loop.fit(block_model, plan, config.seed)

    plain = models.build(config)
    plain.compile(jit_compile=True, **_compiled(config))  # pyright: ignore[reportArgumentType]
    order = _blocks(plan, config.seed, 0, plan.intervals).reshape(-1)
    plain.fit(digits.train.images[order], digits.train.labels[order], batch_size=50, shuffle=False, verbose=0)  # pyright: ignore[reportArgumentType]

    for actual, expected in zip(block_model.variables, plain.variables, strict=False):
        if "metric" not in actual.path:
            np.testing.assert_array_equal(np.asarray(actual), np.asarray(expected), err_msg=actual.path)


def test_the_losses_of_a_block_are_the_minibatches_losses(
    digits: datasets.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_module, "MIN_BLOCKS", 1)
    config = RunConfig(dataset="digits", depth=2, width=8, epochs=1, learning_rate=1e-30)
    plan = Plan(len(digits.train), 100, 1)
    model = loop.prepare(models.build(config), digits.train, plan, **_compiled(config))
    loop.fit(model, plan, config.seed)
    rows = _blocks(plan, config.seed, 0, 1)
    for row, loss in zip(rows, model.block_losses, strict=True):
        logits = np.asarray(model(digits.train.images[row]), np.float64)
        right = logits[np.arange(len(row)), digits.train.labels[row]]
        naive = np.mean(np.log(np.exp(logits).sum(axis=1)) - right)
        assert loss == pytest.approx(naive, rel=1e-5)


def test_scores_count_every_example_and_match_keras(digits: datasets.Dataset) -> None:
    config = RunConfig(dataset="digits", depth=2, width=8)
    model = models.build(config)
    splits = {"validation": digits.validation, "test": digits.test}
    scorer = loop.Scorer(model, splits, models.loss(config), models.metrics(config)[0])
    scores = scorer()
    model.compile(**_compiled(config))
    for name, split in splits.items():
        expected: Any = model.evaluate(split.images, split.labels, verbose=0, return_dict=True)  # pyright: ignore[reportArgumentType]
        assert scores[name]["loss"] == pytest.approx(expected["loss"], rel=1e-5)
        predicted = np.argmax(np.asarray(model(split.images)), axis=1)
        np.testing.assert_array_equal(scorer.predictions[name], predicted)
        assert scores[name]["accuracy"] == pytest.approx(np.mean(predicted == split.labels), abs=1e-6)


def test_fit_is_given_blocks_without_an_autotuning_thread_to_wait_for(
    digits: datasets.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(loop.BlockModel, "fit", lambda model, data, **_: given.append(data))
    plan = Plan(len(digits.train), 100, 2)
    pixels = keras.Input((1,))
    loop.fit(loop.BlockModel(pixels, keras.layers.Dense(1)(pixels)), plan, 0)
    assert given[0].options().autotune.enabled is False


def test_callbacks_fire_once_per_block_and_interval(digits: datasets.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "MIN_BLOCKS", 1)
    tape: list[str] = []

    class Tape(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            tape.append(f"interval {epoch}")

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            tape.append(f"block {batch}")

    split = Split(digits.train.images[:1_200], digits.train.labels[:1_200])
    config = RunConfig(dataset="digits", depth=1, epochs=2, batch_size=10)
    plan = Plan(len(split), 10, 2)
    model = loop.prepare(models.build(config), split, plan, **_compiled(config))
    loop.fit(model, plan, 0, callbacks=[Tape()])
    assert tape == ["interval 0", "block 0", "block 1", "interval 1", "block 0", "block 1"]
    assert int(model.optimizer.iterations.numpy()) == 240  # pyright: ignore[reportAttributeAccessIssue]
