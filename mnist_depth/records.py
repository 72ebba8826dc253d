"""Folders of trainings: location, ownership and reading (file formats: docs/architecture.md)."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from mnist_depth import naming
from mnist_depth.config import RunConfig, layer_name
from mnist_depth.errors import UserError, printable
from mnist_depth.files import lock, open_lock, open_regular, read_json
from mnist_depth.plan import Plan
from mnist_depth.points import (
    HISTOGRAMS,
    METRICS,
    HistogramPoint,
    Point,
    Points,
    Series,
    is_number,
    last_histograms,
    read_histograms,
)

__all__ = ["HISTOGRAMS", "METRICS", "HistogramPoint", "Point"]

FORMAT = 1
CONFIG, GAUGE, DONE, LOCK = "config.json", "gauge.json", "done.json", ".lock"
CHECKPOINT, WEIGHTS, ERROR = "checkpoint", "weights.weights.h5", "error.txt"
STATUSES = ("finished", "diverged")
"""Final states of a run."""

MAX_OWNER_BYTES = 1_000
"""Size of a lock file with the name of its owner."""

SHOWN_FIGURES = ("test_accuracy", "best_test_accuracy", "train_loss", "train_accuracy", "validation_accuracy")
"""Final figures in a short representation."""


def event_tag(split: str, tag: str) -> str:
    """The tag of a scalar in the event files of a run folder, which are one run in TensorBoard's list.

    >>> event_tag("train", "loss"), event_tag("test", "loss"), event_tag("pretraining", "lsuv_variance")
    ('loss', 'loss/test', 'pretraining/lsuv_variance')
    """
    if split == "train":
        return tag
    return f"{tag}/{split}" if split in ("validation", "test") else f"{split}/{tag}"


def run_folder(logdir: Path, study: str, config: RunConfig, slug: str = "") -> Path:
    """Where a run of a study lives: `<logdir>/<study>/<slug>/seed_<k>`. Raises UserError where a link leads out of it.

    Without a slug the name shows what is not the default. A run that an earlier version finished stays in the folder
    which that version gave it. The logdir itself may be a link.
    """
    slugs = (slug or naming.slug(config, room=naming.room(study)), naming.slug_0_2(config), naming.slug_0_1(config))
    folder, *earlier = (logdir / study / name / f"seed_{config.seed}" for name in slugs)
    if not (folder / CONFIG).exists():
        folder = next((old for old in earlier if (old / DONE).exists()), folder)
    if not is_inside(folder, logdir):
        raise UserError(f"{folder} leads out of {logdir} through a link; remove the link or choose another --logdir")
    return folder


def is_inside(folder: Path, root: Path) -> bool:
    """Whether a folder really is below `root`: no symbolic link leads out of it."""
    return Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(root))


class TrainingRecord(ABC):
    """One training, read from its folder: what a run of a study and the folder of a gauge have in common."""

    folder: Path

    @property
    @abstractmethod
    def name(self) -> str:
        """The display name in lists."""

    @property
    @abstractmethod
    def study(self) -> str:
        """The study that the training belongs to; empty for none."""

    @property
    @abstractmethod
    def seed(self) -> int | None:
        """None where it is not known."""

    @property
    @abstractmethod
    def status(self) -> str: ...

    @property
    @abstractmethod
    def fields(self) -> Mapping[str, Any]:
        """The settings of the training without its seed: trainings with equal fields form one group."""

    @property
    @abstractmethod
    def layers(self) -> list[str]:
        """Names of the layers in model order, as tags have them."""

    @property
    @abstractmethod
    def steps_per_epoch(self) -> int:
        """0 where it is not known."""

    @cached_property
    def measured(self) -> Points:
        """Every scalar, by split and tag. Raises UserError that names the file when it is damaged."""
        return Points.read(self.folder)

    @property
    def points(self) -> list[Point]:
        """Every scalar, tag by tag in the order of steps."""
        return self.measured.flat()

    def series(self, split: str, tag: str) -> tuple[list[int], list[float]]:
        """The steps and values of one tag in the order of steps; empty lists where it was not measured."""
        series = self.measured.get((split, tag), Series())
        return series.steps.tolist(), series.values.tolist()

    def tags(self, split: str = "train") -> list[str]:
        """The tags that a split has, in the order in which they were first written."""
        return [tag for found, tag in self.measured if found == split]

    def histograms(self) -> Iterator[HistogramPoint]:
        """Every histogram in the order of writing."""
        return read_histograms(self.folder)

    def last_histograms(self, is_usable: Callable[[HistogramPoint], bool]) -> dict[str, HistogramPoint]:
        """Tag -> its last usable histogram, without reading all of them."""
        return last_histograms(self.folder, is_usable)

    @property
    def figures(self) -> dict[str, float]:
        """Final figures by name, as numbers."""
        return {}

    def __repr__(self) -> str:
        found = {name: self.figures[name] for name in SHOWN_FIGURES if name in self.figures}
        shown = "".join(f", {name.replace('_', ' ')} {value:.4g}" for name, value in found.items())
        return f"{type(self).__name__} {self.study}/{self.name}: {self.status}{shown}\n  {self.folder}"

    def _repr_html_(self) -> str:
        """Its fields and final figures, for a notebook."""
        values = {"status": self.status, "seed": self.seed, **self.fields, **self.figures, "folder": self.folder}
        rows = [f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in values.items()]
        return f"<table>{''.join(rows)}</table>"


@dataclass(frozen=True, repr=False)
class RunRecord(TrainingRecord):
    """One run of a study."""

    folder: Path
    config: RunConfig
    metadata: Mapping[str, Any]
    """All of config.json: config, dataset, environment, command."""
    done: Mapping[str, Any]
    """The marker: status, metrics (numbers only), seconds, weights_sha256; empty while the run is unfinished."""

    @property
    def name(self) -> str:
        return f"{self.slug}/{printable(self.folder.name)}"

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
    def fields(self) -> Mapping[str, Any]:
        return {name: value for name, value in self.config.to_dict().items() if name != "seed"}

    @property
    def figures(self) -> dict[str, float]:
        """Those of the marker, and the seconds that training took."""
        given = {"seconds": self.done.get("seconds"), **self.done.get("metrics", {})}
        return {name: float(value) for name, value in numbers_of(given).items()}

    @property
    def layers(self) -> list[str]:
        """The weight layers that were measured; where none was, those of a plain network of this depth."""
        names = {tag.split("/")[1] for tag in self.tags() if "/layer_" in tag}
        depth = self.config.depth
        return sorted(names) or [layer_name(index, depth) for index in range(1, depth + 1)]

    @property
    def steps_per_epoch(self) -> int:
        try:
            examples = int(self.metadata["dataset"]["sizes"]["train"])
            return Plan(examples, self.config.batch_size, self.config.epochs).steps_per_epoch
        except (ArithmeticError, KeyError, TypeError, ValueError):
            return 0


@dataclass(frozen=True, repr=False)
class GaugeRecord(TrainingRecord):
    """What a `DepthGauge` measured of any Keras model."""

    folder: Path
    metadata: Mapping[str, Any]
    """All of gauge.json: model, layers, optimizer, learning_rate, loss, steps_per_epoch, environment."""

    @property
    def name(self) -> str:
        return printable(self.folder.name)

    @property
    def study(self) -> str:
        return ""

    @property
    def seed(self) -> None:
        return None

    @property
    def status(self) -> str:
        """`diverged` after a loss that is not finite, else `measured`: a gauge does not know whether training ends."""
        _, losses = self.series("train", "loss")
        return "measured" if all(map(math.isfinite, losses)) else "diverged"

    @property
    def figures(self) -> dict[str, float]:
        """The last value of every scalar that belongs to no layer, such as `validation_accuracy`."""
        return {
            f"{split}_{tag}": float(series.values[-1])
            for (split, tag), series in self.measured.items()
            if "/" not in tag and len(series.values)
        }

    @property
    def fields(self) -> Mapping[str, Any]:
        names = ("model", "optimizer", "learning_rate", "loss")
        return {"depth": len(self.layers)} | {name: self.metadata.get(name) for name in names}

    @property
    def layers(self) -> list[str]:
        return [printable(layer["name"]) for layer in self.metadata["layers"]]

    @property
    def steps_per_epoch(self) -> int:
        steps = self.metadata.get("steps_per_epoch")
        return steps if type(steps) is int and steps > 0 else 0


def read_run(folder: Path) -> RunRecord:
    """Read a run folder. Raises UserError that names the file which is missing or damaged."""
    metadata = _read_format(folder / CONFIG)
    if not isinstance(metadata.get("config"), dict):
        raise UserError(f"{folder / CONFIG} was not written by this version of mnist_depth")
    done = _read_marker(folder / DONE) if (folder / DONE).exists() else {}
    try:
        config = RunConfig.from_dict(metadata["config"])
    except UserError as error:
        raise UserError(f"{folder / CONFIG}: {error}") from None
    return RunRecord(folder, config, metadata, done)


def read_gauge(folder: Path) -> GaugeRecord:
    """Read the folder of a gauge. Raises UserError that names the file which is missing or damaged."""
    metadata = _read_format(folder / GAUGE)
    layers = metadata.get("layers")
    named = isinstance(layers, list) and all(isinstance(x, dict) and isinstance(x.get("name"), str) for x in layers)
    if not named:
        raise UserError(f"{folder / GAUGE} is damaged (no layers); remove the folder to measure again")
    return GaugeRecord(folder, metadata)


def _read_format(path: Path) -> dict[str, Any]:
    values = read_json(path)
    if values.get("format") != FORMAT:
        raise UserError(f"{path} was not written by this version of mnist_depth")
    return values


def _read_marker(path: Path) -> dict[str, Any]:
    done = read_json(path)
    if done.get("status") not in STATUSES:
        raise UserError(f"{path} is damaged (no status); remove the run folder to train it again")
    return {**done, "metrics": numbers_of(done.get("metrics"))}


def numbers_of(values: Any) -> dict[str, Any]:
    """The entries of a JSON object that `float()` reads; none where it is no object."""
    return {name: value for name, value in values.items() if is_number(value)} if isinstance(values, dict) else {}


def folders_with(name: str, root: Path) -> list[Path]:
    """The folders at or below `root` that hold something of this name, sorted; runs may be under way in them.

    `Path.rglob` fails where a folder vanishes while it looks, as a checkpoint's does when its run ends.
    """
    return sorted(Path(folder) for folder, folders, files in os.walk(root) if name in (*folders, *files))


def find_trainings(root: Path) -> list[RunRecord | GaugeRecord]:
    """Every readable training at or below `root`, in the order of their paths; damaged ones are left out."""
    found: list[RunRecord | GaugeRecord] = []
    for folder, folders, files in os.walk(root):
        with contextlib.suppress(UserError):
            if CONFIG in files:
                folders.clear()  # a run's own subfolders hold no other run
                found.append(read_run(Path(folder)))
            elif GAUGE in files:
                found.append(read_gauge(Path(folder)))
    return sorted(found, key=lambda record: record.folder)


def find_runs(root: Path) -> list[RunRecord]:
    """Every readable run of a study at or below `root`, in the order of their paths; damaged ones are left out."""
    return [record for record in find_trainings(root) if isinstance(record, RunRecord)]


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
    """Lock a run folder for the duration of the block; the kernel releases the lock when its owner dies.

    `owner` is left in the lock file, so that a later process can see who trained an unfinished run (`owner_of`).

    Raises Busy when another process owns it, UserError when the folder cannot be made or written.
    """
    make_folder(folder)
    descriptor = open_lock(folder / LOCK)
    try:
        if not lock(descriptor):
            raise Busy(f"another process is training {folder}")
        os.truncate(descriptor, 0)
        os.write(descriptor, owner.encode())
    except OSError as error:
        os.close(descriptor)
        raise UserError(f"cannot write {folder / LOCK}: {error.strerror}") from None
    except Busy:
        os.close(descriptor)
        raise
    try:
        yield
    finally:
        os.close(descriptor)


def owner_of(folder: Path) -> str:
    """What the last owner of a run folder left in its lock file; empty where there was none."""
    try:
        with open_regular(folder / LOCK, MAX_OWNER_BYTES) as file:
            return file.read().decode(errors="replace")
    except (OSError, UserError):
        return ""


def state(folder: Path, config: RunConfig) -> str:
    """`new`, `unfinished` or `complete`.

    Raises UserError when the folder holds another run, foreign files, or files from which an unfinished run cannot
    resume.
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
    """Raises UserError for a link, through which the run would write elsewhere, for pipes, and for damaged files."""
    for folder, folders, files in os.walk(record.folder):
        for path in (Path(folder, name) for name in (*folders, *files)):
            if path.is_symlink():
                raise UserError(f"{path} is a link, which a run never makes; remove it or pass --overwrite")
            if path.exists() and not path.is_file() and not path.is_dir():
                raise UserError(f"{path} is not a regular file; remove it or pass --overwrite")
    if not isinstance(record.metadata.get("dataset", {}), dict):
        raise UserError(f"{record.folder / CONFIG} is damaged (no dataset); remove the run folder to train it again")
    _ = record.measured
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
    there, here = old.to_dict(), new.to_dict()
    return ", ".join(f"{name} {there[name]} there, {here[name]} here" for name in here if there[name] != here[name])
