"""One folder holds one training: the same training resumes in it, another one gets a new folder."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mnist_depth.cli import flags
from mnist_depth.cli.analyze import diagnose
from mnist_depth.instrument import DepthGauge, MemoryWriter, every_steps
from mnist_depth.records import read_gauge
from tests.instrument.twins import STEPS, X, Y, dense, network

pytestmark = pytest.mark.slow

SCHEDULE = every_steps(2)


def model(seed: int = 1) -> Any:
    keras.utils.set_random_seed(seed)
    return network(dense(4, "relu", name="hidden"))


def gauge(folder: Path | str, **options: Any) -> DepthGauge:
    return DepthGauge(str(folder), (X, Y), **{"schedule": SCHEDULE, "graph": False, **options})


def fit(trained: Any, *callbacks: Any, epochs: int = 2, initial_epoch: int = 0) -> None:
    options = {"batch_size": 16, "shuffle": False, "verbose": 0, "initial_epoch": initial_epoch}
    trained.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **options)


def test_an_address_is_no_folder() -> None:
    with pytest.raises(ValueError, match="takes a folder of this machine, not the address gs://bucket/logs; mount it"):
        gauge("gs://bucket/logs")


def series(folder: Path | str, tag: str, split: str = "train") -> list[tuple[int, float]]:
    lines = [json.loads(line) for line in Path(folder, "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["scalars"][tag]) for line in lines if line["run"] == split and tag in line["scalars"]]


def steps(folder: Path | str, tag: str = "probe_loss") -> list[int]:
    return [step for step, _ in series(folder, tag)]


WHOLE = [0, 2, 4, 6, 8]


def test_what_the_folder_holds(tmp_path: Path) -> None:
    trained, target = model(), tmp_path / "mine"
    measuring = gauge(target, graph=True)
    trained.fit(X, Y, batch_size=16, epochs=2, verbose=0, validation_split=0.25, callbacks=[measuring])
    assert {path.name for path in target.iterdir()} == {
        "gauge.json",
        "metrics.jsonl",
        "train",
        "validation",
    }
    record = json.loads((target / "gauge.json").read_text())
    assert record["format"] == 1
    assert record["layers"] == [
        {"name": "hidden", "class": "Dense", "parameters": 28, "activation": "relu"},
        {"name": "out", "class": "Dense", "parameters": 5, "activation": "linear"},
    ]
    assert (record["optimizer"], record["loss"], record["steps_per_epoch"]) == ("SGD", "mse", 3)
    assert record["learning_rate"] == pytest.approx(0.05)
    assert (record["finished"], record["step"]) == (True, 6)
    assert [step for step, _ in series(target, "loss", "validation")] == [3, 6]
    assert measuring.folder == str(target)


def test_epochs_seconds_and_the_learning_rate_stand_beside_the_steps(tmp_path: Path) -> None:
    class Halve(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            trained: Any = self.model
            trained.optimizer.learning_rate = 0.1 / 2**epoch

    fit(model(), Halve(), gauge(tmp_path / "mine"), epochs=3)
    rates = series(tmp_path / "mine", "learning_rate")
    assert [step for step, _ in rates] == [STEPS, 2 * STEPS, 3 * STEPS]
    assert [rate for _, rate in rates] == pytest.approx([0.1, 0.05, 0.025])
    assert [epoch for _, epoch in series(tmp_path / "mine", "epoch")] == [1, 2, 3]
    seconds = [value for _, value in series(tmp_path / "mine", "seconds")]
    assert 0 < seconds[0] < seconds[1] < seconds[2]
    lines = [json.loads(line) for line in (tmp_path / "mine/metrics.jsonl").read_text().splitlines()]
    assert {(line["step"], line["epoch"]) for line in lines} >= {(0, 0), (2, 1), (4, 1), (6, 2), (12, 3)}


def test_a_schedule_of_the_learning_rate(tmp_path: Path) -> None:
    trained = model()
    decay: Any = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=STEPS, decay_rate=0.5)
    trained.compile(keras.optimizers.SGD(decay), "mse", jit_compile=False)
    fit(trained, gauge(tmp_path / "mine"))
    assert series(tmp_path / "mine", "learning_rate") == [(4, pytest.approx(0.05)), (8, pytest.approx(0.025))]


@pytest.mark.parametrize("same_gauge", [False, True])
def test_a_second_training_gets_a_folder_of_its_own(tmp_path: Path, same_gauge: bool) -> None:
    """As where a cell of a notebook runs again; the seeds are the same, so that even the first weights are."""
    target = tmp_path / "mine"
    first = gauge(target)
    fit(model(), first)
    before = (target / "metrics.jsonl").read_text()
    again = first if same_gauge else gauge(target)
    with pytest.warns(UserWarning, match=r"mine holds another training; this one is written to .*mine-2"):
        fit(model(), again)
    assert (target / "metrics.jsonl").read_text() == before
    assert steps(target) == steps(f"{target}-2") == WHOLE
    assert again.folder == f"{target}-2"
    identities = [json.loads(Path(f, "gauge.json").read_text())["identity"] for f in (target, f"{target}-2")]
    assert identities[0] != identities[1]


def test_a_model_that_was_trained_elsewhere_takes_no_point_away(tmp_path: Path) -> None:
    target, stranger = tmp_path / "mine", model(2)
    fit(model(), gauge(target))
    before = (target / "metrics.jsonl").read_text()
    fit(stranger, epochs=1)
    with pytest.warns(UserWarning, match="holds another training"):
        fit(stranger, gauge(target, graph=True), epochs=1)
    assert (target / "metrics.jsonl").read_text() == before
    assert steps(f"{target}-2") == [4, 6, 8]


@pytest.mark.parametrize("how", ["same gauge", "another gauge", "loaded"])
def test_the_same_training_goes_on(tmp_path: Path, how: str) -> None:
    target, trained = tmp_path / "mine", model()
    measuring = gauge(target)
    fit(trained, measuring, epochs=1)
    if how == "loaded":
        trained.save(tmp_path / "model.keras")
        trained = keras.models.load_model(tmp_path / "model.keras")
    fit(trained, measuring if how == "same gauge" else gauge(target), epochs=2, initial_epoch=1)
    assert steps(target) == WHOLE
    assert not Path(f"{target}-2").exists()


@pytest.mark.parametrize("same_gauge", [False, True])
@pytest.mark.filterwarnings("ignore:the probe is traced anew")
def test_fine_tuning_goes_on_though_the_new_optimizer_counts_from_zero(tmp_path: Path, same_gauge: bool) -> None:
    target, trained = tmp_path / "mine", model()
    measuring = gauge(target)
    fit(trained, measuring, epochs=1)
    trained.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=False)
    fit(trained, measuring if same_gauge else gauge(target), epochs=2, initial_epoch=1)
    assert steps(target) == WHOLE
    assert [step for step, _ in series(target, "update_ratio/hidden/kernel")] == [1, *WHOLE[1:]]


class PowerCut(keras.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        trained: Any = self.model
        if int(trained.optimizer.iterations) == 2 * STEPS - 1:
            raise RuntimeError("power cut")


@pytest.mark.parametrize("gauge_first", [False, True])
def test_backup_and_restore_in_either_order(tmp_path: Path, gauge_first: bool) -> None:
    target = tmp_path / "mine"

    def callbacks() -> list[Any]:
        both = [keras.callbacks.BackupAndRestore(str(tmp_path / "backup")), gauge(target, gradients="both")]
        return both[::-1] if gauge_first else both

    with pytest.raises(RuntimeError, match="power cut"):
        fit(model(), *callbacks(), PowerCut(), epochs=3)
    fit(model(5), *callbacks(), epochs=3)
    assert steps(target) == [0, 2, 4, 6, 8, 10, 12]
    assert steps(target, "gradient_norm/hidden/kernel") == [1, 2, 4, 6, 8, 10, 12]
    assert steps(target, "loss") == [4, 8, 12]
    assert not Path(f"{target}-2").exists()


class Copies(keras.callbacks.Callback):
    """Copies a folder in the middle of an epoch: what is on the disk then, a process that is killed there leaves."""

    def __init__(self, source: Path, target: Path, step: int) -> None:
        super().__init__()
        self._source, self._target, self._step = source, target, step

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        trained: Any = self.model
        if int(trained.optimizer.iterations) == self._step:
            shutil.copytree(self._source, self._target)


@pytest.mark.parametrize("probe", [(X, Y), None])
@pytest.mark.parametrize(("killed_at", "last"), [(1, {True: 0, False: 1}), (3, {True: 2, False: 2})])
def test_what_a_killed_training_has_measured_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], probe: Any, killed_at: int, last: dict[bool, int]
) -> None:
    target, killed = tmp_path / "mine", tmp_path / "killed"
    fit(model(), DepthGauge(target, probe, schedule=SCHEDULE, graph=False), Copies(target, killed, killed_at))
    capsys.readouterr()
    values, _ = flags.parse(["", "diagnose"])
    assert diagnose([str(killed)], values) == 0
    _, during = capsys.readouterr().out.split("DURING TRAINING\n")
    assert during.startswith("HEALTHY: the first layer's gradient is ")
    assert f"Measured: killed, step {last[probe is not None]}, the training has not ended." in during
    assert not read_gauge(killed).has_ended
    assert read_gauge(target).has_ended


def test_copies_of_a_gauge_have_folders_of_their_own(tmp_path: Path) -> None:
    original = [gauge(tmp_path / "mine")]
    for number in (1, 2, 3):
        [trial] = copy.deepcopy(original)
        if number == 1:
            fit(model(number), trial)
        else:
            with pytest.warns(UserWarning, match=f"mine-{number}"):
                fit(model(number), trial)
        assert steps(trial.folder or "") == WHOLE
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["mine", "mine-2", "mine-3"]


def test_a_copy_of_a_used_gauge_has_a_writer_of_its_own() -> None:
    writer = MemoryWriter()
    first = DepthGauge(writer, (X, Y), schedule=SCHEDULE)
    fit(model(), first)
    second = copy.deepcopy(first)
    assert second.writer is not writer
    fit(model(2), second)
    assert sorted(writer.scalars["probe_loss"]) == WHOLE


@pytest.mark.parametrize("fill", [lambda f: (f / "config.json").write_text("{}"), lambda f: fit(model(), gauge(f))])
def test_a_folder_that_holds_a_training_is_an_error_where_asked(tmp_path: Path, fill: Callable[[Path], Any]) -> None:
    target = tmp_path / "mine"
    target.mkdir()
    fill(target)
    with pytest.raises(FileExistsError, match=r"mine holds another training; give the gauge another folder"):
        fit(model(2), gauge(target, existing="error"))


def test_a_loaded_model_in_a_new_folder_has_its_graph_and_its_start(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trained = model()
    fit(trained)
    trained.save(tmp_path / "model.keras")
    fit(keras.models.load_model(tmp_path / "model.keras"), gauge(tmp_path / "new", graph=True), epochs=1)
    assert steps(tmp_path / "new") == [8, 10, 12]
    assert EventAccumulator(str(tmp_path / "new/train")).Reload().Tags()["graph"]


def test_weights_are_recognized_by_their_values(tmp_path: Path) -> None:
    """A model with other weights and the same number of updates is another training."""
    target, trained = tmp_path / "mine", model()
    fit(trained, gauge(target), epochs=1)
    trained.set_weights([w + np.float32(1e-3) for w in trained.get_weights()])
    with pytest.warns(UserWarning, match="holds another training"):
        fit(trained, gauge(target), epochs=1)


@pytest.mark.parametrize("first", [True, False])
def test_callbacks_of_keras_may_write_to_the_same_folder(tmp_path: Path, first: bool) -> None:
    """Their files are no training; a training that resumes cuts its own points only."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    target = tmp_path / "mine"

    def callbacks() -> list[Any]:
        others: list[Any] = [keras.callbacks.TensorBoard(str(target), histogram_freq=1)]
        others += [keras.callbacks.CSVLogger(target / "log.csv")]
        both = [*others, gauge(target)]
        return both if first else both[::-1]

    target.mkdir()
    trained = model()
    fit(trained, *callbacks(), epochs=2)
    trained.save(tmp_path / "model.keras")
    foreign = {path: path.read_bytes() for path in target.glob("train/*tfevents*.v2")}
    fit(trained, gauge(target), epochs=3, initial_epoch=2)
    assert steps(target) == [0, 2, 4, 6, 8, 10, 12]
    fit(keras.models.load_model(tmp_path / "model.keras"), gauge(target), epochs=3, initial_epoch=2)
    assert steps(target) == [0, 2, 4, 6, 8, 10, 12]
    assert foreign
    assert {path: path.read_bytes() for path in foreign} == foreign
    assert not (tmp_path / "mine-2").exists()
    tags = EventAccumulator(str(target / "train")).Reload().Tags()
    assert {"epoch_loss"} <= {*tags["tensors"]}
    assert {"probe_loss"} <= {*tags["scalars"], *tags["tensors"]}
