"""Keep compiled copies of TensorFlow's generated code out of the folder of temporary files."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def unwritten() -> Iterator[None]:
    """Write no `__pycache__` for what is imported in the block.

    AutoGraph imports the code that it generates from temporary files, which it removes at exit; Python's compiled
    copies of them would stay.
    """
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
