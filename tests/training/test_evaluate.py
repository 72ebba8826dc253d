"""Ensembles: averaged probabilities, from arrays and from run folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mnist_depth import datasets, models
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.training import evaluate

pytestmark = pytest.mark.slow


def _run(folder: Path, config: RunConfig, status: str = "finished") -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"format": 1, "config": config.to_dict()}))
    models.build(config).save_weights(folder / "weights.weights.h5")
    (folder / "done.json").write_text(json.dumps({"status": status}))
    return folder


def test_the_average_can_be_right_where_each_member_errs() -> None:
    labels = np.array([0, 1])
    first = np.array([[0.9, 0.1], [0.6, 0.4]])
    second = np.array([[0.4, 0.6], [0.1, 0.9]])
    assert evaluate.ensemble_accuracy([first, second], labels) == evaluate.EnsembleAccuracy((0.5, 0.5), 0.5, 1.0)


def test_probabilities_are_those_of_the_scored_hypothesis() -> None:
    images = datasets.load("digits").test.images[:20]
    for name in ("linear", "relu", "relu_scored"):
        config = RunConfig(dataset="digits", depth=2, width=8, logits_activation=name)
        model = models.build(config)
        logits = np.asarray(model(images), np.float64)
        scored = logits if name == "linear" else np.maximum(logits, 0)
        expected = np.exp(scored) / np.exp(scored).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(evaluate.class_probabilities(model, config, images), expected, rtol=1e-5)
    config = RunConfig(dataset="xor", depth=2, width=3)
    gate = datasets.load("xor").test
    model = models.build(config)
    logits = np.asarray(model(gate.images), np.float64)[:, 0]
    probabilities = evaluate.class_probabilities(model, config, gate.images)
    np.testing.assert_allclose(probabilities[:, 1], 1 / (1 + np.exp(-logits)), rtol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_run_folders_are_loaded_and_scored(tmp_path: Path) -> None:
    configs = [RunConfig(dataset="digits", depth=3, width=8, batch_norm="before", seed=seed) for seed in (0, 1, 2)]
    folders = [_run(tmp_path / str(config.seed), config) for config in configs]
    result = evaluate.ensemble_of_runs(folders)
    test = datasets.load("digits").test
    for config, accuracy in zip(configs, result.members, strict=True):
        predicted = np.asarray(models.build(config)(test.images)).argmax(axis=1)
        assert accuracy == np.mean(predicted == test.labels)
    assert result.mean == pytest.approx(np.mean(result.members))


def test_bad_runs_are_one_clear_line(tmp_path: Path) -> None:
    config = RunConfig(dataset="digits", depth=2, width=4)
    unfinished = _run(tmp_path / "a", config, "diverged")
    with pytest.raises(UserError, match="is diverged; an ensemble takes finished runs"):
        evaluate.ensemble_of_runs([unfinished])
    damaged = _run(tmp_path / "b", config)
    (damaged / "weights.weights.h5").write_bytes(b"not a file of weights")
    with pytest.raises(UserError, match=r"weights\.weights\.h5 is missing or damaged"):
        evaluate.ensemble_of_runs([damaged])
    (damaged / "weights.weights.h5").unlink()
    with pytest.raises(UserError, match="kept no weights; train it again with --save_weights --overwrite"):
        evaluate.ensemble_of_runs([damaged])
    other = _run(tmp_path / "c", RunConfig(dataset="xor", depth=2, width=4))
    with pytest.raises(UserError, match="must share one dataset, not digits, xor"):
        evaluate.ensemble_of_runs([_run(tmp_path / "d", config), other])
    with pytest.raises(UserError, match="at least one finished run"):
        evaluate.ensemble_of_runs([])
