"""What `diagnose` finds in live models: measured as training does it, without changing anything."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from mnist_depth.diagnosis import Diagnosis
from mnist_depth.errors import UserError
from mnist_depth.model_diagnosis.diagnose import diagnose
from mnist_depth.model_diagnosis.examples import minibatches
from mnist_depth.model_diagnosis.measuring import from_model

pytestmark = pytest.mark.slow

keras: Any = importlib.import_module("keras")
layers = keras.layers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 16)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int32) + (X[:, 1] > 0)
SEQUENCES = RNG.normal(size=(32, 30, 4)).astype(np.float32)


@pytest.fixture(autouse=True)
def _seed() -> None:
    """The same initial weights in every run: a network of these sizes starts badly now and then."""
    keras.utils.set_random_seed(0)


def errors(diagnosis: Diagnosis) -> set[str]:
    return {finding.kind for finding in diagnosis.findings if finding.severity == "error"}


def kinds(diagnosis: Diagnosis) -> set[str]:
    return {finding.kind for finding in diagnosis.findings}


def compiled(*stack: Any, shape: tuple[int, ...] = (16,), rate: float = 0.1) -> Any:
    """A Sequential model with logits for three classes."""
    model = keras.Sequential([keras.Input(shape), *stack, layers.Dense(3, name="logits")])
    model.compile(
        keras.optimizers.SGD(rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False
    )
    return model


def dense(count: int, activation: str | None, **fields: Any) -> list[Any]:
    return [layers.Dense(16, activation, name=f"dense_{index}", **fields) for index in range(count)]


def normalized(count: int, activation: str) -> list[Any]:
    stack: list[Any] = []
    for index in range(count):
        stack += [layers.Dense(16, name=f"dense_{index}"), layers.BatchNormalization(), layers.Activation(activation)]
    return stack


def test_smoothed_labels_keep_the_loss_of_a_perfect_prediction_above_zero() -> None:
    """Both references as entropies of the smoothed labels, of their mean and of every single one."""
    model = keras.Sequential([keras.Input((16,)), layers.Dense(3, "softmax")])
    model.compile("sgd", keras.losses.CategoricalCrossentropy(label_smoothing=0.3), jit_compile=False)
    smooth = 0.7 * np.eye(3)[Y] + 0.1
    mean = smooth.mean(axis=0)
    measured = from_model(model, X, np.eye(3, dtype=np.float32)[Y])
    assert measured.constant_loss == pytest.approx(-np.sum(mean * np.log(mean)))
    assert measured.lowest_loss == pytest.approx(-np.sum(smooth * np.log(smooth)) / len(Y))


def test_nothing_of_the_model_and_its_optimizer_changes() -> None:
    model = compiled(*normalized(2, "relu"), layers.Dropout(0.5))
    before = [np.array(variable) for variable in (*model.variables, *model.optimizer.variables)]
    diagnose(model, X, Y)
    after = [np.array(variable) for variable in (*model.variables, *model.optimizer.variables)]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "hard_sigmoid", "softsign"])
def test_batch_normalization_is_measured_in_training_mode(activation: str) -> None:
    """In inference mode a new normalization is the identity, and nine such layers would be judged as vanishing."""
    assert not errors(diagnose(compiled(*normalized(8, activation)), X, Y))


def test_vanishing_without_normalization() -> None:
    assert diagnose(compiled(*dense(9, "sigmoid")), X, Y).verdict == "vanishing"


def test_a_last_kernel_of_zeros_is_not_dead() -> None:
    model = compiled(*dense(2, "relu"))
    model.get_layer("logits").kernel.assign(np.zeros((16, 3)))
    assert not errors(diagnose(model, X, Y))


def test_zeros_everywhere_are_symmetric_or_cut() -> None:
    assert errors(diagnose(compiled(*dense(3, "relu", kernel_initializer="zeros")), X, Y)) & {"symmetric", "cut"}


def test_constant_kernels_are_symmetric() -> None:
    diagnosis = diagnose(compiled(*dense(2, "tanh", kernel_initializer=keras.initializers.Constant(0.1))), X, Y)
    assert "symmetric" in kinds(diagnosis)


@pytest.mark.parametrize("functional", [True, False])
def test_dead_units_behind_a_normalization_belong_to_the_weight_layer(functional: bool) -> None:
    shift = keras.initializers.Constant(-50.0)
    weights, norm = layers.Dense(16, name="weights"), layers.BatchNormalization(beta_initializer=shift)
    stack = [weights, norm, layers.ReLU()]
    if functional:
        model = compiled(*stack)
    else:
        model = Stacked([*stack, layers.Dense(3)])
        model(X)
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    diagnosis = diagnose(model, X, Y)
    found = next(finding for finding in diagnosis.findings if finding.kind == "dead")
    assert found.layer == "weights"
    assert found.figure == 1.0


class Stacked(keras.Model):
    def __init__(self, stack: list[Any]) -> None:
        super().__init__()
        self.stack = stack

    def call(self, x: Any, training: bool = False) -> Any:
        for layer in self.stack:
            x = layer(x, training=training) if isinstance(layer, layers.BatchNormalization) else layer(x)
        return x


@pytest.mark.parametrize(
    ("gain", "verdict"), [(3.0, "explodes through time"), (0.3, "vanishes through time"), (1.0, None)]
)
def test_recurrent_layers_through_time(gain: float, verdict: str | None) -> None:
    """A linear cell multiplies the gradient by the gain of its orthogonal kernel in every step: exactly known."""
    kernel = keras.initializers.Orthogonal(gain, seed=0)
    cell = layers.SimpleRNN(8, activation="linear", recurrent_initializer=kernel, name="rnn")
    measured = from_model(compiled(cell, shape=(30, 4)), SEQUENCES, Y[:32])
    assert measured.layers[0].time_gain == pytest.approx(gain, rel=1e-3)
    found = kinds(diagnose(compiled(cell, shape=(30, 4)), SEQUENCES, Y[:32]))
    assert {kind for kind in found if "time" in kind} == ({verdict} if verdict else set())


@pytest.mark.parametrize("seed", [100, 108, 111])
@pytest.mark.parametrize("cell", [layers.LSTM, layers.GRU])
def test_gated_cells_raise_no_error(cell: Any, seed: int) -> None:
    """With these seeds 32 steps lower the loss of the LSTM by a third and ten times the rate fits the batch better."""
    keras.utils.set_random_seed(seed)
    assert not errors(diagnose(compiled(layers.Bidirectional(cell(8)), shape=(30, 4)), SEQUENCES, Y[:32]))


def test_one_input_that_is_not_a_number_is_named() -> None:
    x = X.copy()
    x[3, 4] = np.nan
    diagnosis = diagnose(compiled(*dense(2, "relu")), x, Y)
    assert diagnosis.verdict == "not finite"
    assert diagnosis.sentence == "1 input values are NaN or infinite"


def test_weights_that_are_not_finite_are_named_by_layer() -> None:
    model = compiled(*dense(3, "relu"))
    kernel = model.get_layer("dense_1").kernel
    kernel.assign(np.full(kernel.shape, np.inf))
    found = diagnose(model, X, Y).findings[0]
    assert (found.kind, found.layer) == ("not finite", "dense_1")


def test_a_saturated_network_is_not_healthy() -> None:
    wide = keras.initializers.RandomNormal(stddev=20.0, seed=1)
    diagnosis = diagnose(compiled(*dense(4, "tanh", kernel_initializer=wide), rate=1e-3), X, Y)
    assert "saturated" in kinds(diagnosis)


def test_inputs_up_to_255_and_the_loss_they_start_with() -> None:
    found = kinds(diagnose(compiled(*dense(2, "relu")), X * 255, Y))
    assert {"input scale", "start loss"} <= found
    assert "input scale" not in kinds(diagnose(compiled(layers.Rescaling(1 / 255), *dense(2, "relu")), X * 255, Y))


@pytest.mark.parametrize(
    ("rate", "verdict"), [(1e-6, "learning rate too low"), (500.0, "learning rate too high"), (0.1, "healthy")]
)
def test_learning_rates(rate: float, verdict: str) -> None:
    assert diagnose(compiled(*dense(2, "relu"), rate=rate), X, Y).verdict == verdict


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "lion"])
def test_the_update_of_a_trial_step_is_that_of_fit(optimizer: str) -> None:
    model = compiled(*dense(2, "relu"))
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    ratio = from_model(model, X, Y).layers[0].update_ratio
    before, first = np.array(model.get_layer("dense_0").kernel), minibatches(len(X), 1)[0]
    model.fit(X[first], Y[first], batch_size=len(first), shuffle=False, verbose=0)
    after = np.array(model.get_layer("dense_0").kernel)
    assert ratio == pytest.approx(np.linalg.norm(after - before) / np.linalg.norm(before), rel=1e-4)


def test_a_stack_of_linear_layers_has_no_non_linearity() -> None:
    """A warning where the linear map learns the labels, an error where it cannot: exclusive or."""
    found = diagnose(compiled(*dense(3, None)), X, Y).findings
    assert [finding.severity for finding in found if finding.kind == "no non-linearity"] == ["warning"]
    corners = np.random.default_rng(1).normal(size=(256, 2)).astype(np.float32)
    either = (corners[:, 0] > 0) ^ (corners[:, 1] > 0)
    assert "no non-linearity" in errors(diagnose(compiled(*dense(3, None), shape=(2,)), corners, either.astype(int)))
    assert "no non-linearity" not in kinds(diagnose(compiled(*dense(2, None), layers.Lambda(keras.ops.abs)), X, Y))
    assert "no non-linearity" not in kinds(diagnose(compiled(), X, Y))


def test_frozen_layers_are_named_and_left_out_of_the_fit() -> None:
    model = compiled(*dense(5, "sigmoid"), *[layers.Dense(16, "relu", name=f"head_{i}") for i in range(2)])
    for layer in model.layers[:5]:
        layer.trainable = False
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    diagnosis = diagnose(model, X, Y)
    assert "frozen" in kinds(diagnosis)
    assert "vanishing" not in errors(diagnosis)
    assert [layer.trainable for layer in diagnosis.layers] == [False] * 5 + [True] * 3


def test_a_model_that_is_frozen_as_a_whole_is_an_error() -> None:
    model = compiled(*dense(2, "relu"))
    model.trainable = False
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    assert errors(diagnose(model, X, Y)) == {"frozen"}


def test_a_model_in_float64() -> None:
    keras.config.set_floatx("float64")
    try:
        model = compiled(*dense(9, "sigmoid"))
        assert diagnose(model, X.astype(np.float64), Y).verdict == "vanishing"
    finally:
        keras.config.set_floatx("float32")


def test_a_model_that_is_not_compiled_gets_trial_steps() -> None:
    model = keras.Sequential([keras.Input((16,)), *dense(2, "relu"), layers.Dense(3, "softmax", name="out")])
    measured = from_model(model, X, Y)
    assert measured.trials
    assert measured.trials[0].losses[-1] < measured.trials[0].losses[0]
    assert measured.layers[-1].saturated_share is None


def test_a_loss_that_only_the_train_step_knows_is_not_replaced_by_penalties() -> None:
    """Keras would return the penalty alone, with gradients of another size."""
    import keras

    class Autoencoder(keras.Sequential):
        def train_step(self, data: Any) -> Any:
            raise NotImplementedError

    model: Any = Autoencoder([keras.Input((16,)), keras.layers.Dense(16, activity_regularizer="l2")])
    model.compile("sgd")
    with pytest.raises(UserError, match=r"loss in a train_step of its own .*; give diagnose loss="):
        from_model(model, X, X)
    assert from_model(model, X, X, loss=keras.losses.mean_squared_error).layers[0].kernel_gradient
