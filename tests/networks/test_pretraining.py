"""LSUV on real images, and the RBM against exact enumeration and a NumPy oracle."""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, logsumexp

from mnist_depth import datasets, models
from mnist_depth.config import RunConfig
from mnist_depth.instrument import MemoryWriter
from mnist_depth.networks.pretraining import PRETRAININGS, dbn, lsuv, pictures, rbm
from mnist_depth.networks.pretraining.rbm import RBM
from mnist_depth.networks.weight_layer import weight_layers
from mnist_depth.registry import lookup

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return datasets.load("digits").train.images


def _pretrain(model: keras.Model, config: RunConfig, images: np.ndarray, **options: Any) -> None:
    entry, arguments = lookup(PRETRAININGS, config.pretraining, "pretraining")
    entry.build(model, config, images, *arguments, **options)


def _sums(model: keras.Model, images: np.ndarray) -> list[np.ndarray]:
    """The sum that goes into each layer's activation, [n, units]."""
    result = []
    for layer in weight_layers(model):
        inputs = np.asarray(keras.Model(model.input, layer.input)(images, training=False))
        result.append(inputs @ np.asarray(layer.kernel) + np.asarray(layer.bias))
    return result


def test_none_changes_nothing(digits: np.ndarray) -> None:
    config = RunConfig(depth=3, width=4)
    model = models.build(config)
    before = [variable.numpy() for variable in model.variables]
    _pretrain(model, config, digits)
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


@pytest.mark.parametrize(
    "options", [{}, {"wiring": "residual:2"}, {"wiring": "split_merge:2"}, {"activation": "maxout"}], ids=str
)
def test_lsuv_gives_unit_variance_on_real_images(options: dict[str, Any], digits: np.ndarray) -> None:
    config = RunConfig(depth=5, width=24, pretraining="lsuv", **options)
    model, lines, writer = models.build(config), [], MemoryWriter()
    _pretrain(model, config, digits, writer=writer, progress=lines.append)
    for sums in _sums(model, digits):
        assert abs(sums.var() - 1) <= lsuv.TOLERANCE + 0.05, "measured on all images, scaled on 1,000 of them"
    assert len(lines) == len(weight_layers(model))
    assert lines[0].startswith("lsuv layer_01: variance 1.0")
    assert set(writer.scalars) == {"lsuv_variance", "lsuv_iterations"}
    assert list(writer.scalars["lsuv_variance"]) == list(range(1, len(lines) + 1))


def test_lsuv_across_samples_keeps_images_apart_where_lsuv_does_not(digits: np.ndarray) -> None:
    spread = {}
    for scope in ("all", "samples"):
        config = RunConfig(depth=9, width=64, activation="sigmoid", pretraining=f"lsuv:{scope}")
        model = models.build(config)
        _pretrain(model, config, digits)
        spread[scope] = [float(sums.var(axis=0).mean()) for sums in _sums(model, digits)]
    assert spread["all"][7] < 1e-4
    assert all(abs(variance - 1) < 0.2 for variance in spread["samples"])


def test_lsuv_kernels_are_scaled_orthogonal_matrices(digits: np.ndarray) -> None:
    config = RunConfig(depth=3, width=24, pretraining="lsuv")
    model = models.build(config)
    _pretrain(model, config, digits)
    kernels = [np.asarray(layer.kernel, np.float64) for layer in weight_layers(model)]
    gram = kernels[0].T @ kernels[0]
    np.testing.assert_allclose(gram, gram[0, 0] * np.eye(24), atol=1e-5 * gram[0, 0])
    assert not np.allclose(kernels[0][:24, :24], kernels[1])


def test_lsuv_says_where_no_scale_helps() -> None:
    config = RunConfig(depth=2, width=4, pretraining="lsuv")
    model = models.build(config)
    results = lsuv.initialize(model, config, np.zeros((5, 784), np.uint8))
    assert [(result.converged, result.iterations) for result in results] == [(False, 0), (False, 0)]
    assert np.isfinite(np.asarray(weight_layers(model)[0].kernel)).all()


def _machine(visible: int, hidden: int, scale: float = 1.0) -> RBM:
    generator = np.random.default_rng(1)
    shapes = ((visible, hidden), (visible,), (hidden,))
    return RBM(*(tf.constant(generator.normal(0, scale, shape), tf.float32) for shape in shapes))


@pytest.mark.parametrize("gibbs_steps", [1, 3])
def test_one_contrastive_divergence_step_equals_numpy(gibbs_steps: int) -> None:
    generator = np.random.default_rng(0)
    machine, velocity = _machine(6, 4), _machine(6, 4, 0.1)
    data = generator.random((5, 6)).astype(np.float32)
    uniforms = generator.random((gibbs_steps, 5, 4)).astype(np.float32)
    gradient, error = rbm.contrastive_divergence(machine, tf.constant(data), tf.constant(uniforms))
    after, speed = rbm.update(machine, velocity, gradient, 0.1, 0.9)

    w, a, b = (np.asarray(part, np.float64) for part in machine)
    start = hidden = expit(data @ w + b)
    visible = data
    for draws in uniforms:
        visible = expit((draws < hidden) @ w.T + a)
        hidden = expit(visible @ w + b)
    slopes = (
        (data.T @ start - visible.T @ hidden) / 5 - rbm.WEIGHT_DECAY * w,
        (data - visible).mean(axis=0),
        (start - hidden).mean(axis=0),
    )
    assert float(error) == pytest.approx(np.mean((data - visible) ** 2), rel=1e-5)
    for new, old, moved, before, slope in zip(after, machine, speed, velocity, slopes, strict=True):
        expected = 0.9 * np.asarray(before) + 0.1 * slope
        np.testing.assert_allclose(moved, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(new, np.asarray(old) + expected, rtol=1e-4, atol=1e-6)


def test_free_energy_sums_the_hidden_units_out() -> None:
    machine = _machine(5, 3)
    w, a, b = (np.asarray(part, np.float64) for part in machine)
    visible = np.array(list(itertools.product([0.0, 1.0], repeat=5)))
    hidden = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
    energies = -(visible @ a)[:, None] - (hidden @ b)[None, :] - visible @ w @ hidden.T
    expected = -logsumexp(-energies, axis=1)
    np.testing.assert_allclose(machine.free_energy(tf.constant(visible, tf.float32)), expected, rtol=1e-4, atol=1e-5)


def _likelihoods(gibbs_steps: int) -> list[float]:
    """Exact mean log-likelihood while an RBM learns bars of 3x3 pixels: all 512 pictures can be enumerated."""
    bars = [np.outer(rows, np.ones(3)).ravel() for rows in itertools.product([0, 1], repeat=3)]
    data = tf.constant(np.tile(bars, (25, 1)), tf.float32)
    world = tf.constant(list(itertools.product([0, 1], repeat=9)), tf.float32)
    generator = np.random.default_rng(0)
    machine = rbm.create(np.mean(data, axis=0), 8, generator)
    velocity = RBM(*map(tf.zeros_like, machine))
    rate, momentum = tf.constant(0.05), tf.constant(0.5)
    values = []
    for epoch in range(40):
        partition = tf.reduce_logsumexp(-machine.free_energy(world))
        values.append(float(tf.reduce_mean(-machine.free_energy(data)) - partition))
        order = tf.constant(generator.permutation(200).reshape(20, 10), tf.int32)
        seed = tf.constant([7, 20 * epoch], tf.int32)
        machine, velocity, _ = rbm.train_epoch(machine, velocity, data, order, seed, rate, momentum, gibbs_steps)
    return values


def test_likelihood_rises_under_contrastive_divergence() -> None:
    """The eight bars alone would give -ln 8 = -2.08; CD-10 comes nearer than the more biased CD-1."""
    one, ten = _likelihoods(1), _likelihoods(10)
    assert one[0] == pytest.approx(-9 * np.log(2), abs=0.01)
    assert one[0] < one[15] - 0.5 < one[25] - 1 < one[-1] - 1.5
    assert one[-1] > -3.7
    assert one[-1] < ten[-1] < -np.log(8)


def _dbn(images: np.ndarray, seed: int = 0, **options: Any) -> tuple[keras.Model, list[RBM]]:
    sizes = {"depth": 3, "width": 12, "batch_size": 10, "pretraining_epochs": 2}
    config = RunConfig.from_dict({**sizes, "activation": "sigmoid", "pretraining": "dbn", "seed": seed})
    model = models.build(config)
    return model, dbn.pretrain(model, config, images, 1, **options)


def test_dbn_fills_the_hidden_layers_and_reports(digits: np.ndarray) -> None:
    writer, lines = MemoryWriter(), []
    model, machines = _dbn(digits[:500], writer=writer, progress=lines.append)
    for layer, machine in zip(weight_layers(model)[:-1], machines, strict=True):
        np.testing.assert_array_equal(layer.kernel, machine.kernel)
        np.testing.assert_array_equal(layer.bias, machine.hidden_bias)
    untouched = models.build(RunConfig(depth=3, width=12))
    np.testing.assert_array_equal(weight_layers(model)[-1].kernel, weight_layers(untouched)[-1].kernel)

    layers = ("layer_01", "layer_02")
    quantities = ("reconstruction_error", "free_energy_gap")
    assert set(writer.scalars) == {f"{quantity}/{layer}" for quantity in quantities for layer in layers}
    assert set(writer.histograms) == {f"rbm_kernel/{layer}" for layer in layers}
    assert set(writer.images) == {
        f"{picture}/{layer}" for picture in ("filters", "reconstructions") for layer in layers
    }
    for series in (*writer.scalars.values(), *writer.histograms.values(), *writer.images.values()):
        assert list(series) == [45, 90], "450 images in minibatches of 10, two epochs"
    filters, copies = (writer.images[f"{name}/layer_02"][90] for name in ("filters", "reconstructions"))
    assert (filters.shape, filters.dtype) == ((224, 224, 1), np.uint8)
    assert (copies.shape, copies.dtype) == ((56, 280, 1), np.uint8)
    np.testing.assert_array_equal(copies[:28, :28, 0].ravel(), digits[0])
    assert lines[0].startswith("dbn layer_01 epoch 1/2: reconstruction error 0.")
    assert len(lines) == 4
    errors = writer.scalars["reconstruction_error/layer_01"]
    assert errors[90] < errors[45]


def test_dbn_repeats_bit_for_bit_and_seeds_differ(digits: np.ndarray) -> None:
    first, again, other = (_dbn(digits[:300], seed)[1] for seed in (0, 0, 1))
    for machine, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(machine.kernel, same.kernel)
        assert not np.allclose(machine.kernel, different.kernel)


def test_pictures_show_numbers_that_are_not_numbers_as_black() -> None:
    sheet = pictures.pairs(np.ones((1, 784)), np.full((1, 784), np.nan))
    assert (sheet[:28] == 255).all()
    assert (sheet[28:] == 0).all()
