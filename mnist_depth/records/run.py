"""One run of a study: its folder's name, config, marker and measurements."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_depth import naming
from mnist_depth.config import RunConfig, layer_name
from mnist_depth.errors import UserError, printable
from mnist_depth.files import read_json
from mnist_depth.plan import Plan
from mnist_depth.records.training import TrainingRecord, numbers_of, read_format

CONFIG, DONE = "config.json", "done.json"
CHECKPOINT, WEIGHTS, ERROR = "checkpoint", "weights.weights.h5", "error.txt"
STATUSES = ("finished", "diverged")
"""Final states of a run."""


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
    slugs = (
        slug or naming.slug(config, length=naming.max_length(study)),
        naming.slug_0_2(config),
        naming.slug_0_1(config),
    )
    folder, *earlier = (logdir / study / name / f"seed_{config.seed}" for name in slugs)
    if not (folder / CONFIG).exists():
        folder = next((old for old in earlier if (old / DONE).exists()), folder)
    if not is_inside(folder, logdir):
        raise UserError(
            "{folder} leads out of {logdir} through a link; remove the link or choose another --logdir",
            folder=folder,
            logdir=logdir,
        )
    return folder


def is_inside(folder: Path, root: Path) -> bool:
    """Whether a folder really is below `root`: no symbolic link leads out of it."""
    return Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(root))


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
    def has_ended(self) -> bool:
        return bool(self.done)

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


def read_run(folder: Path) -> RunRecord:
    """Read a run folder. Raises UserError that names the file which is missing or damaged."""
    metadata = read_format(folder / CONFIG)
    if not isinstance(metadata.get("config"), dict):
        raise UserError("{path} was not written by this version of mnist_depth", path=folder / CONFIG)
    done = _read_marker(folder / DONE) if (folder / DONE).exists() else {}
    try:
        config = RunConfig.from_dict(metadata["config"])
    except UserError as error:
        raise UserError("{path}: {reason}", path=folder / CONFIG, reason=error) from None
    return RunRecord(folder, config, metadata, done)


def _read_marker(path: Path) -> dict[str, Any]:
    done = read_json(path)
    if done.get("status") not in STATUSES:
        raise UserError("{path} is damaged (no status); remove the run folder to train it again", path=path)
    return {**done, "metrics": numbers_of(done.get("metrics"))}
