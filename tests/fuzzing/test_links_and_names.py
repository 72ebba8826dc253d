"""Links that lead out of a logdir are not followed, and names of folders are text wherever they are shown."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mnist_depth import records
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.summaries.write import write_study
from mnist_depth.training.run import train_run

from .hostile import call

pytestmark = pytest.mark.slow

CONFIG = RunConfig(dataset="xor", depth=2, width=4, epochs=3)
LINE = ("train", "--dataset=xor", "--depth=2", "--width=4", "--epochs=3", "--quiet")
STUDY, SLUG, SEED = 0, 1, 2
"""The folders between a logdir and a run's files."""


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of somebody else's, with a file in it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    return outside


def link_at(level: int, logdir: Path, target: Path) -> Path:
    """Put a link to `target` in the place of one of the folders of a run."""
    folder = records.run_folder(logdir, "train", CONFIG)
    link = [folder.parents[1], folder.parent, folder][level]
    link.parent.mkdir(parents=True)
    link.symlink_to(target)
    return link


def write_config(folder: Path, **more: str) -> Path:
    """An unfinished run that has measured nothing yet."""
    folder.mkdir(parents=True)
    (folder / records.CONFIG).write_text(json.dumps({"format": records.FORMAT, "config": CONFIG.to_dict(), **more}))
    return folder


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
@pytest.mark.parametrize("level", [STUDY, SLUG, SEED])
def test_a_link_out_of_the_logdir_is_refused_in_one_line(
    level: int, overwrite: tuple[str, ...], tmp_path: Path, outside: Path
) -> None:
    link = link_at(level, tmp_path / "logs", outside)
    ended = call(*LINE, f"--logdir={tmp_path / 'logs'}", *overwrite)
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert f"{link}" in ended.err
    assert "through a link" in ended.err
    assert names_in(outside) == ["precious"]


@pytest.mark.parametrize("level", [SLUG, SEED])
def test_a_dangling_link_makes_nothing(level: int, tmp_path: Path, outside: Path) -> None:
    link_at(level, tmp_path / "logs", outside / "new")
    assert call(*LINE, f"--logdir={tmp_path / 'logs'}").code == 2
    assert names_in(outside) == ["precious"]


def test_the_logdir_may_be_a_link_and_links_may_stay_inside(tmp_path: Path) -> None:
    (tmp_path / "disk" / "kept").mkdir(parents=True)
    (tmp_path / "disk" / "train").symlink_to("kept")
    (tmp_path / "logs").symlink_to(tmp_path / "disk")
    assert records.run_folder(tmp_path / "logs", "train", CONFIG).parents[2] == tmp_path / "logs"


@pytest.mark.parametrize("name", ["train", "metrics.jsonl", "checkpoint", records.LOCK])
def test_a_link_inside_a_run_is_not_written_through(name: str, tmp_path: Path, outside: Path) -> None:
    folder = write_config(tmp_path / "run")
    (folder / name).symlink_to(outside if name in ("train", "checkpoint") else outside / "precious")
    with pytest.raises(UserError, match="is a link"):
        train_run(CONFIG, folder)
    assert names_in(outside) == ["precious"]
    assert (outside / "precious").read_text() == "precious"


def test_the_pages_of_the_board_are_not_written_through_a_link(tmp_path: Path, outside: Path) -> None:
    write_config(outside / "seed_0")
    write_config(outside / "slug" / "seed_0")
    before = names_in(outside)
    (tmp_path / "logs" / "mine").mkdir(parents=True)
    (tmp_path / "logs" / "mine" / "slug").symlink_to(outside)
    (tmp_path / "logs" / "theirs").symlink_to(outside)
    write_study(tmp_path / "logs" / "mine")
    assert names_in(outside) == before


STRANGE = ("$x^{$", "\x1b[2J", "<script>alert(1)", "a\nb", "\udcff", "_hidden")


def test_names_of_folders_are_text_in_tables_and_figures(tmp_path: Path) -> None:
    for number, name in enumerate(STRANGE):
        folder = tmp_path / name / "<b>slug" / "seed_0"
        write_config(folder, command=os.fsdecode(b"train \xff <b>"))
        points = [(run, step, 1 / (step + number + 1)) for run in ("train", "test") for step in (1, 2)]
        lines = [
            {"run": run, "step": step, "wall_time": 1.7e9, "scalars": {"loss": loss}} for run, step, loss in points
        ]
        (folder / records.METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    ended = call("report", str(tmp_path))
    assert (ended.code, ended.err) == (0, "")
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert not any(mark in page for mark in ("<script", "<b>", "\x1b"))
    for shown in ("$x^{$", "&lt;script&gt;", "a\\nb", "\\udcff"):
        assert page.count(shown) >= 2  # in the table and in a figure's legend
