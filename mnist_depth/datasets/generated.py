"""Datasets that need neither a download nor a prepared copy: scikit-learn's digits, logic gates, noise."""

from __future__ import annotations

from typing import Any

from mnist_depth.datasets.cache import ARRAYS, Arrays, cached


def digits(data_dir: str | None) -> Arrays:
    """scikit-learn's 8x8 digits, resized to 28x28, shuffled with a fixed seed; 297 of the 1,797 are for testing."""
    return cached("digits-1", _resized_digits)


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


def gate(truth: tuple[int, int, int, int], data_dir: str | None) -> Arrays:
    """All four inputs of a logic gate; they are the training and the test set."""
    import numpy as np

    inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    labels = np.array(truth, np.int32)
    return dict(zip(ARRAYS, (inputs, labels, inputs, labels), strict=True))


def gaussian(data_dir: str | None) -> Arrays:
    """N(0, 1) noise, 1,000 x 100, with random labels: the input of the lectures' activation histograms."""
    import numpy as np

    random = np.random.default_rng(0)
    inputs = [random.standard_normal((1_000, 100)).astype(np.float32) for _ in range(2)]
    labels = [random.integers(0, 10, 1_000).astype(np.int32) for _ in range(2)]
    return dict(zip(ARRAYS, (inputs[0], labels[0], inputs[1], labels[1]), strict=True))
