"""The run folder: who owns it, what stands in it, how it is read back (docs/architecture.md lists its files)."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError, printable
from mnist_depth.files import read_json
from mnist_depth.plan import Plan

FORMAT = 1
CONFIG, METRICS, HISTOGRAMS, DONE, LOCK = "config.json", "metrics.jsonl", "histograms.jsonl", "done.json", ".lock"
CHECKPOINT, WEIGHTS, ERROR = "checkpoint", "weights.weights.h5", "error.txt"
STATUSES = ("finished", "diverged")
"""How a run can end."""

T = TypeVar("T")


def event_tag(split: str, tag: str) -> str:
    """The tag of a scalar in the event files of a run folder, which are one run in TensorBoard's list.

    >>> event_tag("train", "loss"), event_tag("test", "loss"), event_tag("pretraining", "lsuv_variance")
    ('loss', 'loss/test', 'pretraining/lsuv_variance')
    """
    if split == "train":
        return tag
    return f"{tag}/{split}" if split in ("validation", "test") else f"{split}/{tag}"


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
    """Where a run of a study lives: `<logdir>/<study>/<slug>/seed_<k>`. Raises UserError where a link leads out of it.

    A run that version 0.1 finished stays in the folder which that version gave it. The logdir itself may be a link.
    """
    folder, folder_0_1 = (logdir / study / slug / f"seed_{config.seed}" for slug in (config.slug, config.slug_0_1))
    if not (folder / CONFIG).exists() and (folder_0_1 / DONE).exists():
        folder = folder_0_1
    if not is_inside(folder, logdir):
        raise UserError(f"{folder} leads out of {logdir} through a link; remove the link or choose another --logdir")
    return folder


def is_inside(folder: Path, root: Path) -> bool:
    """Whether a folder is where its name says, below `root`: no link leads out."""
    return Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(root))


@dataclass(frozen=True)
class RunRecord:
    """One run folder, read."""

    folder: Path
    config: RunConfig
    record: Mapping[str, Any]
    """All of config.json: config, dataset, environment, command."""
    done: Mapping[str, Any]
    """The marker: status, metrics (numbers only), seconds, weights_sha256; empty while the run is unfinished."""

    @property
    def study(self) -> str:
        return printable(self.folder.parent.parent.name)

    @property
    def slug(self) -> str:
        return printable(self.folder.parent.name)

    @property
    def seed(self) -> int:
        return self.config.seed

    @property
    def status(self) -> str:
        """`finished`, `diverged` or `unfinished`."""
        return str(self.done.get("status", "unfinished"))

    @property
    def steps_per_epoch(self) -> int:
        """0 where the record does not say how many training images there were."""
        try:
            examples = int(self.record["dataset"]["sizes"]["train"])
            return Plan(examples, self.config.batch_size, self.config.epochs).steps_per_epoch
        except (ArithmeticError, KeyError, TypeError, ValueError):
            return 0

    @cached_property
    def points(self) -> list[Point]:
        """Every scalar point, in the order of writing; a line that a killed writer left half written is left out.

        Raises UserError that names the file when it is damaged in another way.
        """
        return [point for points in _read_lines(self.folder / METRICS, _points) for point in points]

    def series(self, run: str, tag: str) -> tuple[list[int], list[float]]:
        """The steps and values of one tag."""
        chosen = [point for point in self.points if point.run == run and point.tag == tag]
        return [point.step for point in chosen], [point.value for point in chosen]

    def histograms(self) -> Iterator[HistogramPoint]:
        """Every histogram, like `points`."""
        return _read_lines(self.folder / HISTOGRAMS, _histogram)


def read_run(folder: Path) -> RunRecord:
    """Read a run folder. Raises UserError that names the file which is missing or damaged."""
    record = read_json(folder / CONFIG)
    if record.get("format") != FORMAT or not isinstance(record.get("config"), dict):
        raise UserError(f"{folder / CONFIG} was not written by this version of mnist_depth")
    done = _read_marker(folder / DONE) if (folder / DONE).exists() else {}
    try:
        config = RunConfig.from_dict(record["config"])
    except UserError as error:
        raise UserError(f"{folder / CONFIG}: {error}") from None
    return RunRecord(folder, config, record, done)


def _read_marker(path: Path) -> dict[str, Any]:
    done = read_json(path)
    if done.get("status") not in STATUSES:
        raise UserError(f"{path} is damaged (no status); remove the run folder to train it again")
    return {**done, "metrics": numbers_of(done.get("metrics"))}


def numbers_of(values: Any) -> dict[str, Any]:
    """The entries of a JSON object that `float()` reads; none where it is no object."""
    return {name: value for name, value in values.items() if _is_number(value)} if isinstance(values, dict) else {}


def folders_with(name: str, root: Path) -> list[Path]:
    """The folders at or below `root` that hold something of this name, sorted; runs may be under way in them.

    `Path.rglob` fails where a folder vanishes while it looks, as a checkpoint's does when its run ends.
    """
    return sorted(Path(folder) for folder, folders, files in os.walk(root) if name in (*folders, *files))


def find_runs(root: Path) -> list[RunRecord]:
    """Every readable run folder at or below `root`, in the order of their paths; damaged ones are left out."""
    runs = []
    for folder in folders_with(CONFIG, root):
        with contextlib.suppress(UserError):
            runs.append(read_run(folder))
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
    if (folder / LOCK).is_symlink():
        raise UserError(f"{folder / LOCK} is a link, which a run never makes; remove it")
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
    """`new`, `unfinished` or `complete`.

    Raises UserError when the folder holds another run, foreign files, or what an unfinished run cannot go on from.
    """
    if not (folder / CONFIG).exists():
        names = sorted(path.name for path in folder.iterdir())
        if foreign := [name for name in names if name != LOCK and not name.endswith(".tmp")]:
            raise UserError(f"{folder} holds foreign files ({foreign[0]}); remove them or pass --overwrite")
        return "new"
    record = read_run(folder)
    if record.config != config:
        difference = _difference(record.config, config)
        raise UserError(f"{folder} holds a different run ({difference}); pass --overwrite to replace it")
    if record.done:
        return "complete"
    _check_unfinished(record)
    return "unfinished"


def _check_unfinished(record: RunRecord) -> None:
    """Raises UserError for a link, through which the run would write elsewhere, and for damaged files."""
    for folder, folders, files in os.walk(record.folder):
        for path in (Path(folder, name) for name in (*folders, *files)):
            if path.is_symlink():
                raise UserError(f"{path} is a link, which a run never makes; remove it or pass --overwrite")
    if not isinstance(record.record.get("dataset", {}), dict):
        raise UserError(f"{record.folder / CONFIG} is damaged (no dataset); remove the run folder to train it again")
    _ = record.points
    for _ in record.histograms():
        pass


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


def _read_lines(path: Path, convert: Callable[[dict[str, Any]], T]) -> Iterator[T]:
    """What `convert` makes of every line of a JSON lines file; nothing where there is no file."""
    try:
        with path.open(encoding="utf-8") as file:
            for text in file:
                try:
                    line = json.loads(text)
                except json.JSONDecodeError:
                    continue
                yield convert(line)
    except FileNotFoundError:
        return
    except (OSError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        reason = type(error).__name__
        raise UserError(f"{path} is damaged ({reason}); remove the run folder to train it again") from None


def _points(line: Mapping[str, Any]) -> list[Point]:
    run, step, wall_time = _name(line["run"]), _step(line["step"]), float(line["wall_time"])
    return [Point(run, _name(tag), step, wall_time, _number(value)) for tag, value in line["scalars"].items()]


def _histogram(line: Mapping[str, Any]) -> HistogramPoint:
    edges, counts = ([float(number) for number in line[name]] for name in ("edges", "counts"))
    return HistogramPoint(_name(line["run"]), _name(line["tag"]), _step(line["step"]), edges, counts)


_name = lru_cache(10_000)(printable)


def _step(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**53:
        raise ValueError(f"{value!r} is no step")
    return value


def _number(value: Any) -> float:
    return float(value) if _is_number(value) else math.nan


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (OverflowError, TypeError, ValueError):
        return False
    return True
