"""Hide optional packages that Keras would import and that no run uses, to start workers faster."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

KERAS_EXTRAS = ("sklearn", "pandas", "matplotlib", "jax", "IPython")
"""For scikit-learn wrappers, data frames, galleries, notebooks and TensorFlow Lite: a third of the import's time."""


@contextlib.contextmanager
def without(*packages: str) -> Iterator[None]:
    """Hide `packages` from `import` for the duration of the block; packages that are already imported stay."""
    hidden = [name for name in packages if name not in sys.modules]
    modules: dict[str, Any] = sys.modules
    modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
