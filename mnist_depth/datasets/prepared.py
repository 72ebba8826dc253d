"""Image datasets from tensorflow-datasets: prepared before, or fetched if their server answers."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import threading
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

from mnist_depth.datasets.cache import Arrays, cached
from mnist_depth.errors import UserError, first_line, last_line
from mnist_depth.files import local_path
from mnist_depth.runtime.stderr import silenced
from mnist_depth.translation import translate as _

REACHABLE_SECONDS = 4.0
"""Timeout after which a dataset's server counts as unreachable."""

FETCH_SECONDS = 600.0
"""How long fetching and preparing a dataset may take; tensorflow-datasets alone would retry for minutes."""

VARIABLE = "TFDS_DATA_DIR"
"""Names the folder of datasets where nothing else does, as in tensorflow-datasets."""

SERVERS = {
    "mnist": "https://storage.googleapis.com/cvdf-datasets/mnist/train-labels-idx1-ubyte.gz",
    "fashion_mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/train-labels-idx1-ubyte.gz",
    "kmnist": "http://codh.rois.ac.jp/kmnist/dataset/kmnist/train-labels-idx1-ubyte.gz",
}
"""Dataset -> a file on its server, asked for before tensorflow-datasets may try to fetch."""


def check_data_dir(data_dir: str | None) -> None:
    """Raise UserError where the folder of datasets that a flag or an argument names does not exist."""
    if data_dir and not _is_folder(_tfds_dir(data_dir)):
        raise _no_folder("data_dir", data_dir)


def resolve_auto(data_dir: str | None = None) -> tuple[str, str]:
    """MNIST if it is prepared or can be downloaded, otherwise digits; and one line that says which and why.

    Raises UserError where the user named a folder, by `data_dir` or by TFDS_DATA_DIR, that cannot be meant: other data
    in place of what it should hold would go unnoticed. TFDS_DATA_DIR may name a folder of other datasets.
    """
    check_data_dir(data_dir)
    if _prepared("mnist", data_dir):
        return "mnist", _("Dataset: mnist, prepared in {folder}.", folder=_tfds_dir(data_dir))
    if not (problem := _fetch("mnist", data_dir)):
        return "mnist", _("Dataset: mnist, fetched into {folder}.", folder=_tfds_dir(data_dir))
    if data_dir:
        raise _unavailable("mnist", data_dir, problem)
    named = named_by_variable()
    if named and not _is_folder(_tfds_dir(None)):
        raise _no_folder(VARIABLE, named)
    if named:
        problem = _("{folder} ({variable}) holds none, and {problem}", folder=named, variable=VARIABLE, problem=problem)
    line = _(
        "Dataset: digits, the 1,797 images inside scikit-learn, because mnist is not prepared and {problem} "
        "(--data_dir names its folder).",
        problem=problem,
    )
    return "digits", line


def named_by_variable() -> str:
    """The folder of datasets that the environment names; empty where it names none."""
    return os.environ.get(VARIABLE) or ""


def _unavailable(name: str, data_dir: str | None, problem: str) -> UserError:
    return UserError(
        "{name} is not prepared in {folder} (no {name}/VERSION/dataset_info.json) and {problem}; "
        "name the folder that holds it with --data_dir, or take --dataset=digits",
        name=name,
        folder=_tfds_dir(data_dir),
        problem=problem,
    )


def _no_folder(source: str, folder: str) -> UserError:
    return UserError(
        "{source} names {folder}, which is not a folder; name the one that holds mnist/VERSION/dataset_info.json, "
        "as tensorflow-datasets prepares it, or make it for a download",
        source=source,
        folder=folder,
    )


def _no_permission(path: Path) -> UserError:
    return UserError(
        "{path} cannot be read: permission denied; ask its owner to allow it (chmod -R a+rX), or name another folder "
        "with --data_dir",
        path=path,
    )


def _tfds_dir(data_dir: str | None) -> Path:
    given = data_dir or named_by_variable() or "~/tensorflow_datasets"
    return local_path(os.path.expanduser(given), "data_dir")


def _is_folder(path: Path) -> bool:
    """Raises UserError where a folder above it must not be entered."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except PermissionError:
        raise _no_permission(path) from None
    except (OSError, ValueError):
        return False


def _prepared(name: str, data_dir: str | None) -> Path | None:
    """The folder of the newest prepared version, or None. Raises UserError where it must not be read."""
    folder = _tfds_dir(data_dir) / name
    if not _is_folder(folder):
        return None
    if not os.access(folder, os.R_OK | os.X_OK):
        raise _no_permission(folder)
    versions = sorted(folder.glob("*/dataset_info.json"))
    return versions[-1].parent if versions else None


def _fetch(name: str, data_dir: str | None) -> str | None:
    """Let tensorflow-datasets download and prepare; return the error, or None on success."""
    if str(_tfds_dir(data_dir)).startswith("~"):
        return _("this user has no home folder to keep it in")
    if not _reachable(SERVERS[name]):
        return _("its server cannot be reached")
    code = "import sys, tensorflow_datasets as t; t.builder(sys.argv[1], data_dir=sys.argv[2]).download_and_prepare()"
    command = [sys.executable, "-c", code, name, str(_tfds_dir(data_dir))]
    try:
        done = subprocess.run(command, capture_output=True, timeout=FETCH_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return _("fetching it took longer than {seconds:.0f} s", seconds=FETCH_SECONDS)
    if done.returncode == 0:
        return None
    return _("fetching it failed ({reason})", reason=last_line(done.stderr.decode(errors="replace"))[:200])


def _reachable(url: str) -> bool:
    """Whether `url` answers in time; asked in a thread, because name lookup has no timeout."""
    answered = threading.Event()

    def ask() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=REACHABLE_SECONDS):
                answered.set()
        except (OSError, ValueError):
            return

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(REACHABLE_SECONDS)
    return answered.is_set()


def from_tfds(name: str, data_dir: str | None) -> Arrays:
    check_data_dir(data_dir)
    if not _prepared(name, data_dir) and (problem := _fetch(name, data_dir)):
        raise _unavailable(name, data_dir, problem)
    folder = _prepared(name, data_dir)
    if folder is None:
        raise UserError(
            "tensorflow-datasets left no {name} in {folder}; remove that folder and retry",
            name=name,
            folder=_tfds_dir(data_dir),
        )
    files = sorted(path for path in folder.iterdir() if path.is_file())
    if unreadable := next((path for path in files if not os.access(path, os.R_OK)), None):
        raise _no_permission(unreadable)
    identity = repr([(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]) + str(folder)
    return cached(f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}", partial(_decode, name, folder))


@silenced()
def _decode(name: str, folder: Path) -> Arrays:
    import numpy as np
    import tensorflow_datasets as tfds

    try:
        builder: Any = tfds.builder_from_directory(str(folder))
        arrays: Arrays = {}
        for split in ("train", "test"):
            examples: Any = tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1))
            arrays[f"{split}_images"] = np.ascontiguousarray(examples["image"].reshape(-1, 784))
            arrays[f"{split}_labels"] = examples["label"].astype(np.int32)
    except Exception as error:  # damaged folders raise many kinds of errors in the library
        reason = first_line(error)[:200]
        raise UserError(
            "the {name} prepared in {folder} is damaged ({reason}); prepare it again",
            name=name,
            folder=folder,
            reason=reason,
        ) from error
    return arrays
