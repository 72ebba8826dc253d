from __future__ import annotations

import io
import math
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnist_depth.errors import UserError
from mnist_depth.summaries.events import image, replace_events, scalars, text

from .reading import events_in, snapshot, values_below


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    two_scalars = scalars(3, {"loss": 0.5, "worse": math.inf}, 7.0)
    replace_events(
        tmp_path / "run", "kind", [two_scalars, text("note", "a *b*", 8.0), image("picture", pixels, 9.0, 3)]
    )
    loss, worse, note, picture = values_below(tmp_path)
    assert loss[:4] == ("run", "loss", 3, 0.5)
    assert worse.value == math.inf
    assert (note.plugin, note.value.string_val[0]) == ("text", b"a *b*")
    assert (picture.plugin, picture.step, list(picture.value.string_val[:2])) == ("images", 3, [b"5", b"4"])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(picture.value.string_val[2]))), pixels)


def test_a_file_begins_with_its_version(tmp_path: Path) -> None:
    replace_events(tmp_path, "kind", [scalars(1, {"a": 1.0}, 7.0)])
    (path,) = tmp_path.iterdir()
    assert next(events_in(path)).file_version == "brain.Event:2"


def test_the_same_again_writes_nothing(tmp_path: Path) -> None:
    replace_events(tmp_path, "kind", [scalars(1, {"a": 1.0}, 7.0)])
    before = snapshot(tmp_path)
    replace_events(tmp_path, "kind", [scalars(1, {"a": 1.0}, 7.0)])
    assert snapshot(tmp_path) == before


def test_a_change_replaces_the_file_of_its_kind_only(tmp_path: Path) -> None:
    foreign = tmp_path / "events.out.tfevents.1.host.1.0"
    foreign.write_bytes(b"training")
    replace_events(tmp_path, "kind", [scalars(1, {"a": 1.0}, 7.0)])
    replace_events(tmp_path, "other", [scalars(1, {"b": 1.0}, 7.0)])
    replace_events(tmp_path, "kind", [scalars(1, {"a": 2.0}, 7.0)])
    foreign.unlink()
    assert sorted((value.tag, value.value) for value in values_below(tmp_path)) == [("a", 2.0), ("b", 1.0)]


def test_nothing_removes_the_file(tmp_path: Path) -> None:
    replace_events(tmp_path, "kind", [scalars(1, {"a": 1.0}, 7.0)])
    replace_events(tmp_path, "kind", [])
    assert list(tmp_path.iterdir()) == []


def test_nothing_does_not_make_a_folder(tmp_path: Path) -> None:
    replace_events(tmp_path / "run", "kind", [])
    assert not (tmp_path / "run").exists()


def test_a_failing_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_events(tmp_path, "kind", [scalars(1, {"a": 1.0}, 7.0)])
    before = snapshot(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=f"cannot write {tmp_path}.*: No space left on device"):
        replace_events(tmp_path, "kind", [scalars(1, {"a": 2.0}, 7.0)])
    assert snapshot(tmp_path) == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_in_the_way_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(UserError, match="cannot write event files"):
        replace_events(tmp_path / "run", "kind", [scalars(1, {"a": 1.0}, 7.0)])
