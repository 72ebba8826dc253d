"""Callbacks, data, copies, disks: bit-identical to a twin without the gauge, all points written, exact warnings."""

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

from mnist_depth.instrument import DepthGauge, JsonLinesWriter, MemoryWriter, MultiWriter, every_steps
from mnist_depth.instrument.notice import notice_if_slow
from tests.instrument.twins import STEPS, X, Y, assert_same, compare, dense, gauge, hidden, messages_of, network, train

pytestmark = pytest.mark.slow


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


def test_what_takes_long_is_announced(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with notice_if_slow("tracing"):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("mnist_depth.instrument.notice.SECONDS", 0.0)
    with notice_if_slow("tracing") as timer:
        timer.join()
    assert capsys.readouterr().err == "DepthGauge: tracing\n"
