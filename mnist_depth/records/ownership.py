"""Run folders from the side of training: made, locked by one process, resumed or cleared."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError, refusal
from mnist_depth.files import lock, open_lock, open_regular
from mnist_depth.records.histograms import read_text_histograms
from mnist_depth.records.run import CONFIG, RunRecord, read_run

LOCK = ".lock"

MAX_OWNER_BYTES = 1_000
"""Size of a lock file with the name of its owner."""


def make_folder(folder: Path, *, parents: bool = True) -> None:
    """Make a folder, with those above it. Raises UserError when a file is in the way or it cannot be written."""
    try:
        folder.mkdir(parents=parents, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError("{folder} is, or is below, a file; choose another --logdir", folder=folder) from None
    except OSError as error:
        raise UserError(
            "cannot make {folder}: {reason}; choose another --logdir", folder=folder, reason=refusal(error)
        ) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError("cannot write to {folder}; choose another --logdir", folder=folder)


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
            raise Busy("another process is training {folder}", folder=folder)
        os.truncate(descriptor, 0)
        os.write(descriptor, owner.encode())
    except OSError as error:
        os.close(descriptor)
        raise UserError("cannot write {path}: {reason}", path=folder / LOCK, reason=refusal(error)) from None
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
            raise UserError(
                "{folder} holds foreign files ({name}); remove them or pass --overwrite", folder=folder, name=foreign[0]
            )
        return "new"
    record = read_run(folder)
    if record.config != config:
        there, here = _differing(record.config, config)
        raise UserError(
            "{folder} holds a different run ({there} there, {here} here); pass --overwrite to replace it",
            folder=folder,
            there=there,
            here=here,
        )
    if record.done:
        return "complete"
    _check_unfinished(record)
    return "unfinished"


def _check_unfinished(record: RunRecord) -> None:
    """Raises UserError for a link, through which the run would write elsewhere, for pipes, and for damaged files."""
    for folder, folders, files in os.walk(record.folder):
        for path in (Path(folder, name) for name in (*folders, *files)):
            if path.is_symlink():
                raise UserError("{path} is a link, which a run never makes; remove it or pass --overwrite", path=path)
            if path.exists() and not path.is_file() and not path.is_dir():
                raise UserError("{path} is not a regular file; remove it or pass --overwrite", path=path)
    if not isinstance(record.metadata.get("dataset", {}), dict):
        raise UserError(
            "{path} is damaged (no dataset); remove the run folder to train it again", path=record.folder / CONFIG
        )
    _ = record.measured
    for _ in read_text_histograms(record.folder):
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


def _differing(*configs: RunConfig) -> list[str]:
    """For each of two configs, the fields in which they differ."""
    first, second = (config.to_dict() for config in configs)
    names = [name for name in first if first[name] != second[name]]
    return [", ".join(f"{name} {values[name]}" for name in names) for values in (first, second)]
