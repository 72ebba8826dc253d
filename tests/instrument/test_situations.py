"""Unusual trainings: bit-identical to a twin without the gauge, measured under the right names, exact warnings."""

from __future__ import annotations

import copy
import pickle
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mnist_depth.instrument import DepthGauge, JsonLinesWriter, MemoryWriter, MultiWriter, every_steps, measure
from mnist_depth.instrument.notice import notice_if_slow
from tests.instrument.twins import STEPS, X, Y, assert_same, dense, messages_of, network, train

pytestmark = pytest.mark.slow


def gauge(probe: Any = (X, Y), **options: Any) -> tuple[DepthGauge, MemoryWriter]:
    writer = MemoryWriter()
    given = {"schedule": every_steps(1), "gradients": "both" if probe is not None else None, "on_finding": "ignore"}
    return DepthGauge(writer, probe, **{**given, **options}), writer


def hidden(**options: Any) -> Any:
    return network(dense(5, "tanh", name="hidden"), **options)


def compare(make: Callable[[], Any], measuring: DepthGauge) -> None:
    assert_same(train(make), train(make, [measuring]))


class Acts(keras.callbacks.Callback):
    """Does something to the model after the second batch of an epoch."""

    def __init__(self, action: Callable[[Any], Any]) -> None:
        super().__init__()
        self.action = action

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch == 1:
            self.action(self.model)


def shrink(model: Any) -> None:
    model.set_weights([weight * 0.5 for weight in model.get_weights()])


def freeze(model: Any) -> None:
    model.layers[0].trainable = not model.layers[0].trainable


def compile_with_the_same_optimizer(model: Any) -> None:
    model.compile(model.optimizer, "mae", jit_compile=False)
    model.make_train_function()


def stop(model: Any) -> None:
    model.stop_training = True


@pytest.mark.parametrize(
    ("action", "warned"),
    [
        (shrink, []),
        (freeze, ["the probe is traced anew: the model's trainable variables changed"] * 2),
        (compile_with_the_same_optimizer, ["the probe is traced anew: the model's loss changed"] * 2),
        (stop, []),
    ],
)
def test_a_callback_that_changes_the_model_during_fit(action: Callable[[Any], Any], warned: list[str]) -> None:
    measuring, writer = gauge()
    plain = train(hidden, [Acts(action)])
    found: list[Any] = []
    messages = messages_of(lambda: found.append(train(hidden, [Acts(action), measuring])))
    assert_same(plain, found[0])
    assert messages == warned
    last = int(found[0].optimizer.iterations.numpy())
    assert list(writer.scalars["probe_loss"]) == list(range(last + 1))
    weight = np.linalg.norm(np.asarray(found[0].layers[-1].kernel))
    assert writer.scalars["weight_norm/out/kernel"][last] == pytest.approx(weight, rel=1e-5)


def masked() -> Any:
    inputs = keras.Input((6,), dtype="int32")
    x = keras.layers.LSTM(4, name="lstm")(keras.layers.Embedding(9, 3, mask_zero=True, name="words")(inputs))
    return compiled(keras.Model(inputs, dense(1, name="out")(x)))


def compiled(model: Any, loss: Any = "mse", **options: Any) -> Any:
    model.compile(options.pop("optimizer", "sgd"), loss, **{"jit_compile": False, **options})
    return model


def shared_twice() -> Any:
    encoder = keras.Sequential([keras.Input((6,)), dense(4, "tanh", name="code")], name="encoder")
    left, right = keras.Input((6,)), keras.Input((6,))
    joined = keras.layers.Concatenate(name="join")([encoder(left), encoder(right)])
    return compiled(keras.Model([left, right], dense(1, name="out")(joined)))


def many_losses() -> Any:
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    x = keras.layers.Add(name="sum")([dense(4, name="a")(left), dense(4, name="b")(right)])
    outputs = {"size": dense(1, name="size")(x), "kind": dense(3, "softmax", name="kind")(x)}
    losses = {"size": "mse", "kind": "sparse_categorical_crossentropy"}
    return compiled(keras.Model({"left": left, "right": right}, outputs), losses, loss_weights={"size": 0.1, "kind": 2})


def lora() -> Any:
    model = hidden()
    model.layers[0].enable_lora(2)
    return compiled(model)


def xla() -> Any:
    return hidden(jit_compile=True)


def averaged() -> Any:
    return hidden(optimizer=keras.optimizers.Adam(0.01, use_ema=True, gradient_accumulation_steps=2))


def half_precision() -> Any:
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=256.0)
    return network(keras.layers.Dense(5, "tanh", name="hidden", dtype="mixed_float16"), optimizer=optimizer)


class FitsItsOwnWay(keras.Model):
    """Overrides `fit`, and steps a second optimizer by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = dense(4, "tanh", name="hidden"), dense(1, name="out")
        self.second = keras.optimizers.Adam(0.01)

    def call(self, inputs: Any) -> Any:
        return self.out(self.hidden(inputs))

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        return super().fit(*args, **kwargs)

    def train_step(self, data: Any) -> Any:
        x, y = data[:2]
        with tf.GradientTape() as tape:
            loss: Any = self.compute_loss(x, y, self(x, training=True))
        parts = [self.hidden.trainable_weights, self.out.trainable_weights]
        weights: Any = [weight for part in parts for weight in part]
        gradients: Any = tape.gradient(loss, [weight.value for weight in weights])
        self.optimizer.apply(gradients[:2], parts[0])
        self.second.apply(gradients[2:], parts[1])
        return {"loss": loss}


def own_fit() -> Any:
    return compiled(FitsItsOwnWay())


def on_one_replica() -> Any:
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        return hidden()


WORDS = np.random.default_rng(5).integers(0, 9, (64, 6))
KINDS = np.random.default_rng(6).integers(0, 3, 64)
WEIGHTS = np.random.default_rng(7).random(64).astype("float32")
LEFT_RIGHT = {"left": X, "right": X[::-1].copy()}
TARGETS = {"size": Y, "kind": KINDS}
OF_HIDDEN = {"hidden/kernel", "hidden/bias", "out/kernel", "out/bias"}

ACCUMULATED = "gradients are accumulated: of every update, the last minibatch's is written"

MODELS: dict[str, tuple[Callable[[], Any], Any, set[str], list[str]]] = {
    "masked": (
        masked,
        (WORDS, Y),
        {"words/embeddings", *(f"lstm/lstm_cell/{v}" for v in ("kernel", "recurrent_kernel", "bias"))}
        | {"out/kernel", "out/bias"},
        [],
    ),
    "shared twice": (
        shared_twice,
        ([X, X[::-1].copy()], Y),
        {"encoder/code/kernel", "encoder/code/bias", "out/kernel", "out/bias"},
        [],
    ),
    "many losses": (
        many_losses,
        (LEFT_RIGHT, TARGETS),
        {f"{layer}/{v}" for layer in ("a", "b", "size", "kind") for v in ("kernel", "bias")},
        [],
    ),
    "sample weights": (hidden, (X, Y, WEIGHTS), OF_HIDDEN, []),
    "lora": (
        lora,
        (X, Y),
        {"hidden/bias", "hidden/lora_kernel_a", "hidden/lora_kernel_b", "out/kernel", "out/bias"},
        [],
    ),
    "xla": (xla, (X, Y), OF_HIDDEN, []),
    "averaged and accumulated": (averaged, (X, Y), OF_HIDDEN, [ACCUMULATED]),
    "half precision": (half_precision, (X, Y), OF_HIDDEN, []),
    "a fit of its own": (own_fit, (X, Y), OF_HIDDEN, []),
    "one replica": (on_one_replica, (X, Y), OF_HIDDEN, []),
}


@pytest.mark.parametrize("name", list(MODELS))
def test_models(name: str) -> None:
    make, data, variables, warned = MODELS[name]
    sample_weight = {"sample_weight": data[2]} if len(data) == 3 else {}
    measuring, writer = gauge(data)
    plain = train(make, data=data[:2], epochs=1, **sample_weight)
    found: list[Any] = []
    messages = messages_of(lambda: found.append(train(make, [measuring], data=data[:2], epochs=1, **sample_weight)))
    assert_same(plain, found[0])
    assert messages == warned
    updates = int(found[0].optimizer.iterations.numpy())
    for kind, steps in (("probe_gradient_norm", range(updates + 1)), ("gradient_norm", range(1, updates + 1))):
        series = {tag.partition("/")[2]: points for tag, points in writer.scalars.items() if tag.startswith(f"{kind}/")}
        assert set(series) == variables
        assert {tuple(points) for points in series.values()} == {tuple(steps)}
    assert writer.graph is not None


def test_the_probe_weighs_losses_and_samples_as_training_does() -> None:
    """The loss on a probe that is the whole epoch is the loss that `evaluate` reports."""
    measuring, writer = gauge((LEFT_RIGHT, TARGETS, {"size": WEIGHTS, "kind": WEIGHTS}), schedule=every_steps(100))
    keras.utils.set_random_seed(1)
    model = many_losses()
    weights: Any = {"size": WEIGHTS, "kind": WEIGHTS}
    expected = model.evaluate(LEFT_RIGHT, TARGETS, sample_weight=weights, batch_size=64, verbose=0, return_dict=True)
    model.fit(LEFT_RIGHT, TARGETS, sample_weight=weights, verbose=0, callbacks=[measuring])
    assert writer.scalars["probe_loss"][0] == pytest.approx(expected["loss"], rel=1e-5)


# Data


class Batches(keras.utils.PyDataset):
    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, index: int) -> Any:
        return X[index * 16 : index * 16 + 16], Y[index * 16 : index * 16 + 16]


def ends_early() -> Iterator[Any]:
    batches = Batches()
    for index in range(3):
        yield batches[index]


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (lambda: Batches(workers=2), {}),
        (ends_early, {"steps_per_epoch": 2}),
        (lambda: tf.data.Dataset.from_tensor_slices((X, Y)).batch(16).repeat(), {"steps_per_epoch": 3}),
        (Batches, {"initial_epoch": 1}),
        (Batches, {"epochs": 0}),
    ],
    ids=["workers", "a generator that ends early", "endless", "initial_epoch", "no epoch"],
)
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_data(data: Callable[[], Any], options: dict[str, Any]) -> None:
    def fit(callbacks: Any) -> Any:
        return train(hidden, callbacks, data=(data(),), batch_size=None, **options)

    measuring, writer = gauge()
    plain = fit([])
    assert_same(plain, fit([measuring]))
    updates = int(plain.optimizer.iterations.numpy())
    assert list(writer.scalars.get("probe_loss", {})) == (list(range(updates + 1)) if updates else [])
    if "initial_epoch" in options:
        assert writer.scalars["epoch"] == {4: 2.0}


def test_evaluate_and_predict_measure_nothing() -> None:
    measuring, writer = gauge()
    model = hidden()
    model.evaluate(X, Y, verbose=0, callbacks=[measuring])
    model.predict(X, verbose=0, callbacks=[measuring])
    assert writer.scalars == {}


# Gauges


class Breaks(keras.callbacks.Callback):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch == 2:
            raise self.error


@pytest.mark.parametrize(
    ("error", "gauge_first"), [(KeyboardInterrupt(), False), (RuntimeError("from another callback"), True)]
)
def test_an_interrupted_fit_goes_on_as_without_the_gauge(error: BaseException, gauge_first: bool) -> None:
    def both(measuring: list[Any]) -> Any:
        keras.utils.set_random_seed(1)
        model = hidden()
        breaks = [Breaks(error)]
        with pytest.raises(type(error)):
            model.fit(
                X, Y, 16, shuffle=False, verbose=0, callbacks=measuring + breaks if gauge_first else breaks + measuring
            )
        model.fit(X, Y, 16, shuffle=False, verbose=0, callbacks=measuring)
        return model

    measuring, writer = gauge()
    assert_same(both([]), both([measuring]))
    assert list(writer.scalars["probe_loss"])[-4:] == [4, 5, 6, 7]


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda used: pickle.loads(pickle.dumps(used))], ids=["deepcopy", "pickle"]
)
def test_a_copy_of_a_used_gauge_measures_another_training(copied: Callable[[Any], Any], tmp_path: Path) -> None:
    first = DepthGauge(tmp_path / "run", (X, Y), schedule=every_steps(1), on_finding="ignore")
    train(hidden, [first])
    second = copied(first)
    assert second.folder is None
    other = train(lambda: network(dense(3, name="narrow")), [second])
    assert (first.folder, second.folder) == (str(tmp_path / "run"), str(tmp_path / "run-2"))
    assert_same(other, train(lambda: network(dense(3, name="narrow"))))


def test_a_model_that_was_trained_before_has_its_graph_and_its_start_in_a_writer() -> None:
    model = train(hidden)
    measuring, writer = gauge()
    model.fit(X, Y, 16, verbose=0, callbacks=[measuring])
    assert writer.graph is not None
    assert list(writer.scalars["probe_loss"]) == list(range(2 * STEPS, 3 * STEPS + 1))


def test_a_resumed_training_has_one_graph(tmp_path: Path) -> None:
    model = hidden()
    graphs = []
    for _ in range(2):
        writer, lines = MemoryWriter(), JsonLinesWriter(tmp_path)
        measuring = DepthGauge(MultiWriter(writer, lines), (X, Y), schedule=every_steps(1), on_finding="ignore")
        model.fit(X, Y, 16, verbose=0, callbacks=[measuring])
        lines.close()
        graphs.append(writer.graph is not None)
    assert graphs == [True, False]


class Full(MemoryWriter):
    """Has no space left after some scalars."""

    def __init__(self, writes_left: int) -> None:
        super().__init__()
        self.writes_left = writes_left

    def write_scalars(self, step: int, scalars: Any) -> None:
        self.writes_left -= 1
        if self.writes_left < 0:
            raise OSError(28, "No space left on device", "metrics.jsonl")
        super().write_scalars(step, scalars)


def test_a_disk_that_is_full_does_not_end_training() -> None:
    writer = Full(5)
    measuring = DepthGauge(writer, (X, Y), schedule=every_steps(1), on_finding="ignore")
    messages = messages_of(partial(compare, hidden, measuring))
    assert messages == [
        "the gauge writes nothing more: [Errno 28] No space left on device: 'metrics.jsonl'; training goes on"
    ]


def test_a_folder_that_cannot_be_written_does_not_end_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    measuring = DepthGauge(tmp_path / "file" / "run", (X, Y), on_finding="ignore")
    messages = messages_of(partial(compare, hidden, measuring))
    assert [message.partition(":")[0] for message in messages] == ["nothing is written"]
    assert "Not a directory" in messages[0]


def test_a_folder_that_vanishes_does_not_end_training(tmp_path: Path) -> None:
    def fit(callbacks: list[Any]) -> Any:
        return train(hidden, [Acts(lambda model: shutil.rmtree(tmp_path, ignore_errors=True)), *callbacks])

    measuring = DepthGauge(tmp_path / "run", (X, Y), schedule=every_steps(1), on_finding="ignore")
    messages = messages_of(lambda: assert_same(fit([]), fit([measuring])))
    assert [message.partition(":")[0] for message in messages] == ["the gauge writes nothing more"]


def test_a_dictionary_of_inputs_is_drawn_without_a_probe() -> None:
    measuring, writer = gauge(None)
    train(many_losses, [measuring], data=(LEFT_RIGHT, TARGETS))
    assert {"a", "b", "size", "kind"} <= {node.name.partition("/")[0] for node in writer.graph.node}


def test_a_model_without_trainable_weights_costs_no_warning() -> None:
    def frozen() -> Any:
        model = hidden()
        model.trainable = False
        return compiled(model)

    measuring, writer = gauge(gradients=None)
    assert messages_of(lambda: train(frozen, [measuring])) == []
    assert list(writer.scalars["activation_std/hidden"]) == list(range(2 * STEPS + 1))


def test_an_activation_that_creates_its_weights_late() -> None:
    """The slopes of a PReLU are created in its first call; they are measured as all others, without a second trace."""

    def make() -> Any:
        return network(dense(5, keras.layers.PReLU(name="prelu"), name="hidden"))

    expected = {*OF_HIDDEN, "hidden/prelu/alpha"}
    for probe, kinds in (((X, Y), ("gradient_norm/", "probe_gradient_norm/")), (None, ("gradient_norm/",))):
        measuring, writer = gauge(probe)
        assert messages_of(partial(compare, make, measuring)) == []
        for kind in kinds:
            assert {tag.removeprefix(kind) for tag in writer.scalars if tag.startswith(kind)} == expected


@pytest.mark.parametrize("separate", [False, True], ids=["activation of the layer", "layer of its own"])
def test_dead_units_behind_a_normalization(separate: bool) -> None:
    """Six of ten units get a bias far below zero: 60 % dead, wherever the ReLU is."""
    if separate:
        layers = [dense(10), keras.layers.BatchNormalization(name="norm"), keras.layers.ReLU(name="relu")]
    else:
        layers = [dense(10, "relu", name="relu")]
    model = network(*layers)
    shift = layers[1].beta if separate else layers[0].bias
    shift.assign([-50.0] * 6 + [50.0] * 4)
    assert measure(model, X, Y).quantity("dead_share")["relu"] == pytest.approx(0.6)


def test_a_loss_that_the_train_step_adds_to_is_not_the_probes() -> None:
    """Keras' compiled loss is only a part of what this step minimizes."""

    class Distiller(keras.Model):
        def train_step(self, data: Any) -> Any:
            x, y = data
            with tf.GradientTape() as tape:
                predicted: Any = self(x, training=True)
                loss: Any = self.compute_loss(x, y, predicted)
                loss = 0.1 * loss + keras.ops.mean(predicted**2)
            weights: Any = self.trainable_variables
            self.optimizer.apply(tape.gradient(loss, [weight.value for weight in weights]), weights)
            return {"loss": loss}

    def make() -> Any:
        inputs = keras.Input((6,))
        return compiled(Distiller(inputs, dense(1, name="out")(inputs)))

    measuring, writer = gauge(gradients=None)
    messages = messages_of(partial(compare, make, measuring))
    assert [m.partition(":")[0] for m in messages] == ["gradients are those that training applies"]
    assert "gradient_norm/out/kernel" in writer.scalars
    assert "probe_gradient_norm/out/kernel" not in writer.scalars


def test_a_model_in_half_precision_prints_nothing(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnist_depth.instrument.notice.SECONDS", 1e6)
    capfd.readouterr()
    train(half_precision, [gauge()[0]])
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_what_takes_long_is_announced(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with notice_if_slow("tracing"):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("mnist_depth.instrument.notice.SECONDS", 0.0)
    with notice_if_slow("tracing") as timer:
        timer.join()
    assert capsys.readouterr().err == "DepthGauge: tracing\n"
