"""Networks of finite width: variances of initializers, and gradients measured on random networks."""

from __future__ import annotations

import importlib
import math
import re
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from mnist_depth import theory, translation
from mnist_depth.config import RunConfig
from mnist_depth.datasets import DATASETS, load
from mnist_depth.errors import UserError
from mnist_depth.networks.initializers import ALIASES, INITIALIZERS
from mnist_depth.registry import lookup

# Initializers and configs


@pytest.mark.parametrize("name", [*INITIALIZERS, "normal:0.3"])
@pytest.mark.parametrize(("fan_in", "fan_out"), [(300, 500), (500, 300)])
def test_variances_are_those_of_the_registry(name, fan_in, fan_out):
    entry, arguments = lookup(INITIALIZERS, name, "initializer")
    draw: Any = entry.build(*arguments, seed=1)
    kernel = np.asarray(draw((fan_in, fan_out)))
    variance = theory.initializer_variance(name, fan_in, fan_out)
    assert kernel.var() == pytest.approx(variance, rel=0.02, abs=1e-12)


def test_aliases_of_initializers_are_followed():
    for alias, name in ALIASES.items():
        assert theory.initializer_variance(alias, 30, 50) == theory.initializer_variance(name, 30, 50)


def test_unknown_initializer_is_a_user_error():
    with pytest.raises(UserError, match="unknown initializer"):
        theory.initializer_variance("magic", 3, 3)


def test_prediction_of_a_config_has_one_row_per_weight_layer():
    rows = theory.predict_config(RunConfig(depth=4, width=32, activation="relu", initializer="he_normal"))
    assert [row.name for row in rows] == ["layer_01", "layer_02", "layer_03", "layer_04"]
    assert [(row.fan_in, row.units) for row in rows] == [(784, 32), (32, 32), (32, 32), (32, 10)]
    assert [row.gain for row in rows[:-1]] == pytest.approx([1.0] * 3)
    assert math.isnan(rows[-1].gain)
    assert rows[-1].gradient == 1.0


def test_theory_separates_the_headline_networks_before_training():
    sigmoid = theory.predict_config(RunConfig(activation="sigmoid"))
    relu = theory.predict_config(RunConfig(activation="relu", initializer="he_normal"))
    assert sigmoid[0].gradient < 1e-4
    assert relu[0].gradient == pytest.approx(1.0)


def test_description_names_every_layer_and_the_depth_scales():
    text = theory.describe(RunConfig(activation="sigmoid"))
    assert [line.split()[0] for line in text.splitlines()[1:10]] == [f"layer_{i:02d}" for i in range(1, 10)]
    assert "xi_c = 0.346" in text
    assert max(map(len, text.splitlines())) <= 110
    assert "depth scales" not in theory.describe(RunConfig(depth=1))


def test_description_of_a_gate_uses_its_two_inputs():
    assert theory.describe(RunConfig(dataset="xor", depth=2, width=2)).splitlines()[2].split()[1] == "1"


# Prediction against measurement


WIDTHS = (784, *[1024] * 8, 10)


@lru_cache(maxsize=5)
def _standard_kernels(seed, pieces):
    """Kernels of variance 1 / fan_in; every activation and sigma_w of one seed shares them."""
    rng, hidden = np.random.default_rng([seed, 1]), WIDTHS[:-1]
    shapes = [*((a, b * pieces) for a, b in pairwise(hidden)), WIDTHS[-2:]]
    return [rng.standard_normal(shape, dtype=np.float32) / np.float32(math.sqrt(shape[0])) for shape in shapes]


def _measured_norms(phi, sigma_w, images, labels, seed):
    """||dL/dz_l|| [depth] of softmax cross-entropy, summed over units and samples, by backpropagation in NumPy."""
    kernels = [np.float32(sigma_w) * kernel for kernel in _standard_kernels(seed, phi.pieces)]
    signal, slopes = images, []
    for kernel in kernels[:-1]:
        z = (signal @ kernel).reshape(len(images), phi.pieces, -1)
        best = z.max(axis=1, keepdims=True)
        signal = phi.value(best[:, 0])
        slopes.append((phi.slope(best) * (z == best)).reshape(len(images), -1).astype(np.float32))
    logits = signal @ kernels[-1]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    gradient = (shares / shares.sum(axis=1, keepdims=True) - np.eye(WIDTHS[-1])[labels]).astype(np.float32)
    norms = [np.linalg.norm(gradient.astype(float))]
    for kernel, slope in zip(kernels[:0:-1], slopes[::-1], strict=True):
        gradient = np.tile(gradient @ kernel.T, phi.pieces) * slope
        norms.append(np.linalg.norm(gradient.astype(float)))
    return np.array(norms[::-1])


def _images(count=32, features=784):
    """Sparse, non-negative images of differing brightness, and labels."""
    rng = np.random.default_rng(7)
    images = rng.random((count, features)) * (rng.random((count, features)) < 0.3) * rng.uniform(0.7, 1.3, (count, 1))
    return images.astype(np.float32), rng.integers(0, 10, count)


def _gain_errors(name, sigma_w, seeds=5, phi=None):
    """Measured / predicted gain - 1 per layer, mean over the seeds: 9 layers, 1,024 units."""
    phi = phi or theory.TABLE[name]
    images, labels = _images()
    norms = np.array([_measured_norms(phi, sigma_w, images, labels, seed) for seed in range(seeds)])
    variances = [sigma_w**2 / fan_in for fan_in in WIDTHS[:-1]]
    rows = theory.predict(phi, WIDTHS, variances, float((images**2).mean()))
    measured = (norms[:, :-1] / norms[:, 1:]).mean(axis=0)
    return measured / np.array([row.gain for row in rows[:-1]]) - 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sigma_w"),
    [
        *[("sigmoid", sigma_w) for sigma_w in (1.0, 4.0, 10.0)],
        *[("tanh", sigma_w) for sigma_w in (0.7, 1.0, 1.6)],
        *[("relu", sigma_w) for sigma_w in (1.0, math.sqrt(2), 2.0)],
    ],
)
def test_predicted_gain_is_the_measured_one(name, sigma_w):
    """Show: geometric mean over the layers within 2 %, every layer within 6 %, mean of 5 seeds."""
    errors = _gain_errors(name, sigma_w)
    assert abs(math.expm1(np.log1p(errors).mean())) <= 0.02
    assert np.abs(errors).max() <= 0.06


@pytest.mark.slow
def test_predicted_gain_of_maxout_is_the_measured_one():
    errors = _gain_errors("maxout", 0.9, seeds=2, phi=theory.TABLE["linear"]._replace(pieces=3))
    assert abs(math.expm1(np.log1p(errors).mean())) <= 0.02
    assert np.abs(errors).max() <= 0.06


def test_prediction_holds_in_a_keras_model():
    """Keras' own layers and gradients, its initializer, biases drawn too; sigmoid, whose mean is not zero."""
    keras: Any = importlib.import_module("keras")
    tf: Any = importlib.import_module("tensorflow")
    images, labels = _images(32)
    bias_std = 0.3
    layers = [
        keras.layers.Dense(
            units,
            kernel_initializer=keras.initializers.VarianceScaling(16.0, "fan_avg", "untruncated_normal", seed=index),
            bias_initializer=keras.initializers.RandomNormal(stddev=bias_std, seed=100 + index),
        )
        for index, units in enumerate(WIDTHS[1:])
    ]
    with tf.GradientTape() as tape:
        signal, pre_activations = tf.constant(images), []
        tape.watch(signal)
        for layer in layers:
            pre_activations.append(layer(signal))
            signal = keras.activations.sigmoid(pre_activations[-1])
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, pre_activations[-1], True))
    norms = np.array([np.linalg.norm(g) for g in tape.gradient(loss, pre_activations)])
    variances = [16 * theory.initializer_variance("glorot_normal", a, b) for a, b in pairwise(WIDTHS)]
    rows = theory.predict("sigmoid", WIDTHS, variances, float((images**2).mean()), bias_std)
    ratio = norms[:-1] / norms[1:] / np.array([row.gain for row in rows[:-1]])
    assert np.exp(np.log(ratio).mean()) == pytest.approx(1, abs=0.03)
    assert ratio == pytest.approx(np.ones(8), abs=0.08)
    spread = np.array([np.std(keras.activations.sigmoid(z), axis=1).mean() for z in pre_activations[:-1]])
    assert spread == pytest.approx(np.array([row.activation_std for row in rows[:-1]]), rel=0.05)


def test_every_dataset_has_an_input_length_and_it_is_the_measured_one() -> None:
    assert set(theory.INPUT_LENGTHS) == set(DATASETS)
    for name in ("digits", "gaussian", "xor", "and", "or"):
        images = np.float64(load(name).train.images) / (255 if DATASETS[name].is_image else 1)
        assert theory.INPUT_LENGTHS[name] == pytest.approx(np.mean(images**2), abs=1e-3), name


@pytest.mark.parametrize(
    ("config", "start"),
    [
        (RunConfig(activation="sigmoid"), "Vanishes: the first of 9 layers gets 1.4e-05"),
        (RunConfig(activation="relu"), "Flows: "),
        (RunConfig(activation="relu", initializer="normal_1"), "Explodes: the first of 9 layers gets"),
        (RunConfig(activation="relu", initializer="normal_1", depth=300), "Explodes: the signal exceeds"),
        (RunConfig(activation="softplus"), "Shrinks: "),
        (RunConfig(depth=1), "One layer: "),
    ],
)
def test_theory_ends_in_a_plain_sentence(config: RunConfig, start: str) -> None:
    sentence = theory.describe(config).splitlines()[-1]
    assert sentence.startswith(start)
    assert sentence.endswith(".")


@pytest.mark.parametrize(("depth", "word"), [(2, "Flows"), (3, "Flows"), (4, "Grows"), (7, "Grows"), (8, "Explodes")])
def test_the_sentence_follows_the_factor_over_the_whole_depth(depth: int, word: str) -> None:
    config = RunConfig(activation="relu", initializer="normal:0.26", depth=depth)
    per_layer = [row.gain for row in theory.predict_config(config)[:-2]]
    assert per_layer == pytest.approx([0.26 * math.sqrt(256 / 2)] * (depth - 2))
    sentence = theory.describe(config).splitlines()[-1]
    assert sentence.startswith(f"{word}: the first of {depth} layers gets ")
    assert "about 3 layers can be trained" in sentence


def test_a_gradient_that_arrives_beyond_the_trainable_depth_is_no_promise() -> None:
    sentence = theory.describe(RunConfig(activation="relu", depth=14)).splitlines()[-1]
    assert sentence.startswith("Flows: ")
    assert "but only about 9 layers can be trained" in sentence


def test_a_signal_that_overflows_still_has_slopes() -> None:
    with np.errstate(all="ignore"):
        rows = theory.predict_config(RunConfig(activation="relu", initializer="normal_1", depth=300))
    assert rows[-1].length == math.inf
    assert all(row.slope == pytest.approx(0.5) for row in rows[:-1])


def test_theory_speaks_the_language_that_is_chosen() -> None:
    translation.activate("ko")
    lines = theory.describe(RunConfig(activation="sigmoid")).splitlines()
    assert lines[-1].startswith("소실: 9층 가운데 첫 층의 기울기는")
    assert lines[-1].endswith("약 2층까지 학습할 수 있습니다.")
    assert not [line for line in lines[-6:] if not re.search("[가-힣]", line)]
