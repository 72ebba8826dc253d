from __future__ import annotations

from pathlib import Path

import pytest

from mnist_depth.board import logdir as module
from mnist_depth.board.logdir import check_logdir, empty_warning, event_folders
from mnist_depth.errors import UserError

from .boards import RUN, write_run


def test_a_folder_becomes_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "logs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert check_logdir("logs") == str(tmp_path / "logs")


def test_an_address_is_refused() -> None:
    with pytest.raises(UserError, match="a board takes a path of this machine, not the address gs://bucket/logs"):
        check_logdir("gs://bucket/logs")


def test_missing_names_the_folder_and_where_runs_are(logdir: Path) -> None:
    with pytest.raises(UserError, match=r"there is no folder .*/nowhere; there are runs in .*/logs"):
        check_logdir(logdir.parent / "nowhere")


def test_a_file_is_refused_with_the_folder_to_give(tmp_path: Path) -> None:
    file = tmp_path / "events"
    file.touch()
    with pytest.raises(UserError, match=f"is a file; give the folder above the runs, for example {tmp_path}"):
        check_logdir(file)


def test_runs_bring_no_warning(logdir: Path) -> None:
    assert empty_warning(str(logdir)) is None


def test_empty_says_where_runs_are_nearby(logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(logdir)
    empty = logdir.parent / "empty"
    empty.mkdir()
    assert str(empty_warning(str(empty))) == f"no event files below {empty} yet; there are runs in {logdir}"


def test_empty_looks_in_the_default_logdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path / "project" / "logs")
    empty = tmp_path / "far" / "away"
    empty.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    warning = empty_warning(str(empty))
    assert warning is not None
    assert str(warning).endswith(f"there are runs in {tmp_path}/project/logs/depth9")


def test_no_runs_anywhere_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    warning = empty_warning(str(tmp_path / "empty"))
    assert warning is not None
    assert str(warning).endswith("start a run first: python -m mnist_depth")


def test_the_search_is_bounded(logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(event_folders(str(logdir))) == [str(logdir / RUN)]
    monkeypatch.setattr(module, "MAX_FOLDERS", 2)
    assert list(event_folders(str(logdir))) == []
