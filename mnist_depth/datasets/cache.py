"""Decoded arrays in a cache below the user's home, so that later starts read them in well under a second."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_depth.errors import UserError, refusal, system_error
from mnist_depth.files import open_regular, replacing
from mnist_depth.translation import translate as _

if TYPE_CHECKING:
    import numpy as np

Arrays = dict[str, "np.ndarray"]
"""The arrays named in ARRAYS: images or inputs [n, features], labels [n]."""

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")

MAX_BYTES = 1 << 30


def cache_dir() -> Path | None:
    """Where decoded arrays are kept; None for a user without a home folder, as in containers of many clusters."""
    folder = os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return None if folder.startswith("~") else Path(folder) / "mnist_depth"


def cached(key: str, make: Callable[[], Arrays]) -> Arrays:
    """Return the arrays from the cache, or make and store them. Without a usable cache they are made every time."""
    folder = cache_dir()
    if folder is None:
        return make()
    path = folder / f"{key}.npz"
    try:
        return _read_cache(path)
    except FileNotFoundError:
        arrays = make()
        _write_cache(path, arrays)
        return arrays
    except OSError as error:
        note = UserError(
            "Note: {path} cannot be read ({reason}); the images are decoded again.", path=path, reason=refusal(error)
        )
        print(note.text(_), file=sys.stderr)
        return make()


def _read_cache(path: Path) -> Arrays:
    """Raises OSError where the file cannot be opened, UserError where it is damaged."""
    import numpy as np

    with open_regular(path, MAX_BYTES) as file:
        try:
            with np.load(file, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in ARRAYS}
                intact = str(stored["checksum"]) == checksum(arrays)
        except Exception:  # a damaged archive fails in many ways inside zipfile and NumPy
            intact, arrays = False, {}
    if not intact:
        raise UserError("the cache file {path} is damaged; delete it and run again", path=path)
    return arrays


def _write_cache(path: Path, arrays: Arrays) -> None:
    import numpy as np

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            np.savez(file, allow_pickle=False, checksum=np.array(checksum(arrays)), **arrays)
    except (UserError, OSError) as error:
        note = UserError(
            "Note: decoded images cannot be kept ({reason}). Results are the same; every start takes longer.",
            reason=error if isinstance(error, UserError) else system_error(error),
        )
        print(note.text(_), file=sys.stderr)


def checksum(arrays: Arrays) -> str:
    """SHA-256 of every array with its name, shape and type."""
    digest = hashlib.sha256()
    for name in ARRAYS:
        digest.update(f"{name}{arrays[name].shape}{arrays[name].dtype}".encode())
        digest.update(arrays[name].data)
    return digest.hexdigest()
