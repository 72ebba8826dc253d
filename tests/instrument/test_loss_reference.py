"""The verdict of a gauge on a loss that is no better than that of a constant prediction."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_depth.instrument import PRESETS, DepthGauge, MemoryWriter
from mnist_depth.instrument.findings import Judge
from mnist_depth.instrument.loss_reference import LossReference
from mnist_depth.instrument.recording import Recording

keras: Any = importlib.import_module("keras")

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(64, 4)).astype(np.float32)
COIN = RANDOM.integers(0, 2, size=64).astype(np.float32)
"""Labels that the inputs do not determine."""


def model_of(loss: Any = "binary_crossentropy", rate: float = 0.05, **options: Any) -> Any:
    keras.utils.set_random_seed(0)
    start = keras.initializers.RandomUniform(0, 1)
    hidden = keras.layers.Dense(5, "tanh", kernel_initializer=start, **options)
    model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(1, "sigmoid", kernel_initializer=start)])
    model.compile(keras.optimizers.SGD(rate), loss, jit_compile=False)
    return model


def reference(model: Any, y: Any = COIN, weights: Any = None) -> Any:
    return LossReference(model, (X, y, weights)).now()


def fit(gauge: DepthGauge, y: Any = COIN, **options: Any) -> Any:
    model = model_of(**options)
    model.fit(X, y, batch_size=4, epochs=8, verbose=0, callbacks=[gauge])
    return gauge.diagnosis


def test_a_loss_that_falls_to_chance_is_not_healthy(tmp_path: Path) -> None:
    """Its bad start lets the loss fall, but only to that of a constant prediction."""
    gauge = DepthGauge(tmp_path, (X, COIN), graph=False)
    diagnosis = fit(gauge)
    assert diagnosis.verdict == "loss not falling"
    assert "a constant prediction" in diagnosis.sentence
    share = COIN.mean()
    entropy = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    assert json.loads((tmp_path / "gauge.json").read_text())["constant_loss"] == pytest.approx(entropy)


def test_labels_that_are_learned_raise_no_alarm() -> None:
    gauge = DepthGauge(MemoryWriter(), (X, X[:, 0] > 0), graph=False)
    assert fit(gauge, X[:, 0] > 0, rate=0.5).verdict == "healthy"


def test_penalties_on_weights_belong_to_both_references() -> None:
    plain, penalized = model_of(), model_of(kernel_regularizer=keras.regularizers.L2(0.5))
    kernel = np.asarray(penalized.trainable_variables[0])
    penalty = 0.5 * (kernel**2).sum()
    assert reference(penalized).constant == pytest.approx(reference(plain).constant + penalty, rel=1e-5)
    assert reference(penalized).lowest == pytest.approx(penalty, rel=1e-5)


def test_weights_of_the_probe_count() -> None:
    """Keras' own loss of the best constant prediction, the weighted share of ones."""
    weights = np.where(COIN == 1, 3.0, 0.5)
    best = np.full((64, 1), weights @ COIN / weights.sum())
    expected = float(keras.losses.BinaryCrossentropy()(COIN[:, None], best, sample_weight=weights))
    assert reference(model_of(), weights=weights).constant == pytest.approx(expected, rel=1e-5)


class OwnStep(keras.Model):
    def train_step(self, data: Any) -> Any:
        return {"loss": 0.69}


def test_nothing_where_no_constant_prediction_is_known() -> None:
    assert reference(model_of(lambda y_true, y_pred: keras.ops.mean(y_pred))) is None
    assert reference(model_of(), COIN[:8]) is None, "too few labels"
    assert reference(model_of(["binary_crossentropy"])) is None, "a list of losses"
    assert LossReference(model_of(), None).now() is None, "no probe"
    own = OwnStep(inputs=(inputs := keras.Input((4,))), outputs=keras.layers.Dense(1)(inputs))
    own.compile("sgd", "mse")
    assert reference(own) is None


def test_nothing_for_a_layer_that_adds_a_loss() -> None:
    model = model_of(activity_regularizer=keras.regularizers.L2(0.1))
    model.fit(X, COIN, verbose=0)
    assert reference(model) is None


def test_nothing_where_the_probe_lacks_most_classes() -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(10, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert reference(model, COIN.astype(int)) is None
    assert reference(model, np.arange(64) % 10).constant == pytest.approx(np.log(10), rel=1e-2)


def test_a_training_that_converged_before_is_no_failure() -> None:
    """Of a loss without a reference a flat curve is found, but not where the training resumes."""

    def own_loss(y_true: Any, y_pred: Any) -> Any:
        return keras.ops.mean(keras.ops.square(y_true - y_pred))

    first, second = (DepthGauge(MemoryWriter(), (X, COIN), graph=False) for _ in range(2))
    model = model_of(own_loss, rate=1e-9)
    model.fit(X, COIN, epochs=4, verbose=0, callbacks=[first])
    model.fit(X, COIN, epochs=4, verbose=0, callbacks=[second])
    assert first.diagnosis is not None
    assert second.diagnosis is not None
    assert first.diagnosis.verdict == "loss not falling"
    assert second.diagnosis.verdict == "healthy"


class Adversaries(OwnStep):
    """Two optimizers, and a loss that does not fall."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.others = [keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1)]


def test_the_losses_of_adversaries_need_not_fall() -> None:
    verdicts = []
    for kind in (OwnStep, Adversaries):
        inputs = keras.Input((4,))
        model = kind(inputs=inputs, outputs=keras.layers.Dense(1)(inputs))
        model.compile("sgd", "mse", run_eagerly=True)
        judge = Judge("warn")
        judge.begin(model, None, 0)
        recording = Recording(MemoryWriter(), None, PRESETS["light"])
        recording.latest = {"loss": 0.69, "gradient_norm/out/kernel": 1.0}
        for _ in range(6):
            judge.after_epoch(recording, list, 1)
        judge.after_training(recording, lambda: [{"name": "out"}], 6, None)
        assert judge.final is not None
        verdicts.append(judge.final.verdict)
    assert verdicts == ["loss not falling", "healthy"]
