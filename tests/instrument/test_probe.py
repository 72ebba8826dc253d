"""The probe: right numbers on every kind of model, and nothing of the model or of any random state changed."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from mnist_depth.instrument import STATISTICS, measure
from mnist_depth.instrument.names import outer_layers, trainable_variables
from mnist_depth.instrument.probe import Measurement, Probe
from mnist_depth.instrument.statistics import LAYER_SUBJECTS
from tests.instrument.zoo import ZOO, Specimen, specimen

pytestmark = pytest.mark.slow

ARRAYS = ("gradient", "weight", *LAYER_SUBJECTS)


@pytest.fixture(scope="module", params=ZOO)
def subject(request: pytest.FixtureRequest) -> Specimen:
    return specimen(request.param, optimizer="adam")


@pytest.fixture(scope="module")
def state_before(subject: Specimen) -> list[NDArray[Any]]:
    return _state(subject.model)


@pytest.fixture(scope="module")
def measured(subject: Specimen, state_before: list[NDArray[Any]]) -> Measurement:
    assert state_before
    return measure(subject.model, subject.x, subject.y, subject.sample_weight, arrays=ARRAYS)


def _state(model: keras.Model) -> list[NDArray[Any]]:
    """Everything that a model and its optimizer remember, seed states and metrics included."""
    return [np.asarray(variable.value).copy() for variable in (*model.variables, *model.optimizer.variables)]


def _tensors(values: Any) -> Any:
    def convert(value: Any) -> tf.Tensor:
        array = np.asarray(value)
        return tf.constant(array.astype("float32") if array.dtype.kind == "f" else array)

    return tf.nest.map_structure(convert, values)


def _reference(subject: Specimen) -> tuple[float, dict[str, NDArray[Any]]]:
    """Loss and gradients from a plain tape."""
    x, y = _tensors(subject.x), _tensors(subject.y)
    weight = None if subject.sample_weight is None else _tensors(subject.sample_weight)
    with tf.GradientTape() as tape:
        predicted = subject.model(x) if subject.model.name == "subclassed" else subject.model(x, training=False)
        loss = subject.model.compute_loss(x, y, predicted, weight)
    variables = trainable_variables(subject.model)
    gradients = tape.gradient(loss, [variable.value for variable in variables.values()])
    return float(loss), {
        name: tf.convert_to_tensor(gradient).numpy() for name, gradient in zip(variables, gradients, strict=True)
    }


def test_model_and_optimizer_are_left_as_found(
    subject: Specimen, state_before: list[NDArray[Any]], measured: Measurement
) -> None:
    chosen = ["gradient_norm", "activation_std"]
    training = measure(subject.model, subject.x, subject.y, subject.sample_weight, training=True, statistics=chosen)
    assert set(training.scalars) <= set(measured.scalars)
    for before, after in zip(state_before, _state(subject.model), strict=True):
        np.testing.assert_array_equal(before, after)
    for layer in (subject.model, *subject.model._flatten_layers()):
        assert "call" not in vars(layer)


def test_layers_in_depth_order(subject: Specimen, measured: Measurement) -> None:
    assert measured.layers == subject.layers
    assert tuple(measured.arrays["activation"]) == subject.layers


def test_loss_and_gradients_are_those_of_a_tape(subject: Specimen, measured: Measurement) -> None:
    loss, gradients = _reference(subject)
    assert measured.scalars["probe_loss"] == pytest.approx(loss, rel=1e-5)
    assert set(measured.arrays["gradient"]) == set(gradients)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(measured.arrays["gradient"][name], gradient, rtol=1e-4, atol=1e-6)


def test_the_tags_are_exactly_those_that_have_a_subject(measured: Measurement) -> None:
    def has(quantity: str, name: str) -> bool:
        statistic = STATISTICS[quantity]
        companions = set(statistic.beside) <= {"limits"}
        bounded = name in measured.quantity("saturated_share")
        return name in measured.arrays.get(statistic.subject, {}) and companions and (not statistic.beside or bounded)

    names = {name for of in measured.arrays.values() for name in of}
    expected = {
        f"probe_{quantity}/{name}" if statistic.subject == "gradient" else f"{quantity}/{name}"
        for quantity, statistic in STATISTICS.items()
        for name in names
        if has(quantity, name)
    }
    assert set(measured.scalars) == {"probe_loss", *expected}
    assert all(np.isfinite(value) for value in measured.scalars.values())


def test_bounded_activations_and_no_others_saturate(subject: Specimen, measured: Measurement) -> None:
    assert tuple(measured.quantity("saturated_share")) == subject.bounded
    assert tuple(measured.quantity("pre_activation_std")) == subject.activated


def test_pre_activation_gradients_sum_to_the_bias_gradients(subject: Specimen, measured: Measurement) -> None:
    """z = x W + b, so dL/db is the sum of dL/dz over the batch, of all calls of a shared layer together."""
    sums: dict[str, Any] = {}
    for name, gradient in measured.arrays["pre_activation_gradient"].items():
        layer = name.removesuffix("/call_2")
        sums[layer] = sums.get(layer, 0.0) + gradient.sum(axis=tuple(range(gradient.ndim - 1)))
    for layer, total in sums.items():
        if f"{layer}/bias" in measured.arrays["gradient"]:
            np.testing.assert_allclose(total, measured.arrays["gradient"][f"{layer}/bias"], rtol=1e-4, atol=1e-6)


def test_activations_are_the_layers_outputs() -> None:
    s = specimen("functional")
    measured = measure(s.model, s.x, s.y, s.sample_weight, arrays=["activation", "pre_activation"])
    inner = keras.Model(s.model.inputs, {name: layer.output for name, layer in outer_layers(s.model).items()})
    for name, output in inner([s.x], training=False).items():
        np.testing.assert_array_equal(measured.arrays["activation"][name], output)
    below = measured.arrays["activation"]["scaling"]
    kernel, bias = s.model.get_layer("layer_01").get_weights()
    np.testing.assert_allclose(measured.arrays["pre_activation"]["layer_01"], below @ kernel + bias, atol=1e-6)


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("kind", ["functional", "attention"])
def test_gradients_are_finite_differences(kind: str) -> None:
    s = specimen(kind)
    gradients = measure(s.model, s.x, s.y, s.sample_weight, arrays=["gradient"]).arrays["gradient"]
    probe = Probe(s.model, (s.x, s.y, s.sample_weight), [], ["activation"])
    small = 1e-5
    for name, variable in trainable_variables(s.model).items():
        values = np.asarray(variable.value).copy()
        where = np.unravel_index(np.abs(gradients[name]).argmax(), values.shape)

        def loss(shift: float, variable: Any = variable, values: Any = values, where: Any = where) -> float:
            moved = values.copy()
            moved[where] += shift
            variable.assign(moved)
            return _loss(s, probe)

        slope = (loss(small) - loss(-small)) / (2 * small)
        variable.assign(values)
        assert slope == pytest.approx(gradients[name][where], rel=1e-5, abs=1e-9)


def _loss(s: Specimen, probe: Probe) -> float:
    """The loss in float64; the probe's own scalar is float32."""
    x, y, weight = probe.batch
    return np.asarray(s.model.compute_loss(x, y, s.model(x, training=False), weight)).item()


def test_no_random_state_is_consumed() -> None:
    def draws(meanwhile: Callable[[], object]) -> list[float]:
        keras.utils.set_random_seed(5)
        tf.random.set_global_generator(tf.random.Generator.from_seed(5))
        meanwhile()
        return [
            random.random(),
            float(np.random.rand()),
            float(tf.random.uniform([])),
            np.asarray(keras.random.uniform([])).item(),
            float(tf.random.get_global_generator().uniform([])),
        ]

    s = specimen("functional")
    measured = draws(lambda: measure(s.model, s.x, s.y, s.sample_weight, training=True))
    assert measured == draws(lambda: None)


def test_a_gradient_whose_square_underflows_is_reported() -> None:
    """50 sigmoid layers with small weights: every layer divides the gradient by about five."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((10,))])
    for index in range(50):
        kernel: Any = keras.initializers.RandomNormal(stddev=0.3, seed=index)
        model.add(keras.layers.Dense(10, "sigmoid", kernel_initializer=kernel, name=f"layer_{index:02d}"))
    model.compile(loss="mse")
    x = np.random.default_rng(0).normal(size=(8, 10)).astype(np.float32)
    measured = measure(model, x, np.zeros((8, 10)), statistics=["gradient_norm", "pre_activation_gradient_norm"])
    norms = list(measured.quantity("pre_activation_gradient_norm").values())
    assert 0 < norms[0] < 1e-30
    ratios = np.divide(norms[1:], norms[:-1])
    assert ((ratios > 1.5) & (ratios < 40)).all()  # a straight line on a logarithmic axis, down to the first layer


def test_layers_and_variables_by_regular_expression() -> None:
    s = specimen("compound")
    measured = measure(s.model, s.x, s.y, layers=r"layer_0[12]/(norm|dense)", variables=r"kernel$")
    assert measured.layers == ("layer_01/dense", "layer_01/norm", "layer_02/dense", "layer_02/norm")
    assert list(measured.quantity("weight_norm")) == [
        "layer_01/dense/kernel",
        "layer_02/dense/kernel",
        "layer_03/kernel",
    ]


def test_a_pattern_without_a_slash_finds_outer_layers_only() -> None:
    s = specimen("compound")
    assert measure(s.model, s.x, s.y, layers="^layer", statistics=["activation_std"]).layers == s.layers


def test_without_a_loss_the_rest_is_measured() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="one")])
    with pytest.warns(UserWarning, match="no gradients on the probe, the rest is measured: the model is not compiled"):
        measured = measure(model, np.ones((4, 3)), np.zeros(4))
    assert measured.quantity("activation_std")
    assert measured.quantity("weight_norm")
    assert not any("gradient" in tag or "loss" in tag for tag in measured.scalars)


def test_a_loss_of_ones_own() -> None:
    s = specimen("sequential")
    model = keras.models.clone_model(s.model)
    model.set_weights(s.model.get_weights())
    given = measure(model, s.x, s.y, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    compiled = measure(s.model, s.x, s.y)
    assert list(given.scalars.values()) == pytest.approx(list(compiled.scalars.values()), rel=1e-5)


def test_one_trace_until_the_model_changes() -> None:
    s = specimen("sequential")
    probe = Probe(s.model, (s.x, s.y), ["gradient_norm", "activation_std"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = probe.measure()
        traced: Any = probe._function
        s.model.layers[0].kernel.assign(s.model.layers[0].kernel * 2)
        second = probe.measure()
    assert traced is probe._function
    assert traced.experimental_get_tracing_count() == 1
    assert first.scalars.keys() == second.scalars.keys()
    assert first.scalars != second.scalars
    s.model.layers[0].trainable = False
    with pytest.warns(UserWarning, match="the probe is traced anew: the model's trainable variables changed"):
        third = probe.measure()
    assert "probe_gradient_norm/one/kernel" not in third.scalars


@pytest.mark.parametrize("batch", [np.ones((2, 3)), (), (1, 2, 3, 4)])
def test_what_is_no_probe(batch: Any) -> None:
    with pytest.raises(ValueError, match="a probe is"):
        Probe(specimen("sequential").model, batch, [])


def test_eager_models_are_measured_eagerly() -> None:
    traced, eager = specimen("sequential"), specimen("sequential", run_eagerly=True)
    expected = measure(traced.model, traced.x, traced.y).scalars
    found = measure(eager.model, eager.x, eager.y).scalars
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-7)
