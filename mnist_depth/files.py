"""Files that are written whole or not at all, and JSON that is checked when it is read."""

from __future__ import annotations

import contextlib
import json
import math
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from mnist_depth.errors import UserError

MAX_DEPTH = 50
"""Nesting that a JSON file may have, so that recursive readers come to an end; run folders need three levels."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` at the end of the block, complete and on disk.

    Until then, and after any error, `path` is as it was. The temporary file lies beside it under a name that says
    nothing of the target, so that TensorBoard does not take it for an event file. Raises UserError when the disk is
    full or the folder cannot be written.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a whole file or nothing. Raises UserError like `replacing`."""
    with replacing(path) as file:
        file.write(content.encode(errors="backslashreplace") if isinstance(content, str) else content)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises UserError that names the file when it is missing or damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        reason = type(error).__name__
        raise UserError(f"{path} is damaged ({reason}); remove the run folder to train it again") from None
    if not isinstance(values, dict) or not _is_shallow(values):
        raise UserError(f"{path} does not hold a plain JSON object; remove the run folder to train it again")
    return values


def _is_shallow(value: Any, levels: int = MAX_DEPTH) -> bool:
    """Whether nesting is at most `levels` deep."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_shallow(item, levels - 1) for item in inner)


def encode(value: float) -> float | str:
    """A number that JSON can hold: `nan`, `inf` and `-inf` become strings, which `float()` reads back."""
    return value if math.isfinite(value) else str(value)
