"""Datasets by name, as uint8 arrays in memory.

Images come from tensorflow-datasets (MNIST: LeCun, Cortes & Burges, CC BY-SA 3.0), or, where there is neither a
prepared copy nor a network, from the 1,797 handwritten digits that ship inside scikit-learn. Decoded arrays are cached
under `$XDG_CACHE_HOME/mnist_depth`, so that later starts read them in well under a second.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mnist_depth.errors import UserError, first_line, last_line
from mnist_depth.files import local_path, open_regular, replacing
from mnist_depth.registry import Entry, lookup
from mnist_depth.runtime.stderr import silenced
from mnist_depth.translation import translate as _

if TYPE_CHECKING:
    import numpy as np

REACHABLE_SECONDS = 4.0
"""Timeout after which a dataset's server counts as unreachable."""

FETCH_SECONDS = 600.0
"""How long fetching and preparing a dataset may take; tensorflow-datasets alone would retry for minutes."""

MAX_CACHE_BYTES = 1 << 30

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


@dataclass(frozen=True)
class DatasetEntry(Entry):
    """One dataset: its usual number of `epochs`, the length of one flattened example and the number of classes.

    Two classes mean one sigmoid output and binary cross-entropy. `validation` examples are taken from the end of train.
    `server` is asked before tensorflow-datasets may try to fetch.
    """

    epochs: int = 15
    features: int = 784
    classes: int = 10
    validation: int = 5_000
    server: str = ""

    @property
    def is_image(self) -> bool:
        return self.features == 784

    @property
    def outputs(self) -> int:
        """Units of the output layer."""
        return 1 if self.classes == 2 else self.classes


@dataclass(frozen=True)
class Split:
    """Examples [n, features] (uint8 images, float32 for the gates) and their labels [n] (int32)."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def tensors(self) -> tuple[Any, Any]:
        """The arrays as TensorFlow tensors: one copy for any number of networks."""
        import tensorflow as tf

        return tf.constant(self.images), tf.constant(self.labels)


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test splits; `checksum` is the SHA-256 of every array before the split."""

    name: str
    train: Split
    validation: Split
    test: Split
    checksum: str

    def describe(self) -> dict[str, Any]:
        """What the run folder records about the data."""
        sizes = {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}
        return {"name": self.name, "checksum": self.checksum, "sizes": sizes}


Arrays = dict[str, "np.ndarray"]


def load(name: str, data_dir: str | None = None, train_examples: int = 0) -> Dataset:
    """Load a dataset; `train_examples` keeps only that many training images, 0 all.

    Raises UserError when the data cannot be had or a cache file or prepared folder is damaged.
    """
    entry, _ = lookup(DATASETS, name, "dataset")
    arrays: Arrays = entry.build(data_dir)
    images, labels = arrays["train_images"], arrays["train_labels"]
    cut = len(labels) - entry.validation
    if train_examples > cut:
        raise UserError(f"train_examples must be at most {cut} for {name}, not {train_examples}")
    used = train_examples or cut
    test = Split(arrays["test_images"], arrays["test_labels"])
    return Dataset(
        name=name,
        train=Split(images[:used], labels[:used]),
        validation=Split(images[cut:], labels[cut:]) if entry.validation else test,
        test=test,
        checksum=_checksum(arrays),
    )


def resolve_auto(data_dir: str | None = None) -> tuple[str, str]:
    """MNIST if it is prepared or can be downloaded, otherwise digits; and one line that says which and why."""
    if _prepared("mnist", data_dir):
        return "mnist", _("Dataset: mnist, prepared in {folder}.", folder=_tfds_dir(data_dir))
    if problem := _fetch("mnist", data_dir):
        line = _(
            "Dataset: digits, the 1,797 images inside scikit-learn, because mnist is not prepared and {problem} "
            "(--data_dir names its folder).",
            problem=problem,
        )
        return "digits", line
    return "mnist", _("Dataset: mnist, fetched into {folder}.", folder=_tfds_dir(data_dir))


def _tfds_dir(data_dir: str | None) -> Path:
    given = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return local_path(os.path.expanduser(given), "data_dir")


def _prepared(name: str, data_dir: str | None) -> Path | None:
    """The folder of the newest prepared version, or None."""
    versions = sorted((_tfds_dir(data_dir) / name).glob("*/dataset_info.json"))
    return versions[-1].parent if versions else None


def _fetch(name: str, data_dir: str | None) -> str | None:
    """Let tensorflow-datasets download and prepare; return the error, or None on success."""
    if str(_tfds_dir(data_dir)).startswith("~"):
        return "this user has no home folder to keep it in"
    if not _reachable(DATASETS[name].server):
        return "its server cannot be reached"
    code = "import sys, tensorflow_datasets as t; t.builder(sys.argv[1], data_dir=sys.argv[2]).download_and_prepare()"
    command = [sys.executable, "-c", code, name, str(_tfds_dir(data_dir))]
    try:
        done = subprocess.run(command, capture_output=True, timeout=FETCH_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"fetching it took longer than {FETCH_SECONDS:.0f} s"
    if done.returncode == 0:
        return None
    return f"fetching it failed ({last_line(done.stderr.decode(errors='replace'))[:200]})"


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


def _from_tfds(name: str, data_dir: str | None) -> Arrays:
    if not _prepared(name, data_dir) and (problem := _fetch(name, data_dir)):
        raise UserError(
            f"{name} is not prepared in {_tfds_dir(data_dir)} and {problem}; "
            "name the folder that holds it with --data_dir, or take --dataset=digits"
        )
    folder = _prepared(name, data_dir)
    if folder is None:
        raise UserError(f"tensorflow-datasets left no {name} in {_tfds_dir(data_dir)}; remove that folder and retry")
    files = sorted(path for path in folder.iterdir() if path.is_file())
    identity = repr([(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]) + str(folder)
    return _cached(f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}", partial(_decode, name, folder))


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
        raise UserError(f"the {name} prepared in {folder} is damaged ({reason}); prepare it again") from error
    return arrays


def _digits(data_dir: str | None) -> Arrays:
    """scikit-learn's 8x8 digits, resized to 28x28, shuffled with a fixed seed; 297 of the 1,797 are for testing."""
    return _cached("digits-1", _resized_digits)


def _resized_digits() -> Arrays:
    import numpy as np
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    images = np.asarray(zoom(bunch.images, (1, 3.5, 3.5), order=1, mode="nearest", grid_mode=True))
    pixels = np.rint(images * (255 / 16)).clip(0, 255).astype(np.uint8).reshape(-1, 784)
    order = np.random.default_rng(0).permutation(len(pixels))
    pixels, labels = pixels[order], bunch.target[order].astype(np.int32)
    return dict(zip(ARRAYS, (pixels[:1500], labels[:1500], pixels[1500:], labels[1500:]), strict=True))


def _gate(truth: tuple[int, int, int, int], data_dir: str | None) -> Arrays:
    """All four inputs of a logic gate; they are the training and the test set."""
    import numpy as np

    inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    labels = np.array(truth, np.int32)
    return dict(zip(ARRAYS, (inputs, labels, inputs, labels), strict=True))


def _gaussian(data_dir: str | None) -> Arrays:
    """N(0, 1) noise, 1,000 x 100, with random labels: the input of the lectures' activation histograms."""
    import numpy as np

    random = np.random.default_rng(0)
    inputs = [random.standard_normal((1_000, 100)).astype(np.float32) for _ in range(2)]
    labels = [random.integers(0, 10, 1_000).astype(np.int32) for _ in range(2)]
    return dict(zip(ARRAYS, (inputs[0], labels[0], inputs[1], labels[1]), strict=True))


def cache_dir() -> Path | None:
    """Where decoded arrays are kept; None for a user without a home folder, as in containers of many clusters."""
    folder = os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return None if folder.startswith("~") else Path(folder) / "mnist_depth"


def _cached(key: str, make: Callable[[], Arrays]) -> Arrays:
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
        print(f"Note: {path} cannot be read ({error.strerror}); the images are decoded again.", file=sys.stderr)
        return make()


def _read_cache(path: Path) -> Arrays:
    """Raises OSError where the file cannot be opened, UserError where it is damaged."""
    import numpy as np

    with open_regular(path, MAX_CACHE_BYTES) as file:
        try:
            with np.load(file, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in ARRAYS}
                intact = str(stored["checksum"]) == _checksum(arrays)
        except Exception:  # a damaged archive fails in many ways inside zipfile and NumPy
            intact, arrays = False, {}
    if not intact:
        raise UserError(f"the cache file {path} is damaged; delete it and run again")
    return arrays


def _write_cache(path: Path, arrays: Arrays) -> None:
    import numpy as np

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            np.savez(file, allow_pickle=False, checksum=np.array(_checksum(arrays)), **arrays)
    except (UserError, OSError) as error:
        print(f"Note: decoded images are not cached ({error}).", file=sys.stderr)


def _checksum(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name in ARRAYS:
        digest.update(f"{name}{arrays[name].shape}{arrays[name].dtype}".encode())
        digest.update(arrays[name].data)
    return digest.hexdigest()


DATASETS: dict[str, DatasetEntry] = {
    "mnist": DatasetEntry(
        "60,000 + 10,000 handwritten digits (LeCun, Cortes & Burges)",
        partial(_from_tfds, "mnist"),
        server="https://storage.googleapis.com/cvdf-datasets/mnist/train-labels-idx1-ubyte.gz",
    ),
    "fashion_mnist": DatasetEntry(
        "60,000 + 10,000 pieces of clothing (Xiao et al. 2017)",
        partial(_from_tfds, "fashion_mnist"),
        server="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/train-labels-idx1-ubyte.gz",
    ),
    "kmnist": DatasetEntry(
        "60,000 + 10,000 cursive Japanese characters (Clanuwat et al. 2018)",
        partial(_from_tfds, "kmnist"),
        server="http://codh.rois.ac.jp/kmnist/dataset/kmnist/train-labels-idx1-ubyte.gz",
    ),
    "digits": DatasetEntry(
        "1,797 handwritten digits inside scikit-learn, resized to 28x28", _digits, epochs=60, validation=150
    ),
    "gaussian": DatasetEntry(
        "1,000 inputs of N(0, 1) noise, 100 wide, with random labels", _gaussian, features=100, validation=0
    ),
    "xor": DatasetEntry(
        "exclusive or of two bits", partial(_gate, (0, 1, 1, 0)), epochs=10_000, features=2, classes=2, validation=0
    ),
    "and": DatasetEntry(
        "both of two bits", partial(_gate, (0, 0, 0, 1)), epochs=10_000, features=2, classes=2, validation=0
    ),
    "or": DatasetEntry(
        "any of two bits", partial(_gate, (0, 1, 1, 1)), epochs=10_000, features=2, classes=2, validation=0
    ),
}


class Sizes(NamedTuple):
    """Examples of a dataset's three splits."""

    train: int
    validation: int
    test: int


SIZES: dict[str, Sizes] = {
    "mnist": Sizes(55_000, 5_000, 10_000),
    "fashion_mnist": Sizes(55_000, 5_000, 10_000),
    "kmnist": Sizes(55_000, 5_000, 10_000),
    "digits": Sizes(1_350, 150, 297),
    "gaussian": Sizes(1_000, 1_000, 1_000),
    "and": Sizes(4, 4, 4),
    "or": Sizes(4, 4, 4),
    "xor": Sizes(4, 4, 4),
}
"""Sizes known without loading a dataset, for estimates and dry runs."""
