"""Cutting event files back: what is kept, what goes, and whose files are left alone."""

from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from mnist_depth.instrument import EventWriter


def _points(folder: Path) -> list[tuple[str, int, float]]:
    return [
        (value.tag, event.step, round(value.tensor.float_val[0], 6))
        for path in sorted(folder.glob("*tfevents*"))
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
    ]


def _write(folder: Path, steps: range, value: float = 0.5) -> EventWriter:
    writer = EventWriter(folder)
    for step in steps:
        writer.write_scalars(step, {"loss": value})
    writer.flush()
    return writer


def test_later_points_go_and_what_is_written_next_stands_once(tmp_path: Path) -> None:
    _write(tmp_path, range(10)).close()
    writer = EventWriter(tmp_path)
    writer.truncate_after(5)
    writer.write_scalars(6, {"loss": 1.5})
    writer.close()
    assert sorted(_points(tmp_path)) == [("loss", step, 0.5) for step in range(6)] + [("loss", 6, 1.5)]


def test_the_writers_own_open_file_is_cut_too(tmp_path: Path) -> None:
    writer = _write(tmp_path, range(4))
    writer.truncate_after(1)
    writer.close()
    assert _points(tmp_path) == [("loss", 0, 0.5), ("loss", 1, 0.5)]


def test_nothing_is_left_of_a_run_that_starts_again(tmp_path: Path) -> None:
    _write(tmp_path, range(3)).close()
    writer = EventWriter(tmp_path)
    writer.truncate_after(-1)
    writer.close()
    assert _points(tmp_path) == []


def test_a_half_written_last_record_goes_and_the_rest_stays(tmp_path: Path) -> None:
    _write(tmp_path, range(3)).close()
    (path,) = tmp_path.glob("*tfevents*")
    path.write_bytes(path.read_bytes()[:-7])
    writer = EventWriter(tmp_path)
    writer.truncate_after(9)
    writer.close()
    assert _points(tmp_path) == [("loss", 0, 0.5), ("loss", 1, 0.5)]


def test_files_of_others_are_not_touched(tmp_path: Path) -> None:
    foreign = tmp_path / "events.out.tfevents.1.host"
    foreign.write_bytes(b"theirs")
    writer = _write(tmp_path, range(3))
    writer.truncate_after(0)
    writer.close()
    assert foreign.read_bytes() == b"theirs"


def test_a_fresh_folder_is_left_empty(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "new")
    writer.truncate_after(-1)
    writer.close()
    assert not (tmp_path / "new").exists()
