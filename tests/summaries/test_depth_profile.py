from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from mnist_depth.instrument.by_layer import LOGARITHMIC, QUANTITIES
from mnist_depth.summaries.depth_profile import write_depth_profile
from mnist_depth.summaries.series import series_of

from .fabricated import EPOCHS, STEPS_PER_EPOCH, make_run
from .reading import snapshot, steps_by_tag, values_below

SNAPSHOTS = {"start", "epoch_001", "epoch_003", "epoch_010", "end"}
ALL_TAGS = {f"by_layer/{quantity}" for quantity in QUANTITIES} | {f"by_layer/log10_{q}" for q in LOGARITHMIC}


def test_every_snapshot_has_every_quantity_at_every_layer(tmp_path: Path) -> None:
    record = make_run(tmp_path, activation="relu")
    write_depth_profile(record, series_of(record))
    tags = ALL_TAGS - {"by_layer/saturated_share"}  # ReLU does not saturate
    expected = {(name, tag): list(range(1, 10)) for name in SNAPSHOTS for tag in tags}
    for quantity in ("gradient_norm", "update_ratio"):  # applied by an update: there is none at the start
        del expected["start", f"by_layer/{quantity}"], expected["start", f"by_layer/log10_{quantity}"]
    assert steps_by_tag(values_below(record.folder / "depth")) == expected


def test_values_are_those_measured_at_the_snapshot(tmp_path: Path) -> None:
    record = make_run(tmp_path, activation="sigmoid")
    series = series_of(record)
    write_depth_profile(record, series)
    found = {(v.run, v.tag, v.step): v.value for v in values_below(record.folder / "depth")}
    for name, epoch in (("epoch_001", 1), ("epoch_003", 3), ("epoch_010", 10), ("end", EPOCHS)):
        steps, values = record.series("train", "gradient_norm/layer_02/kernel")
        value = values[steps.index(epoch * STEPS_PER_EPOCH)]
        assert found[name, "by_layer/gradient_norm", 2] == pytest.approx(value, rel=1e-6)
        assert found[name, "by_layer/log10_gradient_norm", 2] == pytest.approx(math.log10(value), rel=1e-5)
    assert found["start", "by_layer/probe_gradient_norm", 1] == pytest.approx(1.1 * 0.3**8, rel=1e-6)


def test_theory_is_scaled_to_the_measured_output_layer(tmp_path: Path) -> None:
    record = make_run(tmp_path, activation="sigmoid")
    write_depth_profile(record, series_of(record), [2.0**layer for layer in range(9)])
    found = {(v.tag, v.step): v.value for v in values_below(record.folder / "depth" / "theory")}
    assert found["by_layer/pre_activation_gradient_norm", 9] == pytest.approx(0.1)
    assert found["by_layer/pre_activation_gradient_norm", 1] == pytest.approx(0.1 / 2**8)
    assert {tag for tag, _ in found} == {
        "by_layer/pre_activation_gradient_norm",
        "by_layer/log10_pre_activation_gradient_norm",
    }


def test_zero_and_not_a_number_have_no_logarithm(tmp_path: Path) -> None:
    record = make_run(tmp_path, activation="relu")
    series = series_of(record)
    series["train", "gradient_norm/layer_01/kernel"].values[-1] = 0.0
    series["train", "gradient_norm/layer_02/kernel"].values[-1] = math.nan
    write_depth_profile(record, series)
    found = steps_by_tag(values_below(record.folder / "depth"))
    assert found["end", "by_layer/gradient_norm"] == list(range(1, 10))
    assert found["end", "by_layer/log10_gradient_norm"] == list(range(3, 10))


def test_again_changes_nothing_and_stale_snapshots_go(tmp_path: Path) -> None:
    record = make_run(tmp_path)
    write_depth_profile(record, series_of(record), [1.0] * 9)
    before = snapshot(record.folder)
    write_depth_profile(record, series_of(record), [1.0] * 9)
    assert snapshot(record.folder) == before
    write_depth_profile(replace(record, record={}), series_of(record))  # epochs and theory no longer known
    assert {run for run, _ in steps_by_tag(values_below(record.folder / "depth"))} == {"start", "end"}


def test_a_run_without_instruments_has_no_profile(tmp_path: Path) -> None:
    record = make_run(tmp_path)
    losses = {key: one for key, one in series_of(record).items() if key[1] == "loss"}
    write_depth_profile(record, losses, [1.0] * 9)
    assert not (record.folder / "depth").exists()
