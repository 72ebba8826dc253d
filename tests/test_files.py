"""Files are whole or as they were; JSON that is not a plain object is one line that names the file."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from mnist_depth.errors import UserError
from mnist_depth.files import MAX_DEPTH, check_writable, encode, is_denied, read_json, replacing, write_atomic


@pytest.mark.parametrize(
    ("content", "stored"), [("é", b"\xc3\xa9"), (b"\x00\xff", b"\x00\xff"), ("\udcff", b"\\udcff")]
)
def test_text_and_bytes_take_the_place_of_what_was_there(tmp_path: Path, content: str | bytes, stored: bytes) -> None:
    target = tmp_path / "file"
    target.write_text("before")
    write_atomic(target, content)
    assert target.read_bytes() == stored
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_in_the_way_is_left_as_it_is(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "inside").touch()
    with pytest.raises(UserError, match="cannot write"):
        write_atomic(target, "text")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_an_error_of_any_kind_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("before")

    def write_half(error: type[BaseException]) -> None:
        with replacing(target) as file:
            file.write(b"half")
            raise error

    for error in (KeyboardInterrupt, ValueError):
        with pytest.raises(error):
            write_half(error)
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    target.write_text("before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        write_atomic(target, "after")
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_under_way_is_none_that_a_board_reads(tmp_path: Path) -> None:
    with replacing(tmp_path / "events.out.tfevents.1.host"):
        (temporary,) = tmp_path.iterdir()
        assert "tfevents" not in temporary.name


def _nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels):
        value = {"inner": value}
    return value


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "\x00", json.dumps(_nested(MAX_DEPTH)), "[" * 100_000])
def test_what_is_no_plain_object_is_one_line_that_names_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "some.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"some\.json") as caught:
        read_json(path)
    assert "\n" not in str(caught.value)


def test_a_plain_object_comes_back_as_written(tmp_path: Path) -> None:
    values = {"nested": _nested(MAX_DEPTH - 2), "numbers": [1, 2.5, None]}
    write_atomic(tmp_path / "file.json", json.dumps(values))
    assert read_json(tmp_path / "file.json") == values


@pytest.mark.parametrize("value", [1.5, math.inf, -math.inf, math.nan])
def test_every_number_survives_strict_json(value: float) -> None:
    text = json.dumps(encode(value), allow_nan=False)
    assert float(json.loads(text)) == pytest.approx(value, nan_ok=True)


@pytest.fixture
def denied(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """Paths that this user may not write; tests may run as root, whom no permission stops."""
    paths: set[Path] = set()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) not in paths)
    return paths


def test_a_folder_of_another_user_is_named_with_its_owner_before_anything_is_made(
    tmp_path: Path, denied: set[Path]
) -> None:
    new, old = tmp_path / "study" / "slug" / "seed_2", tmp_path / "study" / "slug" / "seed_0"
    old.mkdir(parents=True)
    (old / ".lock").touch()
    (tmp_path / "study" / "of_another_user").touch()
    denied |= {tmp_path / "study" / "of_another_user"}
    for folder in (new, old, tmp_path / "study" / "other" / "seed_0"):
        check_writable(folder)
    for folder, path in ((new, old.parent), (old, old / ".lock"), (old, old)):
        denied.add(path)
        with pytest.raises(UserError) as caught:
            check_writable(folder)
        assert f"no permission to write {path}, which belongs to {tmp_path.owner()}; " in str(caught.value)
        denied.remove(path)
    assert not new.exists()


def test_a_missing_permission_is_known_from_other_causes(tmp_path: Path) -> None:
    def cause(number: int) -> UserError:
        error = UserError("cannot write")
        error.__cause__ = OSError(number, os.strerror(number))
        return error

    assert [is_denied(cause(number)) for number in (13, 1, 30, 28)] == [True, True, True, False]
    assert is_denied(PermissionError(13, "denied"))
    assert not is_denied(UserError("nothing to do with a disk"))
