"""DepthGauge under `fit`: for every kind of model and of training the exact tags and steps, and weights unchanged."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from mnist_depth.instrument import (
    PRESETS,
    DepthGauge,
    Histogram,
    MemoryWriter,
    at_steps,
    every_epochs,
    every_steps,
)
from mnist_depth.instrument.names import trainable_variables
from mnist_depth.instrument.step_clock import StepClock
from tests.instrument.zoo import SAMPLES, ZOO, Specimen, specimen

pytestmark = pytest.mark.slow

BATCH, EPOCHS = 8, 2
PER_EPOCH = SAMPLES // BATCH
LAST = EPOCHS * PER_EPOCH
EVERY_TWO = every_steps(2)
ENDS = [PER_EPOCH, LAST]
TAPPED = [2, 4, 6]
OF_EPOCHS = {"epoch", "seconds", "learning_rate"}
OF_RECURRENT_LAYERS = {"time_gain", "time_steps"}
PROBED = [0, 2, 3, 4, 6]
"""Every second step, and the ends of the epochs, where the histograms are due."""


class OnceWriter(MemoryWriter):
    """MemoryWriter that fails on a duplicate (tag, step)."""

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        assert not [tag for tag in scalars if step in self.scalars.get(tag, {})]
        super().write_scalars(step, scalars)

    def write_histograms(self, step: int, histograms: Mapping[str, Histogram]) -> None:
        assert not [tag for tag in histograms if step in self.histograms.get(tag, {})]
        super().write_histograms(step, histograms)


def _everything(model: Any) -> list[NDArray[Any]]:
    return [np.asarray(variable.value) for variable in (*model.variables, *model.optimizer.variables)]


def _fit(s: Specimen, *callbacks: Any, **options: Any) -> None:
    model: Any = s.model
    data = (s.x, s.y) if "x" not in options else (options.pop("x"), None)
    if data[1] is not None:
        options = {"batch_size": BATCH, "sample_weight": s.sample_weight, **options}
    model.fit(*data, **{"epochs": EPOCHS, "shuffle": False, "verbose": 0, "callbacks": list(callbacks), **options})


def _gauge(s: Specimen, **options: Any) -> tuple[DepthGauge, OnceWriter]:
    writer = OnceWriter()
    return DepthGauge(writer, (s.x, s.y, s.sample_weight), **{"schedule": EVERY_TWO, "graph": False, **options}), writer


def _steps(series: Mapping[str, Mapping[int, Any]]) -> dict[str, list[int]]:
    return {tag: sorted(points) for tag, points in series.items()}


def _expected_scalars(s: Specimen, logs: set[str]) -> dict[str, list[int]]:
    """What the standard preset writes."""
    of_layers = ("activation_mean", "activation_std", "activation_std_across_samples", "zero_share", "dead_share")
    expected = {f"{quantity}/{layer}": PROBED for quantity in of_layers for layer in s.layers}
    expected |= {f"saturated_share/{layer}": PROBED for layer in s.bounded}
    expected |= {f"pre_activation_gradient_norm/{layer}": PROBED for layer in s.activated}
    expected |= {f"{quantity}/{layer}": PROBED for quantity in OF_RECURRENT_LAYERS for layer in s.recurrent}
    for variable in trainable_variables(s.model):
        expected[f"probe_gradient_norm/{variable}"] = PROBED
        expected[f"probe_gradient_zero_share/{variable}"] = [0, *ENDS]
        expected[f"weight_norm/{variable}"] = [0, 1, *TAPPED]
        expected[f"update_ratio/{variable}"] = [1, *TAPPED]
    return expected | {"probe_loss": PROBED} | dict.fromkeys(logs | OF_EPOCHS, ENDS)


def _expected_histograms(s: Specimen) -> dict[str, list[int]]:
    variables = [f"{subject}/{n}" for n in trainable_variables(s.model) for subject in ("weight", "probe_gradient")]
    logarithms = [f"probe_gradient_log10/{n}" for n in trainable_variables(s.model)]
    return {tag: [0, *ENDS] for tag in (*variables, *logarithms, *(f"activation/{layer}" for layer in s.layers))}


@pytest.mark.parametrize("kind", ZOO)
def test_every_kind_of_model(kind: str) -> None:
    plain, measured = specimen(kind, optimizer="adam"), specimen(kind, optimizer="adam")
    _fit(plain)
    gauge, writer = _gauge(measured, graph=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _fit(measured, gauge)
    for left, right in zip(_everything(plain.model), _everything(measured.model), strict=True):
        np.testing.assert_array_equal(left, right)
    logs = set(plain.model.get_metrics_result())
    assert _steps(writer.scalars) == _expected_scalars(measured, logs)
    assert _steps(writer.histograms) == _expected_histograms(measured)
    assert writer.graph is not None
    assert gauge.first_nonfinite is None


def _from_dataset(s: Specimen) -> dict[str, Any]:
    return {"x": tf.data.Dataset.from_tensor_slices((s.x, s.y, s.sample_weight)).batch(BATCH)}


def _from_generator(s: Specimen) -> dict[str, Any]:
    def batches() -> Iterator[Any]:
        while True:
            for start in range(0, SAMPLES, BATCH):
                chosen = slice(start, start + BATCH)
                yield s.x[chosen], s.y[chosen], s.sample_weight[chosen]

    return {"x": batches(), "steps_per_epoch": PER_EPOCH, "shuffle": None}


TRAININGS: dict[str, tuple[dict[str, Any], Any]] = {
    "compiled": ({"jit_compile": True}, None),
    "automatic": ({"jit_compile": "auto"}, None),
    "eager": ({"run_eagerly": True}, None),
    "dataset": ({"jit_compile": False}, _from_dataset),
    "generator": ({"jit_compile": False}, _from_generator),
}


@pytest.mark.parametrize("training", TRAININGS)
def test_every_kind_of_training(training: str) -> None:
    compile_options, source = TRAININGS[training]
    plain, measured = specimen("functional", **compile_options), specimen("functional", **compile_options)
    _fit(plain, **(source(plain) if source else {}))
    gauge, writer = _gauge(measured)
    _fit(measured, gauge, **(source(measured) if source else {}))
    for left, right in zip(_everything(plain.model), _everything(measured.model), strict=True):
        np.testing.assert_array_equal(left, right)
    assert _steps(writer.scalars) == _expected_scalars(measured, {"loss", "accuracy"})
    assert _steps(writer.histograms) == _expected_histograms(measured)


def test_several_steps_per_execution() -> None:
    """Due steps inside a block of three: updates at their own steps, the probe at the block's end."""
    plain, measured = (specimen("sequential", steps_per_execution=3) for _ in range(2))
    _fit(plain)
    gauge, writer = _gauge(measured, gradients="both")
    _fit(measured, gauge)
    for left, right in zip(_everything(plain.model), _everything(measured.model), strict=True):
        np.testing.assert_array_equal(left, right)
    assert sorted(writer.scalars["gradient_norm/one/kernel"]) == [1, *TAPPED]
    assert sorted(writer.scalars["probe_gradient_norm/one/kernel"]) == [0, 3, 6]


def test_the_step_is_read_only_where_something_may_be_due(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    read = StepClock.read

    def counted(clock: StepClock) -> int:
        before = read(clock)
        reads.append(clock.step)
        return before

    monkeypatch.setattr(StepClock, "read", counted)
    s = specimen("sequential")
    gauge, writer = _gauge(s, schedule=at_steps([17, 40]), histograms=at_steps([]))
    _fit(s, gauge, batch_size=1)
    assert sorted(writer.scalars["activation_std/one"]) == [17, 40]
    # Ahead of the first batch and behind it; around every update that is due; at the ends of the epochs.
    assert reads == [0, 1, 16, 17, SAMPLES, 39, 40, 2 * SAMPLES]


def test_a_gauge_on_a_probe_leaves_the_training_step_alone() -> None:
    """Updates are seen from outside: the train function and the optimizer are the model's own throughout."""
    s = specimen("sequential")
    _fit(s)
    plain, functions, shadowed = s.model.train_function, set(), set()

    class Spy(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            functions.add(s.model.train_function)
            shadowed.add("apply" in vars(s.model.optimizer))

    gauge, writer = _gauge(s)
    _fit(s, gauge, Spy())
    assert functions == {plain}
    assert shadowed == {False}
    assert _steps(writer.scalars)["update_ratio/one/kernel"] == [8, 10, 12]


def test_applied_gradients_take_one_train_function_from_the_first_batch_to_the_last() -> None:
    s = specimen("sequential")
    _fit(s)
    plain, functions = s.model.train_function, []

    class Spy(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            functions.append(s.model.train_function)

    gauge, writer = _gauge(s, applied=at_steps([LAST + 5]), gradients="applied", histograms=at_steps([LAST + 5]))
    _fit(s, gauge, Spy())
    assert len(functions) == LAST
    assert len(set(functions)) == 1
    assert functions[0] is not plain
    assert s.model.train_function is plain
    assert _steps(writer.scalars)["gradient_norm/one/kernel"] == [LAST + 5]


@pytest.fixture
def _half() -> Iterator[None]:
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.usefixtures("_half")
def test_mixed_precision() -> None:
    """Loss scaling multiplies the gradients by 2^15; what is written is free of it."""
    plain, measured = specimen("functional"), specimen("functional")
    optimizer: Any = measured.model.optimizer
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    _fit(plain)
    gauge, writer = _gauge(measured, gradients="both")
    _fit(measured, gauge)
    for left, right in zip(_everything(plain.model), _everything(measured.model), strict=True):
        np.testing.assert_array_equal(left, right)
    updates = int(np.asarray(optimizer.iterations.value))  # loss scaling skips those that overflow
    assert updates >= 4
    assert sorted(writer.scalars["gradient_norm/layer_01/kernel"]) == [step for step in [1, *TAPPED] if step <= updates]
    for whose in ("", "probe_"):
        assert 0 < writer.scalars[f"{whose}gradient_norm/layer_03/kernel"][2] < 10


def test_gradients_that_training_applied() -> None:
    s = specimen("sequential")
    gauge, writer = _gauge(s, gradients="applied")
    _fit(s, gauge)
    assert sorted(writer.scalars["gradient_norm/one/kernel"]) == [1, *TAPPED]
    assert sorted(writer.histograms["gradient_log10/one/kernel"]) == [1, PER_EPOCH + 1]
    assert not any(tag.startswith("probe_gradient_norm") for tag in writer.scalars)
    assert sorted(writer.scalars["activation_std/one"]) == PROBED


def test_without_a_probe() -> None:
    s = specimen("sequential")
    writer = OnceWriter()
    _fit(s, DepthGauge(writer, schedule=EVERY_TWO))
    assert {tag.partition("/")[0] for tag in writer.scalars} == {
        "loss",
        "gradient_norm",
        "weight_norm",
        "update_ratio",
        "gradient_zero_share",
        *OF_EPOCHS,
    }
    assert writer.graph is not None


def test_probe_and_applied_gradient_agree_on_the_same_batch() -> None:
    """The gradient that update k + 1 applied is the probe's at step k, if the probe is the training batch."""
    s = specimen("sequential")
    writer = OnceWriter()
    gauge = DepthGauge(writer, (s.x, s.y), schedule=every_steps(1), gradients="both")
    _fit(s, gauge, batch_size=SAMPLES, epochs=4)
    applied, probed = (writer.scalars[f"{whose}gradient_norm/two/kernel"] for whose in ("", "probe_"))
    for step in range(4):
        assert applied[step + 1] == pytest.approx(probed[step], rel=1e-4)


def test_full_writes_every_statistic_and_light_only_scalars() -> None:
    full, light = OnceWriter(), OnceWriter()
    s = specimen("sequential")
    data = (s.x, s.y)
    _fit(
        s,
        DepthGauge(full, data, preset="full", schedule=EVERY_TWO, gradients="both"),
        DepthGauge(light, data, preset="light"),
    )
    quantities = {tag.partition("/")[0].removeprefix("probe_") for tag in full.scalars}
    assert set(PRESETS["full"].statistics) - OF_RECURRENT_LAYERS <= quantities
    subjects = {tag.partition("/")[0].removeprefix("probe_") for tag in full.histograms}
    assert subjects == set(PRESETS["full"].histograms)
    assert light.scalars
    assert not light.histograms


def test_validation_scalars() -> None:
    s = specimen("functional")
    gauge, writer = _gauge(s)
    _fit(s, gauge, validation_data=(s.x, s.y))
    for tag in ("loss", "accuracy", "validation_loss", "validation_accuracy"):
        assert sorted(writer.scalars[tag]) == ENDS
    silent, nothing = _gauge(s, epoch_scalars=False)
    _fit(s, silent)
    assert not {"loss", "accuracy"} & set(nothing.scalars)


def test_a_resumed_training_goes_on_where_it_stopped() -> None:
    """Interrupted after epoch 1 but written to step 4: the later points are dropped and written again, once."""
    whole, halved = specimen("sequential"), specimen("sequential")
    expected_gauge, expected = _gauge(whole)
    _fit(whole, expected_gauge)

    gauge, writer = _gauge(halved)
    _fit(halved, gauge, epochs=1)
    writer.write_scalars(4, {"loss": 0.0, "activation_std/one": 0.0})
    again = DepthGauge(writer, (halved.x, halved.y), schedule=EVERY_TWO)
    _fit(halved, again, initial_epoch=1)
    assert _steps(writer.scalars) == _steps(expected.scalars)
    assert _steps(writer.histograms) == _steps(expected.histograms)
    for tag, points in expected.scalars.items():
        if tag != "seconds":
            assert writer.scalars[tag] == pytest.approx(points, rel=1e-5, abs=1e-7)


def test_one_gauge_for_several_trainings() -> None:
    s = specimen("sequential")
    gauge, writer = _gauge(s)
    _fit(s, gauge, epochs=1)
    _fit(s, gauge, epochs=1)
    assert sorted(writer.scalars["activation_std/one"]) == PROBED


def test_a_schedule_of_its_own_for_what_is_applied() -> None:
    s = specimen("sequential")
    gauge, writer = _gauge(s, schedule=at_steps([4]), applied=at_steps([1, 5]), gradients="both")
    _fit(s, gauge)
    assert sorted(writer.scalars["gradient_norm/one/kernel"]) == [1, 5]
    assert sorted(writer.scalars["probe_gradient_norm/one/kernel"]) == [0, PER_EPOCH, 4, LAST]


def test_restarted_for_another_run() -> None:
    """The same model trains twice from the start; the second run's writer holds what the first one's holds."""
    s = specimen("sequential")
    start = [np.asarray(variable.value) for variable in (*s.model.variables, *_optimizer(s).variables)]
    gauge, first = _gauge(s, gradients="both", graph=True)
    _fit(s, gauge)
    for variable, value in zip((*s.model.variables, *_optimizer(s).variables), start, strict=True):
        variable.assign(value)
    second = OnceWriter()
    gauge.restart(second)
    _fit(s, gauge)
    for writer in (first, second):
        del writer.scalars["seconds"]
    assert second.scalars == first.scalars
    assert _steps(second.histograms) == _steps(first.histograms)
    assert second.graph is not None


def _optimizer(s: Specimen) -> Any:
    optimizer: Any = s.model.optimizer
    optimizer.build(s.model.trainable_variables)
    return optimizer


def test_compiled_anew_between_two_trainings() -> None:
    s = specimen("sequential")
    gauge, writer = _gauge(s)
    _fit(s, gauge, epochs=1)
    model: Any = s.model
    model.compile("adam", model.loss)
    model.optimizer.iterations.assign(PER_EPOCH)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # a new trace is expected here
        _fit(s, gauge, epochs=1)
    assert sorted(writer.scalars["update_ratio/one/kernel"]) == [1, *TAPPED]
    assert "apply" not in vars(model.optimizer)


def test_layers_and_variables_by_regular_expression() -> None:
    s = specimen("sequential")
    gauge, writer = _gauge(s, layers="^t", variables="one/")
    _fit(s, gauge)
    named = {tag.partition("/")[2] for tag in (*writer.scalars, *writer.histograms)}
    assert named == {"", "two", "three", "one/kernel", "one/bias"}


def test_the_first_non_finite_value_is_named() -> None:
    """A learning rate that overflows at the first update: from step 1 on, forward from layer one."""
    s = specimen("sequential", optimizer=keras.optimizers.SGD(1e38))
    gauge, writer = _gauge(s, schedule=every_steps(1))
    with pytest.warns(UserWarning, match=r"first non-finite value at step \d: "):
        _fit(s, gauge)
    assert gauge.first_nonfinite is not None
    step, tag = gauge.first_nonfinite
    assert not math.isfinite(writer.scalars[tag][step])
    assert all(math.isfinite(v) for points in writer.scalars.values() for at, v in points.items() if at < step)
    assert list(writer.texts["non_finite"]) == [step]
    for points in writer.histograms.values():
        assert all(np.isfinite(bars.edges).all() for bars in points.values())


def test_nothing_due_writes_nothing_of_the_inside() -> None:
    s = specimen("sequential")
    gauge, writer = _gauge(s, schedule=at_steps([]), histograms=at_steps([]))
    _fit(s, gauge)
    assert set(writer.scalars) == {"loss", *OF_EPOCHS}
    assert not writer.histograms
    assert writer.graph is None


class OwnOptimizer(keras.Model):
    """Trains with an optimizer that it keeps for itself."""

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        with tf.GradientTape() as tape:
            loss: Any = self.compute_loss(x, y, self(x, training=True))
        variables = self.trainable_variables
        own: Any = self.own_optimizer
        own.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        return {"loss": loss}


def test_an_optimizer_of_the_models_own() -> None:
    s = specimen("sequential")
    model: Any = OwnOptimizer(s.model.inputs, s.model.outputs)
    model.own_optimizer = keras.optimizers.SGD(0.1)
    model.compile(loss=s.model.loss, jit_compile=False)
    gauge, writer = _gauge(s, gradients="both", optimizer=model.own_optimizer)
    model.fit(s.x, s.y, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=[gauge])
    assert sorted(writer.scalars["gradient_norm/one/kernel"]) == [1, *TAPPED]
    assert sorted(writer.scalars["probe_gradient_norm/one/kernel"]) == PROBED
    assert "apply" not in vars(model.own_optimizer)


def test_accumulated_gradients_are_announced() -> None:
    s = specimen("sequential", optimizer=keras.optimizers.SGD(0.1, gradient_accumulation_steps=3))
    gauge, writer = _gauge(s, gradients="both", schedule=every_steps(1))
    with pytest.warns(UserWarning, match="gradients are accumulated"):
        _fit(s, gauge)
    assert sorted(writer.scalars["gradient_norm/one/kernel"]) == [1, 2]


def test_hparams_and_epoch_schedules() -> None:
    s = specimen("sequential")
    gauge, writer = _gauge(s, schedule=every_epochs(2), hparams={"depth": 3})
    _fit(s, gauge)
    assert writer.hparams == {"depth": 3}
    assert sorted(writer.scalars["update_ratio/one/kernel"]) == [1]


def test_an_error_in_training_can_be_cleaned_up() -> None:
    class Break(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            raise KeyboardInterrupt

    s = specimen("sequential")
    gauge, _ = _gauge(s)
    with pytest.raises(KeyboardInterrupt):
        _fit(s, gauge, Break())
    gauge.detach()
    assert "apply" not in vars(s.model.optimizer)
    again, writer = _gauge(s)
    _fit(s, again, epochs=1)
    assert writer.scalars


def test_a_model_whose_graph_cannot_be_drawn_is_still_measured() -> None:
    writer = OnceWriter()
    s = specimen("subclassed")
    with pytest.warns(UserWarning, match="no graph is written: a model that does not declare its inputs needs a probe"):
        _fit(s, DepthGauge(writer, schedule=EVERY_TWO))
    assert writer.scalars["gradient_norm/head/kernel"]
