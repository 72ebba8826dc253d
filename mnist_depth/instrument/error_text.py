"""Reduce an error to one line with its cause, without the context that libraries add."""

from __future__ import annotations

import re

ANSI = re.compile(r"\x1b\[[0-9;]*m")

MAX_CHARACTERS = 300


def cause(error: BaseException) -> str:
    """The real cause in one line; the error's type where it has no text."""
    text = ANSI.sub("", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return _cause(lines)[:MAX_CHARACTERS].rstrip(".") or type(error).__name__


def _cause(lines: list[str]) -> str:
    """Keras puts the cause behind the line that says where it came through, TensorFlow and autograph put it last."""
    first = lines[0].lower() if lines else ""
    if first.startswith("exception encountered when calling"):
        end = next((at for at, line in enumerate(lines) if line.startswith("Arguments received by")), len(lines))
        return _cause(lines[1:end]) or lines[0]
    if first.startswith(("graph execution error", "in user code")):
        inner = [line for line in lines[1:] if not line.startswith(NOISE)]
        return inner[-1] if inner else lines[0]
    return lines[0] if lines else ""


NOISE = ("[[{{node", "File ", "Detected at node", "Stack trace", "During handling")
"""Prefixes of lines that only give a location."""
