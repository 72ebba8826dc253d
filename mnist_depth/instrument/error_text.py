"""Say in one line what went wrong, whatever libraries have wrapped around it."""

from __future__ import annotations

import re

ANSI = re.compile(r"\x1b\[[0-9;]*m")

WRAPPERS = ("exception encountered when calling", "graph execution error", "in user code")
"""How messages begin whose first line says only where the error came through."""

LONGEST = 300


def cause(error: BaseException) -> str:
    """The real cause in one line; the error's type where it has no text.

    Keras puts the cause between "Exception encountered when calling ..." and "Arguments received by ..."; TensorFlow
    and autograph put it last, TensorFlow with a line `[[{{node ...}}]]` behind.
    """
    text = ANSI.sub("", str(error)).strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    if lines[0].lower().startswith(WRAPPERS):
        end = next((at for at, line in enumerate(lines) if line.startswith("Arguments received by")), len(lines))
        inner = [
            line for line in lines[1:end] if not line.startswith(("[[{{node", "Detected at node", "File ", "While"))
        ]
        lines = inner[-1:] or lines
    return lines[0][:LONGEST]
