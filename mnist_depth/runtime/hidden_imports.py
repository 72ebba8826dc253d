"""Start a worker without the packages that Keras imports because they are there, and that no run uses."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

KERAS_EXTRAS = ("sklearn", "pandas", "matplotlib", "jax")
"""For its scikit-learn wrappers, data frames, picture galleries and TensorFlow Lite: a third of the import's time."""


@contextlib.contextmanager
def without(*packages: str) -> Iterator[None]:
    """Let `import` not find `packages` for the time of the block; one that is imported already stays."""
    hidden = [name for name in packages if name not in sys.modules]
    modules: dict[str, Any] = sys.modules
    modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
