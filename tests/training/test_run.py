"""One run: what it leaves behind, exactly; and that watching it changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from mnist_depth import records
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.training import compiled, loop
from mnist_depth.training import run as run_module
from mnist_depth.training.options import INSTRUMENTS, RunOptions
from mnist_depth.training.run import train_run
from tests.outcomes import outcome_of, outcomes_below

pytestmark = pytest.mark.slow

STEPS_PER_EPOCH = 13
"""1,350 training digits in batches of 100."""


GRAPH, CONCEPTUAL = "__run_graph__", "keras"
"""The tags under which TensorBoard's reader hands out the op graph, and under which Keras' own graph is written."""


def _measured(folder: Path) -> set[tuple[str, int]]:
    """What the instruments and the logger wrote, without what is derived from it at the end."""
    return _events(folder, "*tfevents*.gauge")


def _events(folder: Path, pattern: str = "*tfevents*") -> set[tuple[str, int]]:
    """(tag, step) of every value in a run's event files; a value that is written twice fails."""
    found = [
        (value.tag, event.step)
        for path in sorted(folder.glob(pattern))
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
        if value.tag not in (GRAPH, CONCEPTUAL)
    ]
    assert len(found) == len(set(found)), "a value is written twice"
    return set(found)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> records.RunRecord:
    """Three layers, two epochs, standard instruments."""
    folder = tmp_path_factory.mktemp("run")
    config = RunConfig(dataset="digits", depth=3, width=16, epochs=2, activation="sigmoid")
    assert train_run(config, folder) == "finished"
    return records.read_run(folder)


LAYERS = ("layer_01", "layer_02", "layer_03")
VARIABLES = [f"{layer}/{part}" for layer in LAYERS for part in ("kernel", "bias")]


def test_validation_and_test_hold_loss_and_accuracy_per_epoch(run: records.RunRecord) -> None:
    ends = (STEPS_PER_EPOCH, 2 * STEPS_PER_EPOCH)
    for split in ("validation", "test"):
        found = {(tag, step) for tag, step in _events(run.folder) if tag.endswith(f"/{split}")}
        pictures_and_texts = {("confusion/test", ends[-1])}
        assert found - pictures_and_texts == {(f"{tag}/{split}", step) for tag in ("loss", "accuracy") for step in ends}


def _tags(quantities: str, names: Sequence[str]) -> list[str]:
    return [f"{quantity}/{name}" for quantity in quantities.split() for name in names]


def test_train_holds_exactly_these_tags_and_steps(run: records.RunRecord) -> None:
    ends = (STEPS_PER_EPOCH, 2 * STEPS_PER_EPOCH)
    updates = range(1, 2 * STEPS_PER_EPOCH + 1)
    probed = {*range(0, ends[-1] + 1, 2), *ends}
    of_applied = "gradient gradient_log10 gradient_zero_share"
    of_probe = "probe_gradient probe_gradient_log10 probe_gradient_zero_share"
    of_layers = "activation_mean activation_std activation_std_across_samples"
    of_layers += " pre_activation_gradient_norm dead_share zero_share"
    steps_of: list[tuple[Iterable[int], list[str]]] = [
        (ends, ["loss", "accuracy"]),
        (updates, ["minibatch_loss", *_tags("gradient_norm update_ratio", VARIABLES)]),
        ([0, *updates], _tags("weight_norm", VARIABLES)),
        (probed, ["probe_loss", *_tags("probe_gradient_norm", VARIABLES)]),
        (probed, _tags(of_layers, LAYERS)),
        (probed, _tags("saturated_share", LAYERS[:-1])),
        # Histograms, once per epoch: of applied gradients with the first update of the epoch, of the rest at its end.
        ((1, STEPS_PER_EPOCH + 1), _tags(of_applied, VARIABLES)),
        ((0, *ends), [*_tags("activation", LAYERS), *_tags(f"weight {of_probe}", VARIABLES)]),
    ]
    wanted = {(tag, step) for steps, tags in steps_of for tag in tags for step in steps}
    others = {(tag, step) for tag, step in _measured(run.folder) if tag.endswith(("/validation", "/test"))}
    assert _measured(run.folder) - others == wanted


def test_every_scalar_of_the_event_files_stands_in_the_metrics_and_back(run: records.RunRecord) -> None:
    histograms = {(point.tag, point.step) for point in run.histograms()}
    scalars = {(records.event_tag(point.split, point.tag), point.step) for point in run.points}
    assert _measured(run.folder) == scalars | histograms


def test_the_graph_says_the_same_layers(run: records.RunRecord) -> None:
    from tensorboard.compat.proto.graph_pb2 import GraphDef  # pyright: ignore[reportAttributeAccessIssue]

    graphs = [
        GraphDef.FromString(value.tensor.string_val[0])
        for path in run.folder.glob("*tfevents*.gauge")
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
        if value.tag == GRAPH
    ]
    assert len(graphs) == 1
    nodes = {node.name for node in graphs[0].node}
    for layer in LAYERS:
        assert {f"{layer}/kernel", f"{layer}/bias", f"{layer}/MatMul"} <= nodes


def test_the_record_says_what_was_run_and_how_it_ended(run: records.RunRecord) -> None:
    assert run.status == "finished"
    assert run.metadata["dataset"]["sizes"] == {"train": 1350, "validation": 150, "test": 297}
    metrics = run.done["metrics"]
    confusion = np.array(run.done["confusion"])
    assert confusion.sum() == 297
    assert np.trace(confusion) / 297 == pytest.approx(metrics["test_accuracy"], abs=1e-6)
    steps, accuracies = run.series("test", "accuracy")
    assert metrics["test_accuracy"] == accuracies[-1]
    assert metrics["best_test_accuracy"] == max(accuracies)
    assert metrics["best_test_step"] == steps[accuracies.index(max(accuracies))]
    first = run.series("train", "gradient_norm/layer_01/kernel")[1]
    assert metrics["gradient_norm_first"] == pytest.approx(float(np.median(first)))
    assert not (run.folder / "checkpoint").exists()


# Adam makes rounding errors large: it divides the gradient of a bias ahead of a normalization, which is nothing else.
WATCHED: list[dict[str, Any]] = [
    {},
    {"optimizer": "adam", "batch_norm": "before", "dropout": 0.2},
    {"optimizer": "adam", "batch_norm": "after", "weight_decay": 0.01, "activation": "selu"},
    {"optimizer": "radam", "batch_norm": "before", "wiring": "split_merge", "depth": 4, "activation": "gelu"},
]


@pytest.mark.parametrize("options", WATCHED)
def test_observation_never_perturbs(tmp_path: Path, tiny: RunConfig, options: dict[str, Any]) -> None:
    config = replace(tiny, **options, learning_rate=0.01)
    hashes = set()
    for instruments in INSTRUMENTS if not options else ("none", "standard", "full"):
        train_run(config, tmp_path / instruments, RunOptions(instruments=instruments))
        hashes.add(records.read_run(tmp_path / instruments).done["weights_sha256"])
    assert len(hashes) == 1


def test_long_runs_which_compile_two_loops_are_trained_and_measured_as_short_ones(
    run: records.RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SHORT_RUN", 0)
    monkeypatch.setattr(compiled, "_cache", {})
    train_run(run.config, tmp_path)
    long = records.read_run(tmp_path)
    assert long.done["weights_sha256"] == run.done["weights_sha256"]
    assert [point._replace(wall_time=0) for point in long.points] == [p._replace(wall_time=0) for p in run.points]


OTHERS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"dropout": 0.2, "optimizer": "adam"}, {"seed": 1, "learning_rate": 0.01}),
    ({"weight_decay": 0.1}, {"weight_decay": 1e-6, "initializer": "he_normal", "bias_std": 0.1}),
    ({"wiring": "recurrent:lstm", "depth": 2, "weight_decay": 0.1}, {"weight_decay": 1e-6}),
    ({"initializer": "orthogonal", "pretraining": "lsuv"}, {"pretraining": "none"}),
]
"""Fields of a run, and what another run of the same shape has instead."""


@pytest.mark.parametrize(("options", "other"), OTHERS)
def test_a_compiled_model_that_served_another_run_gives_the_same_weights(
    tmp_path: Path, tiny: RunConfig, options: dict[str, Any], other: dict[str, Any]
) -> None:
    config = replace(tiny, **options)
    compiled._cache.clear()
    train_run(config, tmp_path / "first")
    (model,) = compiled._cache.values()
    train_run(replace(config, **other), tmp_path / "between")
    assert list(compiled._cache.values()) == [model]
    train_run(config, tmp_path / "again")
    first, between, again = (records.read_run(tmp_path / name) for name in ("first", "between", "again"))
    assert first.done["weights_sha256"] == again.done["weights_sha256"] != between.done["weights_sha256"]


def test_networks_that_take_turns_are_compiled_once(
    tmp_path: Path, tiny: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "MAX_CACHED", 2)
    compiled._cache.clear()
    train_run(tiny, tmp_path / "first")
    (model,) = compiled._cache.values()
    for extra in range(1, compiled.MAX_CACHED + 1):
        train_run(replace(tiny, width=tiny.width + extra), tmp_path / f"wider_{extra}")
        train_run(replace(tiny, seed=extra), tmp_path / f"seed_{extra}")
    assert len(compiled._cache) == compiled.MAX_CACHED
    assert list(compiled._cache.values())[-1] is model
    train_run(tiny, tmp_path / "again")
    first, again = (records.read_run(tmp_path / name) for name in ("first", "again"))
    assert first.done["weights_sha256"] == again.done["weights_sha256"]
    assert [point[:3] for point in first.points] == [point[:3] for point in again.points]


BEFORE_TRAINING = (False, False)
"""What `stop` says before the network is compiled and before its first block."""


@pytest.mark.parametrize("before", range(len(BEFORE_TRAINING)))
def test_a_stop_while_a_run_starts_leaves_nothing_trained_and_a_run_that_resumes(
    before: int, tmp_path: Path, tiny: RunConfig
) -> None:
    calls = iter([*BEFORE_TRAINING[:before], True])
    assert train_run(tiny, tmp_path, stop=lambda: next(calls)) == "stopped"
    assert records.read_run(tmp_path).points == []
    assert train_run(tiny, tmp_path) == "finished"


def test_a_stopped_run_resumes_to_the_same_end(tmp_path: Path, tiny: RunConfig) -> None:
    config = replace(tiny, epochs=4, optimizer="adam")
    train_run(config, tmp_path / "whole")
    calls = iter([*BEFORE_TRAINING, False, False, True])
    assert train_run(config, tmp_path / "cut", stop=lambda: next(calls)) == "stopped"
    assert records.read_run(tmp_path / "cut").status == "unfinished"
    assert train_run(config, tmp_path / "cut") == "finished"
    whole, cut = records.read_run(tmp_path / "whole"), records.read_run(tmp_path / "cut")
    assert cut.done["weights_sha256"] == whole.done["weights_sha256"]
    assert cut.done["metrics"] == whole.done["metrics"]
    assert {(p.split, p.tag, p.step, repr(p.value)) for p in cut.points} == {
        (p.split, p.tag, p.step, repr(p.value)) for p in whole.points
    }
    assert _events(tmp_path / "cut") == _events(tmp_path / "whole")


def test_a_run_that_overflows_is_recorded_as_diverged(tmp_path: Path, tiny: RunConfig) -> None:
    config = replace(tiny, depth=9, initializer="normal_1", learning_rate=1.0, width=64)
    assert train_run(config, tmp_path) == "diverged"
    run = records.read_run(tmp_path)
    assert run.status == "diverged"
    assert run.done["first_nonfinite"][1].split("/")[0]
    json.loads((tmp_path / records.DONE).read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_a_diverged_run_goes_on_where_asked_and_is_still_called_diverged(tmp_path: Path, tiny: RunConfig) -> None:
    config = replace(tiny, initializer="normal_1", learning_rate=1e30, epochs=3)
    assert train_run(config, tmp_path / "ended") == "diverged"
    assert train_run(config, tmp_path / "whole", RunOptions(keep_going=True)) == "diverged"
    ended, whole = records.read_run(tmp_path / "ended"), records.read_run(tmp_path / "whole")
    assert ended.done["steps"] < whole.done["steps"] == 3 * STEPS_PER_EPOCH
    assert [step for step, _ in zip(*whole.series("test", "loss"), strict=True)] == [13, 26, 39]
    assert ended.done["first_nonfinite"] == whole.done["first_nonfinite"]
    calls = iter([*BEFORE_TRAINING, False, True])
    assert train_run(config, tmp_path / "cut", RunOptions(keep_going=True), stop=lambda: next(calls)) == "stopped"
    assert train_run(config, tmp_path / "cut", RunOptions(keep_going=True)) == "diverged"
    assert outcome_of(tmp_path / "cut") == outcome_of(tmp_path / "whole")


def test_other_data_under_an_unfinished_run_is_refused(tmp_path: Path, tiny: RunConfig) -> None:
    assert train_run(tiny, tmp_path, stop=lambda: True) == "stopped"
    record = json.loads((tmp_path / records.CONFIG).read_text())
    record["dataset"]["checksum"] = "0" * 64
    (tmp_path / records.CONFIG).write_text(json.dumps(record))
    with pytest.raises(UserError, match="--overwrite"):
        train_run(tiny, tmp_path)
    assert train_run(tiny, tmp_path, RunOptions(overwrite=True)) == "finished"


@pytest.mark.parametrize("name", ["checkpoint/state.npz", "config.json"])
def test_a_damaged_file_is_named(tmp_path: Path, tiny: RunConfig, name: str) -> None:
    train_run(replace(tiny, epochs=3), tmp_path, stop=(tmp_path / "checkpoint/state.npz").exists)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match=Path(name).name):
        train_run(replace(tiny, epochs=3), tmp_path)


def test_a_run_that_dies_while_its_pages_are_written_is_not_finished(
    tmp_path: Path, tiny: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "write_run", die)
        with pytest.raises(KeyboardInterrupt):
            train_run(tiny, tmp_path / "disturbed")
    assert records.state(tmp_path / "disturbed", tiny) != "complete"
    compiled._cache.clear()  # simulates another process that resumes after the last epoch
    for name in ("disturbed", "plain"):
        assert train_run(tiny, tmp_path / name) == "finished"
    disturbed, plain = (outcomes_below(tmp_path / name) for name in ("disturbed", "plain"))
    assert disturbed == plain
