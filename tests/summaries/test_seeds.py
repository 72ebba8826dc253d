from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from mnist_depth.summaries.seeds import write_seed_bands
from mnist_depth.summaries.write import write_study

from .fabricated import STEPS, loss_at, make_run
from .reading import snapshot, steps_by_tag, values_below

KIND = "*.seeds"


def test_the_same_runs_and_tags_as_the_members(tmp_path: Path) -> None:
    members = [make_run(tmp_path, seed=seed) for seed in range(3)]
    write_seed_bands(members)
    folder = members[0].folder.parent
    of_member = steps_by_tag(values_below(members[0].folder))
    of_member = {key: steps for key, steps in of_member.items() if not key[1].startswith("weight/")}  # histograms
    for name in ("mean", "p10", "p90"):
        derived = steps_by_tag([value for value in values_below(folder / name) if value.tag != "members"])
        assert derived == of_member


def test_values_are_the_statistics(tmp_path: Path) -> None:
    members = [make_run(tmp_path, seed=seed) for seed in (0, 1, 5)]
    write_seed_bands(members)
    losses = [loss_at(record.config, "test", STEPS[-1]) for record in members]
    for name, expected in (
        ("mean", np.mean(losses)),
        ("p10", np.percentile(losses, 10)),
        ("p90", np.percentile(losses, 90)),
    ):
        values = {(v.tag, v.step): v.value for v in values_below(members[0].folder.parent / name / "test")}
        assert values["loss", STEPS[-1]] == pytest.approx(expected, rel=1e-6)


def test_a_new_member_rebuilds_without_traces_of_the_old(tmp_path: Path) -> None:
    first, second = (make_run(tmp_path, seed=seed) for seed in (0, 1))
    write_seed_bands([first, second])
    before = snapshot(tmp_path)
    write_seed_bands([first, second])
    assert snapshot(tmp_path) == before
    third = make_run(tmp_path, seed=50)
    write_seed_bands([first, second, third])
    folder = first.folder.parent
    assert len(list((folder / "mean" / "train").iterdir())) == 1
    values = {(v.tag, v.step): v.value for v in values_below(folder / "mean" / "train")}
    losses = [loss_at(record.config, "train", STEPS[-1]) for record in (first, second, third)]
    assert values["loss", STEPS[-1]] == pytest.approx(np.mean(losses), rel=1e-6)


def test_only_common_steps_and_finished_members_count(tmp_path: Path) -> None:
    members = [make_run(tmp_path, seed=0), make_run(tmp_path, seed=1), make_run(tmp_path, seed=2, status="diverged")]
    metrics = members[1].folder / "metrics.jsonl"
    metrics.write_text("".join(line for line in metrics.read_text().splitlines(True) if '"step": 50,' not in line))
    write_seed_bands(members)
    folder = members[0].folder.parent
    steps = steps_by_tag(values_below(folder / "mean"))["test", "loss"]
    assert steps == [step for step in STEPS if step not in (0, 50)]
    (about,) = [value.value.string_val[0] for value in values_below(folder / "mean") if value.tag == "members"]
    assert about == b"seeds 0, 1; left out: 2 (diverged)"


def test_one_seed_has_no_band_and_loses_the_one_it_had(tmp_path: Path) -> None:
    members = [make_run(tmp_path, seed=seed) for seed in (0, 1)]
    write_study(tmp_path / "depth9")
    assert list(tmp_path.rglob(KIND))
    shutil.rmtree(members[1].folder)
    write_study(tmp_path / "depth9")
    assert not list(tmp_path.rglob(KIND))
