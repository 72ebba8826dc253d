"""Applied gradients and updates against a hand-written tape and loop, step by step; training itself unchanged."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from mnist_depth.instrument import Schedule, at_steps, every_steps, never
from mnist_depth.instrument.hooked_training import attach, detach, hooks_of
from mnist_depth.instrument.names import trainable_variables
from mnist_depth.instrument.optimizer_hook import CAPACITY, OptimizerHook

pytestmark = pytest.mark.slow

STEPS, BATCH, FEATURES = 6, 5, 4
X = np.random.default_rng(0).normal(size=(STEPS * BATCH, FEATURES)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, STEPS * BATCH)
STATISTICS = ("gradient_norm", "weight_norm", "update_norm", "update_ratio")

OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "sgd": lambda: keras.optimizers.SGD(0.5),
    "momentum": lambda: keras.optimizers.SGD(0.5, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.1),
    "clipnorm": lambda: keras.optimizers.SGD(0.5, clipnorm=0.1),
    "global_clipnorm": lambda: keras.optimizers.Adam(0.1, global_clipnorm=0.05),
    "clipvalue": lambda: keras.optimizers.SGD(0.5, clipvalue=0.01),
    "decay": lambda: keras.optimizers.AdamW(0.1, weight_decay=0.1),
    "averaged": lambda: keras.optimizers.SGD(0.5, use_ema=True, ema_overwrite_frequency=2),
    "loss_scale_factor": lambda: keras.optimizers.SGD(0.5, loss_scale_factor=1024.0),
    "loss_scaling": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5), initial_scale=1024.0),
}


def _model(optimizer: Any, dropout: float = 0.0, **options: Any) -> Any:
    keras.utils.set_random_seed(2)
    layers = [
        keras.Input((FEATURES,)),
        keras.layers.Dense(5, "tanh", name="one"),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.Dropout(dropout, seed=3),
        keras.layers.Dense(3, name="two"),
    ]
    model = keras.Sequential(layers)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **{"jit_compile": False, **options})
    return model


def _fit(model: Any) -> None:
    model.fit(X, Y, batch_size=BATCH, verbose=0, shuffle=False)


@contextlib.contextmanager
def hooked(hook: OptimizerHook) -> Iterator[OptimizerHook]:
    """Attach for the duration of a `with` block."""
    attach(hook)
    training = hooks_of(hook.model)
    if training.model.train_function is None:
        training.model.make_train_function()
    training.install()
    try:
        yield hook
    finally:
        detach(hook)


def _hook(model: keras.Model, schedule: Schedule | None = None, **options: Any) -> OptimizerHook:
    schedule = schedule or every_steps(1)
    return OptimizerHook(
        model,
        model.optimizer,
        STATISTICS,
        schedule,
        snapshot_schedule=options.pop("snapshot_schedule", never()),
        **options,
    )


def _by_hand(
    optimizer: Any, *, traced: bool = False
) -> list[dict[str, tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]]:
    """(gradient before clipping, update, weight after) of every variable at every step, from a plain loop."""
    model = _model(optimizer)
    variables = trainable_variables(model)

    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(None, y, model(x, training=True))
            scaled = optimizer.scale_loss(loss)
        gradients: Any = tape.gradient(scaled, [variable.value for variable in variables.values()])
        optimizer.apply(gradients, model.trainable_variables)
        return gradients

    train: Any = tf.function(step) if traced else step
    steps = []
    optimizer.build(model.trainable_variables)
    for start in range(0, len(X), BATCH):
        before = [np.asarray(variable.value) for variable in variables.values()]
        scale = float(optimizer.scale_loss(tf.ones([])))
        gradients = train(tf.constant(X[start : start + BATCH]), tf.constant(Y[start : start + BATCH]))
        steps.append(
            {
                name: (gradient.numpy() / scale, np.asarray(variable.value) - old, np.asarray(variable.value))
                for (name, variable), gradient, old in zip(variables.items(), gradients, before, strict=True)
            }
        )
    return steps


def _norm(array: NDArray[Any]) -> float:
    return float(np.linalg.norm(array.astype(np.float64)))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_a_hand_written_loop_applies(name: str) -> None:
    """Eager training and an eager loop run the same kernels: arrays are equal to the last bit."""
    model = _model(OPTIMIZERS[name](), run_eagerly=True)
    truth = _by_hand(OPTIMIZERS[name]())
    every = every_steps(1)
    with hooked(_hook(model, snapshots=("gradient", "update"), snapshot_schedule=every)) as hook:
        for index, start in enumerate(range(0, len(X), BATCH)):
            model.train_on_batch(X[start : start + BATCH], Y[start : start + BATCH])
            snapshot = hook.snapshot()
            assert snapshot is not None
            assert snapshot.step == index + 1
            for variable, (gradient, update, _) in truth[index].items():
                np.testing.assert_array_equal(snapshot.arrays["gradient"][variable], gradient)
                np.testing.assert_array_equal(snapshot.arrays["update"][variable], update)
    assert hook.snapshot() is None
    rows = hook.drain()
    assert [row.step for row in rows] == list(range(1, STEPS + 1))
    for row, arrays in zip(rows, truth, strict=True):
        assert row.scalars == pytest.approx(_norms(arrays), rel=1e-6)


def _norms(arrays: dict[str, tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]) -> dict[str, float]:
    expected = {}
    for variable, (gradient, update, weight) in arrays.items():
        expected[f"gradient_norm/{variable}"] = _norm(gradient)
        expected[f"weight_norm/{variable}"] = _norm(weight)
        expected[f"update_norm/{variable}"] = _norm(update)
        expected[f"update_ratio/{variable}"] = _norm(update) / _norm(weight)
    return expected


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_same_in_a_traced_training(name: str) -> None:
    """Traced training against the same loop traced: float32 exactness, step by step."""
    model = _model(OPTIMIZERS[name]())
    with hooked(_hook(model)) as hook:
        _fit(model)
    for row, arrays in zip(hook.drain(), _by_hand(OPTIMIZERS[name](), traced=True), strict=True):
        assert row.scalars == pytest.approx(_norms(arrays), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "jit"),
    [("loss_scaling", False), ("global_clipnorm", True)],
)
def test_weights_are_bit_identical(name: str, jit: bool) -> None:
    plain, measured = (_model(OPTIMIZERS[name](), dropout=0.2, jit_compile=jit) for _ in range(2))
    _fit(plain)
    with hooked(_hook(measured, every_steps(2), snapshots=("update",), snapshot_schedule=at_steps([3]))) as hook:
        _fit(measured)
    assert [row.step for row in hook.drain()] == [2, 4, 6]
    for left, right in zip(_everything(plain), _everything(measured), strict=True):
        np.testing.assert_array_equal(left, right)


def _everything(model: keras.Model) -> list[NDArray[Any]]:
    return [np.asarray(variable.value) for variable in (*model.variables, *model.optimizer.variables)]


class _Looping(keras.Model):
    """Its train step loops over many minibatches per call of `fit`: data is int32 [minibatches, batch]."""

    def train_step(self, data: Any) -> dict[str, Any]:
        [rows] = data if isinstance(data, tuple) else [data]

        def one(index: Any) -> tuple[Any]:
            chosen = rows[index]
            super(_Looping, self).train_step((tf.gather(tf.constant(X), chosen), tf.gather(tf.constant(Y), chosen)))
            return (index + 1,)

        tf.while_loop(lambda index: index < tf.shape(rows)[0], one, (tf.constant(0),))
        return self.get_metrics_result()


def _looping(jit: bool) -> Any:
    inner = _model("sgd")
    model: Any = _Looping(inner.inputs, inner.outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.5), loss, jit_compile=jit)
    return model


def _fit_blocks(model: Any) -> None:
    rows = np.arange(len(X), dtype=np.int32).reshape(2, STEPS // 2, BATCH)
    model.fit(((block,) for block in rows), steps_per_epoch=2, epochs=1, verbose=0)


@pytest.mark.parametrize("jit", [False, True])
def test_many_updates_inside_one_call(jit: bool) -> None:
    plain, measured = _looping(jit), _looping(jit)
    _fit_blocks(plain)
    with hooked(_hook(measured)) as hook:
        _fit_blocks(measured)
    rows = hook.drain()
    assert [row.step for row in rows] == list(range(1, STEPS + 1))
    for row, truth in zip(rows, _by_hand(OPTIMIZERS["sgd"]()), strict=True):
        assert row.scalars == pytest.approx(_norms(truth), rel=1e-3, abs=1e-6)
    for left, right in zip(_everything(plain), _everything(measured), strict=True):
        np.testing.assert_array_equal(left, right)


def test_steps_per_execution_and_eager() -> None:
    for options in ({"steps_per_execution": 4}, {"run_eagerly": True}):
        model = _model("sgd", **options)
        with hooked(_hook(model, at_steps([2, 5]))) as hook:
            _fit(model)
        assert [row.step for row in hook.drain()] == [2, 5]


def test_a_resumed_step_count() -> None:
    model = _model("sgd")
    model.optimizer.iterations.assign(100)
    with hooked(_hook(model, every_steps(3))) as hook:
        _fit(model)
    assert [row.step for row in hook.drain()] == [102, 105]


def test_an_armed_hook_measures_the_next_update() -> None:
    model = _model("sgd")
    with hooked(_hook(model, never(), snapshots=("gradient",))) as hook:
        for start in range(0, len(X), BATCH):
            if start == 2 * BATCH:
                hook.arm(scalars=True, snapshot=True)
            model.train_on_batch(X[start : start + BATCH], Y[start : start + BATCH])
        assert [row.step for row in hook.drain()] == [3]
        snapshot = hook.snapshot()
        assert snapshot is not None
        assert snapshot.step == 3


def test_accumulated_gradients_count_as_one_update() -> None:
    model = _model(keras.optimizers.SGD(0.5, gradient_accumulation_steps=2))
    with hooked(_hook(model)) as hook:
        _fit(model)
    rows = hook.drain()
    assert [row.step for row in rows] == [1, 2, 3]
    assert all(row.scalars["update_norm/one/kernel"] > 0 for row in rows)


def test_some_variables_only() -> None:
    model = _model("sgd")
    with hooked(_hook(model, variables="kernel")) as hook:
        _fit(model)
    assert {tag.partition("/")[2] for tag in hook.drain()[0].scalars} == {"one/kernel", "two/kernel"}


def test_a_variable_without_gradient_has_weight_and_update() -> None:
    model = _model("sgd")
    with hooked(_hook(model)) as hook:
        variables = model.trainable_variables
        gradients = [tf.ones(v.shape) if v.name == "kernel" else None for v in variables]
        with pytest.warns(UserWarning, match="Gradients do not exist"):
            model.optimizer.apply(gradients, variables)
    [row] = hook.drain()
    assert row.scalars["update_norm/one/kernel"] > 0
    assert row.scalars["update_norm/one/bias"] == 0
    assert "gradient_norm/one/bias" not in row.scalars


def test_a_full_buffer_says_so() -> None:
    model = _model("sgd")
    with hooked(_hook(model, variables="two/bias")) as hook:
        _fit(model)
        hook._count.assign(CAPACITY + 5)
        with pytest.warns(UserWarning, match="5 measurements were lost"):
            assert len(hook.drain()) == CAPACITY


def test_everything_is_left_as_found() -> None:
    model = _model("adam")
    _fit(model)
    function, optimizer = model.train_function, model.optimizer
    first, second = _hook(model), _hook(model, at_steps([8]))
    attach(first)
    attach(second)
    hooks_of(model).install()
    assert model.train_function is not function
    _fit(model)
    detach(first)
    assert "apply" in vars(optimizer)
    detach(second)
    detach(second)
    assert "apply" not in vars(optimizer)
    assert model.train_function is function
    assert [len(hook.drain()) for hook in (first, second)] == [STEPS, 1]


def test_an_error_inside_training_leaves_no_hook() -> None:
    model = _model("sgd")
    with pytest.raises(ZeroDivisionError), hooked(_hook(model)):
        raise ZeroDivisionError
    assert "apply" not in vars(model.optimizer)


def test_a_second_training_is_not_traced_again() -> None:
    model = _model("sgd")
    _fit(model)
    hook = _hook(model)
    with hooked(hook):
        _fit(model)
        function = model.train_function
    with hooked(hook):
        assert model.train_function is function
        _fit(model)
    assert [row.step for row in hook.drain()] == list(range(STEPS + 1, 3 * STEPS + 1))


def test_rows_are_plain_numbers() -> None:
    model = _model("sgd")
    with hooked(_hook(model)) as hook:
        _fit(model)
    row = hook.drain()[0]
    assert all(type(value) is float for value in row.scalars.values())
    assert hook.drain() == []
