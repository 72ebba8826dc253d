"""Extract the cause from an error of Keras or TensorFlow, whose text begins with headers and call stacks."""

from __future__ import annotations

import re

MAX_CHARACTERS = 200

CODES = re.compile(r"\x1b\[\d*m")
"""Bold letters for a terminal."""

EMPTY = re.compile(
    r"Graph execution error:|Exception encountered when calling|Detected at node|File \"|\[\[\{\{node|\s*$"
)
"""Lines that name no cause."""

MACHINERY = re.compile(r"\{\{\w+ \S+\}\} ?| \[Op:\w+\](?: name:)?")
"""Names of TensorFlow's own functions, before and after the cause."""

ARRAY = re.compile(r"\[[-+\d.\se,naif\[\]]{40,}\]")
"""A printed array of numbers, which may fill many lines."""

PROBE = re.compile(r"no gradients( on the probe)?, the rest is measured: |; give (loss=|\(x, y\)).*")
"""What the probe says around a cause, for a gauge."""


def cause_of(error: object) -> str:
    """The first line that says what is wrong, at most MAX_CHARACTERS long; the type for an error without text.

    >>> cause_of(ValueError("Exception encountered when calling Sequential.call().\\n\\nInput 0 has the wrong shape"))
    'Input 0 has the wrong shape'
    >>> cause_of("{{function_node __wrapped__Cast_device_/job:localhost}} Cast is not supported [Op:Cast] name:")
    'Cast is not supported'
    """
    text = CODES.sub("", str(error)).strip()
    for pattern, short in ((MACHINERY, ""), (ARRAY, "[...]"), (PROBE, "")):
        text = pattern.sub(short, text)
    # Where a call stack comes first, with or without lines of source, the cause follows it.
    lines = re.split(r'File ".*\n', text)[-1].splitlines()
    cause = next((line.strip() for line in lines if not EMPTY.match(line.strip())), "")
    return cause[:MAX_CHARACTERS] or type(error).__name__
