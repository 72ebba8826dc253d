"""The numbers behind the figures are those that were measured, arranged on common axes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mnist_depth.figures.arrangement import (
    MAX_MOMENTS,
    distributions,
    layer_by_step,
    moments,
    profile,
)
from mnist_depth.figures.data import Series, Training, epoch_of, quantities_of
from mnist_depth.figures.trainings import PREDICTED, from_record

from ..summaries.fabricated import STEPS, STEPS_PER_EPOCH, make_run, steps_and_values


def series(*points: tuple[float, float]) -> Series:
    return Series(np.array([step for step, _ in points], float), np.array([value for _, value in points], float))


def training(name: str, layers: dict[str, Series], quantity: str = "activation_std", **options: object) -> Training:
    return Training(name, {("train", f"{quantity}/{layer}"): one for layer, one in layers.items()}, **options)  # type: ignore[arg-type]


def test_a_profile_holds_what_the_file_of_measurements_holds(tmp_path: Path) -> None:
    record = make_run(tmp_path, activation="sigmoid")
    for quantity, ending in ((PREDICTED, ""), ("gradient_norm", "/kernel"), ("update_ratio", "/kernel")):
        found = profile([from_record(record)], quantity)
        assert found.layers == [f"layer_{number:02d}" for number in range(1, 10)]
        for place, layer in enumerate(found.layers):
            steps, values = steps_and_values(record, "train", f"{quantity}/{layer}{ending}")
            assert found.steps == steps
            assert found.values[0][:, place].tolist() == values


def test_theory_equals_the_measurement_at_the_last_layer_at_the_start(tmp_path: Path) -> None:
    found = profile([from_record(make_run(tmp_path, activation="sigmoid"))], PREDICTED)
    predicted = found.predicted[0]
    assert predicted is not None
    assert predicted[-1] == pytest.approx(found.values[0][0, -1])
    factors = predicted[1:] / predicted[:-1]
    assert (factors > 2).all(), "a sigmoid layer passes on less than half of the gradient"
    assert profile([from_record(make_run(tmp_path, activation="tanh"))], "gradient_norm").predicted == [None]


def test_a_moment_takes_the_nearest_measurement_none_from_far_away_and_the_last_after_the_end() -> None:
    one = series((10, 1.0), (20, 2.0), (1000, 3.0))
    assert [one.near(step) for step in (10, 13, 16, 20, 24, 900)] == [1.0, 1.0, 2.0, 2.0, 2.0, 3.0]
    assert math.isnan(one.near(500))
    assert one.near(5000) == 3.0
    assert math.isnan(one.near(0))
    assert math.isnan(Series(np.empty(0), np.empty(0)).near(1))


def test_layers_are_in_the_order_of_the_model_and_otherwise_of_their_numbers() -> None:
    one = series((1, 1.0))
    names = ["head", "conv_10", "conv_9", "stem"]
    known = training("a", dict.fromkeys(names, one), known_layers=["stem", "conv_9", "conv_10", "unmeasured", "head"])
    assert known.layers == ["stem", "conv_9", "conv_10", "head"]
    assert training("b", dict.fromkeys(names, one)).layers == ["conv_9", "conv_10", "head", "stem"]
    short = training("c", dict.fromkeys(["stem", "norm", "head"], one), known_layers=["stem", "norm", "head"])
    found = profile([short, known], "activation_std")
    assert found.layers == ["stem", "norm", "conv_9", "conv_10", "head"]
    assert found.own == [["stem", "norm", "", "", "head"], ["stem", "", "conv_9", "conv_10", "head"]]


def test_a_layer_without_a_quantity_leaves_a_gap_on_the_common_axis() -> None:
    one = series((1, 2.0))
    mixed = Training(
        "a",
        {
            ("train", "gradient_norm/conv/kernel"): one,
            ("train", "gradient_norm/conv/bias"): series((1, 7.0)),
            ("train", "gradient_norm/head/kernel"): one,
            ("train", "activation_std/norm"): one,
        },
        known_layers=["conv", "norm", "head"],
    )
    found = profile([mixed], "gradient_norm")
    assert found.layers == ["conv", "norm", "head"]
    assert np.isnan(found.values[0][0]).tolist() == [False, True, False]
    assert mixed.quantities == {"gradient_norm": 2}, "one layer alone is no profile"


def test_the_first_quantity_is_one_of_most_layers() -> None:
    one = series((1, 1.0))
    signal = {("train", f"{PREDICTED}/{layer}"): one for layer in ("stem", "head")}
    kernels = {("train", f"gradient_norm/{layer}/kernel"): one for layer in "abcde"}
    assert quantities_of([Training("blocks", signal | kernels)]) == ["gradient_norm", PREDICTED]
    some = dict([*kernels.items()][:4])
    assert quantities_of([Training("plain", signal | some)]) == [PREDICTED, "gradient_norm"]
    assert quantities_of([]) == []


def test_moments_are_few_and_keep_both_ends() -> None:
    many = series(*((step, 1.0) for step in range(0, 100_000, 7)))
    found = moments([many, series((3, 1.0))])
    assert len(found) <= MAX_MOMENTS
    assert (found[0], found[-1]) == (0, 99_995)
    assert set(found) <= {*range(0, 100_000, 7), 3}
    assert moments([]) == []


def test_layer_by_step_and_distributions_of_a_run(tmp_path: Path) -> None:
    record = make_run(tmp_path, activation="relu")
    table = layer_by_step(from_record(record), PREDICTED)
    assert table.values.shape == (9, len(STEPS))
    assert table.values[2].tolist() == steps_and_values(record, "train", f"{PREDICTED}/layer_03")[1]
    lines = '{"run": "train", "step": %d, "tag": "weight/layer_02/kernel", "edges": [0, 1, 3], "counts": [%d, 5]}\n'
    for path in record.folder.glob("events.out.tfevents.*"):  # a folder of version 0.1 has its histograms as text
        path.unlink()
    (record.folder / "histograms.jsonl").write_text(lines % (0, 4) + lines % (13, 6))
    found = distributions(from_record(record, record.histograms()), "weight")
    assert (found.layers, found.steps) == (["layer_02"], [0, 13])
    bars = found.bars[1][0]
    assert bars is not None
    assert (bars.edges.tolist(), bars.counts.tolist()) == ([0, 1, 3], [6, 5])


def test_epochs_count_from_one() -> None:
    assert [epoch_of(step, STEPS_PER_EPOCH) for step in (0, 1, 10, 11)] == [0, 1, 1, 2]
    assert epoch_of(5, 0) is None
