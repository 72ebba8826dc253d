"""Check a logdir before a board is started on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mnist_depth.errors import UserError
from mnist_depth.files import local_path

MAX_FOLDERS = 5_000
MAX_EXAMPLES = 3


def check_logdir(logdir: str | os.PathLike[str]) -> str:
    """Return the absolute path of an existing folder. Raises UserError for anything else, or if it cannot be read."""
    path = os.path.abspath(os.path.expanduser(local_path(logdir, "a board")))
    if not os.path.exists(path):
        raise UserError("there is no folder {path}; {hint}", path=path, hint=_advice(path))
    if not os.path.isdir(path):
        raise UserError(
            "{path} is a file; give the folder above the runs, for example {above}",
            path=path,
            above=os.path.dirname(path),
        )
    if not os.access(path, os.R_OK | os.X_OK):
        raise UserError("{path} cannot be read by this user; change its permissions or give another folder", path=path)
    return path


def empty_warning(logdir: str) -> UserError | None:
    """One line that says where runs are when `logdir` holds no event files; None when it holds some."""
    if next(event_folders(logdir), None) is not None:
        return None
    return UserError("no event files below {logdir} yet; {hint}", logdir=logdir, hint=_advice(logdir))


def event_folders(root: str) -> Iterator[str]:
    """Yield the folders below `root` that hold event files; give up after MAX_FOLDERS folders."""
    for searched, (folder, folders, names) in enumerate(os.walk(root)):
        if any("tfevents" in name for name in names):
            yield folder
        if searched >= MAX_FOLDERS:
            return
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "node_modules")


def _advice(missing: str) -> UserError:
    """Name the folders near `missing`, or below ./logs, that contain runs."""
    found: list[str] = []
    for root in (os.path.dirname(missing), os.path.abspath("logs")):
        if os.path.isdir(root) and root != os.path.sep:
            found += [run for run in _logdirs_below(root) if run not in found]
    if not found:
        return UserError("start a run first: python -m mnist_depth")
    return UserError("there are runs in {folders}", folders=", ".join(found[:MAX_EXAMPLES]))


def _logdirs_below(root: str) -> list[str]:
    """The folders directly below `root` (or `root` itself) that hold runs somewhere inside."""
    tops = []
    for folder in event_folders(root):
        relative = Path(folder).relative_to(root).parts
        top = os.path.join(root, relative[0]) if relative else root
        if top not in tops:
            tops.append(top)
    return tops
