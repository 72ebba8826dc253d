"""Datasets by name, as uint8 arrays in memory.

Images come from tensorflow-datasets (MNIST: LeCun, Cortes & Burges, CC BY-SA 3.0), or, where there is neither a
prepared copy nor a network, from the 1,797 handwritten digits that ship inside scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from mnist_depth.datasets.cache import Arrays, checksum
from mnist_depth.datasets.generated import digits, gate, gaussian
from mnist_depth.datasets.prepared import from_tfds
from mnist_depth.errors import UserError
from mnist_depth.registry import Entry, lookup

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class DatasetEntry(Entry):
    """One dataset: its usual number of `epochs`, the length of one flattened example and the number of classes.

    Two classes mean one sigmoid output and binary cross-entropy. `validation` examples are taken from the end of train.
    """

    epochs: int = 15
    features: int = 784
    classes: int = 10
    validation: int = 5_000

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


def load(name: str, data_dir: str | None = None, train_examples: int = 0) -> Dataset:
    """Load a dataset; `train_examples` keeps only that many training images, 0 all.

    Raises UserError when the data cannot be had or a cache file or prepared folder is damaged.
    """
    entry, _arguments = lookup(DATASETS, name, "dataset")
    arrays: Arrays = entry.build(data_dir)
    images, labels = arrays["train_images"], arrays["train_labels"]
    cut = len(labels) - entry.validation
    if train_examples > cut:
        raise UserError(
            "train_examples must be at most {cut} for {name}, not {train_examples}",
            cut=cut,
            name=name,
            train_examples=train_examples,
        )
    used = train_examples or cut
    test = Split(arrays["test_images"], arrays["test_labels"])
    return Dataset(
        name=name,
        train=Split(images[:used], labels[:used]),
        validation=Split(images[cut:], labels[cut:]) if entry.validation else test,
        test=test,
        checksum=checksum(arrays),
    )


DATASETS: dict[str, DatasetEntry] = {
    "mnist": DatasetEntry(
        "60,000 + 10,000 handwritten digits (LeCun, Cortes & Burges)",
        partial(from_tfds, "mnist"),
    ),
    "fashion_mnist": DatasetEntry(
        "60,000 + 10,000 pieces of clothing (Xiao et al. 2017)",
        partial(from_tfds, "fashion_mnist"),
    ),
    "kmnist": DatasetEntry(
        "60,000 + 10,000 cursive Japanese characters (Clanuwat et al. 2018)",
        partial(from_tfds, "kmnist"),
    ),
    "digits": DatasetEntry(
        "1,797 handwritten digits inside scikit-learn, resized to 28x28", digits, epochs=60, validation=150
    ),
    "gaussian": DatasetEntry(
        "1,000 inputs of N(0, 1) noise, 100 wide, with random labels", gaussian, features=100, validation=0
    ),
    "xor": DatasetEntry(
        "exclusive or of two bits", partial(gate, (0, 1, 1, 0)), epochs=10_000, features=2, classes=2, validation=0
    ),
    "and": DatasetEntry(
        "both of two bits", partial(gate, (0, 0, 0, 1)), epochs=10_000, features=2, classes=2, validation=0
    ),
    "or": DatasetEntry(
        "any of two bits", partial(gate, (0, 1, 1, 1)), epochs=10_000, features=2, classes=2, validation=0
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
