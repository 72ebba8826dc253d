"""Everything that a run and a study show, in one go; and what an open board makes of a rebuilt study."""

from __future__ import annotations

import ast
import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from mnist_depth import summaries
from mnist_depth.errors import UserError
from mnist_depth.records import read_run
from mnist_depth.summaries.write import write_run, write_study
from tests.imports import imported

from .fabricated import make_run
from .reading import snapshot, values_below

TRAINING = {"train", "validation", "test"}


def tags_of(folder: Path, plugin: str) -> set[str]:
    """The tags of one plugin in the event files directly in `folder`."""
    return {value.tag for value in values_below(folder) if value.run == "." and value.plugin == plugin}


def test_a_run_shows_exactly_this(tmp_path: Path) -> None:
    record = make_run(tmp_path, activation="sigmoid")
    write_run(record, np.random.default_rng(0).normal(size=(784, 20)).astype(np.float32))
    assert tags_of(record.folder, "text") == {
        "0_verdict", "config", "reproduce", "diagnosis/start", "diagnosis/end",
    }  # fmt: skip
    assert tags_of(record.folder, "images") == {
        "filters/layer_01",
        "gradient_norm/layer_by_step",
        "pre_activation_gradient_norm/layer_by_step",
        "confusion/test",
    }
    best = {f"summary/best_{run}_{tag}" for run in TRAINING for tag in ("loss", "accuracy")}
    summaries = {tag for tag in tags_of(record.folder, "") if tag.startswith("summary/")}
    assert summaries == best | {"summary/gradient_ratio", "summary/seconds"}
    assert not [path for path in record.folder.iterdir() if path.is_dir()], "a run in TensorBoard's list of its own"


def test_again_writes_nothing(tmp_path: Path) -> None:
    records = [make_run(tmp_path, seed=seed) for seed in (0, 1)]
    before = {}
    for _ in range(2):
        for record in records:
            write_run(record)
        write_study(tmp_path / "depth9")
        assert before in ({}, snapshot(tmp_path))
        before = snapshot(tmp_path)


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    record = make_run(tmp_path)
    broken = make_run(tmp_path, seed=1)
    (broken.folder / "config.json").write_text("{")
    done = json.loads((record.folder / "done.json").read_text())
    for confusion in ("x", [[1, 2]], {"a": 1}, [[float("nan")]]):
        (record.folder / "done.json").write_text(json.dumps(done | {"confusion": confusion, "metrics": ["hostile"]}))
        write_run(read_run(record.folder))
        write_study(tmp_path / "depth9")
        assert "confusion/test" not in tags_of(record.folder, "images")


def test_damaged_measurements_are_one_clear_line(tmp_path: Path) -> None:
    record = make_run(tmp_path)
    (record.folder / "metrics.jsonl").write_text('{"run": "train", "step": "x", "scalars": 3}\n')
    with pytest.raises(UserError, match=r"metrics\.jsonl is damaged"):
        write_run(read_run(record.folder))


@pytest.mark.slow
def test_two_processes_take_turns(tmp_path: Path) -> None:
    for seed in range(3):
        make_run(tmp_path, seed=seed)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=write_study, args=(tmp_path / "depth9",)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    before = snapshot(tmp_path)
    assert all(len(list(path.parent.glob("*.hparams"))) == 1 for path in tmp_path.rglob("*.hparams"))
    write_study(tmp_path / "depth9")
    assert snapshot(tmp_path) == before


def test_nothing_here_needs_tensorflow(tmp_path: Path) -> None:
    record = make_run(tmp_path)
    code = (
        "from pathlib import Path; from mnist_depth.records import read_run\n"
        "from mnist_depth.summaries.write import write_run, write_study\n"
        f"write_run(read_run(Path({str(record.folder)!r}))); write_study(Path({str(tmp_path / 'depth9')!r}))"
    )
    assert imported(code, {"tensorflow"}) == set()


def test_no_default_writer_is_touched() -> None:
    """Nothing in the package calls `tf.summary` or makes a default writer."""
    for path in Path(summaries.__file__).parent.glob("*.py"):
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        assert "tf" not in names
