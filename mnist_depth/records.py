"""The run folder: who owns it, what stands in it, how it is read back (docs/architecture.md lists its files)."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError

FORMAT = 1
CONFIG, METRICS, HISTOGRAMS, DONE, LOCK = "config.json", "metrics.jsonl", "histograms.jsonl", "done.json", ".lock"
CHECKPOINT, WEIGHTS, ERROR = "checkpoint", "weights.weights.h5", "error.txt"


class Point(NamedTuple):
    """One scalar of one run's event file."""

    run: str
    tag: str
    step: int
    wall_time: float
    value: float


class HistogramPoint(NamedTuple):
    """One histogram of one run's event file: `edges` has one entry more than `counts`."""

    run: str
    tag: str
    step: int
    edges: list[float]
    counts: list[float]


def run_folder(logdir: Path, study: str, config: RunConfig) -> Path:
    """Where a run of a study lives: `<logdir>/<study>/<slug>/seed_<k>`."""
    return logdir / study / config.slug / f"seed_{config.seed}"


def write_atomic(path: Path, text: str) -> None:
    """Write a whole file or nothing: temporary file, fsync, rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises UserError that names the file when it is missing or damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        reason = type(error).__name__
        raise UserError(f"{path} is damaged ({reason}); remove the run folder to train it again") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} does not hold a JSON object; remove the run folder to train it again")
    return values


@dataclass(frozen=True)
class RunRecord:
    """One run folder, read."""

    folder: Path
    config: RunConfig
    record: Mapping[str, Any]
    """All of config.json: config, dataset, environment, command."""
    done: Mapping[str, Any]
    """The marker: status, metrics, seconds, weights_sha256; empty while the run is unfinished."""

    @property
    def study(self) -> str:
        return self.folder.parent.parent.name

    @property
    def slug(self) -> str:
        return self.folder.parent.name

    @property
    def seed(self) -> int:
        return self.config.seed

    @property
    def status(self) -> str:
        """`finished`, `diverged` or `unfinished`."""
        return str(self.done.get("status", "unfinished"))

    @cached_property
    def points(self) -> list[Point]:
        """Every scalar point, in the order of writing; a damaged last line (a killed writer's) is left out."""
        return [
            Point(line["run"], tag, line["step"], line["wall_time"], _number(value))
            for line in _lines(self.folder / METRICS)
            for tag, value in line["scalars"].items()
        ]

    def series(self, run: str, tag: str) -> tuple[list[int], list[float]]:
        """The steps and values of one tag."""
        chosen = [point for point in self.points if point.run == run and point.tag == tag]
        return [point.step for point in chosen], [point.value for point in chosen]

    def histograms(self) -> Iterator[HistogramPoint]:
        for line in _lines(self.folder / HISTOGRAMS):
            yield HistogramPoint(line["run"], line["tag"], line["step"], line["edges"], line["counts"])


def read_run(folder: Path) -> RunRecord:
    """Read a run folder. Raises UserError that names the file which is missing or damaged."""
    record = read_json(folder / CONFIG)
    if record.get("format") != FORMAT or not isinstance(record.get("config"), dict):
        raise UserError(f"{folder / CONFIG} was not written by this version of mnist_depth")
    done = read_json(folder / DONE) if (folder / DONE).exists() else {}
    try:
        config = RunConfig.from_dict(record["config"])
    except UserError as error:
        raise UserError(f"{folder / CONFIG}: {error}") from None
    return RunRecord(folder, config, record, done)


def find_runs(root: Path) -> list[RunRecord]:
    """Every readable run folder at or below `root`, in the order of their paths; damaged ones are left out."""
    runs = []
    for path in sorted(root.rglob(CONFIG)):
        with contextlib.suppress(UserError):
            runs.append(read_run(path.parent))
    return runs


def make_folder(folder: Path) -> None:
    """Make a folder and those above it. Raises UserError when a file is in the way or it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{folder} is, or is below, a file; choose another --logdir") from None
    except OSError as error:
        raise UserError(f"cannot make {folder}: {error.strerror}; choose another --logdir") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"cannot write to {folder}; choose another --logdir")


class Busy(UserError):
    """Another process owns the run folder."""


@contextlib.contextmanager
def claim(folder: Path, owner: str = "") -> Iterator[None]:
    """Own a run folder for the time of the block; the kernel lets go of the lock when its owner dies.

    `owner` is left in the lock file, so that whoever finds the run unfinished can tell who was at it (`owner_of`).

    Raises Busy when another process owns it, UserError when the folder cannot be made or written.
    """
    make_folder(folder)
    try:
        file = (folder / LOCK).open("a")
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}; choose another --logdir") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"another process is training {folder}") from None
        file.truncate(0)
        file.write(owner)
        file.flush()
        yield


def owner_of(folder: Path) -> str:
    """What the last owner of a run folder left in its lock file; empty where there was none."""
    try:
        return (folder / LOCK).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def state(folder: Path, config: RunConfig) -> str:
    """`new`, `unfinished` or `complete`. Raises UserError when the folder holds another run or foreign files."""
    if not (folder / CONFIG).exists():
        names = sorted(path.name for path in folder.iterdir())
        if foreign := [name for name in names if name != LOCK and not name.endswith(".tmp")]:
            raise UserError(f"{folder} holds foreign files ({foreign[0]}); remove them or pass --overwrite")
        return "new"
    record = read_run(folder)
    if record.config != config:
        difference = _difference(record.config, config)
        raise UserError(f"{folder} holds a different run ({difference}); pass --overwrite to replace it")
    return "unfinished" if record.status == "unfinished" else "complete"


def clear(folder: Path) -> None:
    """Remove everything in a run folder but its lock."""
    for path in folder.iterdir():
        if path.name == LOCK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _difference(old: RunConfig, new: RunConfig) -> str:
    theirs, ours = old.to_dict(), new.to_dict()
    return ", ".join(f"{name} {theirs[name]} there, {ours[name]} here" for name in ours if theirs[name] != ours[name])


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for text in file:
                with contextlib.suppress(ValueError):
                    line = json.loads(text)
                    if isinstance(line, dict):
                        yield line
    except FileNotFoundError:
        return


def encode(value: float) -> float | str:
    """A number that JSON can hold: `nan`, `inf` and `-inf` become strings, which `float()` reads back."""
    return value if math.isfinite(value) else str(value)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
