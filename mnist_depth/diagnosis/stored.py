"""Facts about data and output as plain values for a JSON file, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from mnist_depth.diagnosis.measurements import Data, Output

Facts = TypeVar("Facts", Data, Output)

TYPES: dict[str, tuple[type, ...]] = {"float": (int, float), "int": (int,), "bool": (bool,), "str": (str,)}
"""Annotation of a field -> the types of its values in a file."""


def to_plain(facts: Data | Output) -> dict[str, Any]:
    """The fields by name; numbers that JSON does not know are left out."""
    return {name: value for name, value in asdict(facts).items() if type(value) is not float or math.isfinite(value)}


def from_plain(kind: type[Facts], values: Any) -> Facts | None:
    """The inverse of `to_plain`; None for anything else, as a file may be damaged."""
    if not isinstance(values, Mapping):
        return None
    found = {field.name: _value(str(field.type), values.get(field.name)) for field in fields(kind)}
    try:
        return kind(**{name: value for name, value in found.items() if value is not None})
    except TypeError:  # a field without a default is missing
        return None


def _value(annotation: str, value: Any) -> Any:
    if annotation.startswith("tuple"):
        return tuple(value) if isinstance(value, (list, tuple)) and all(type(item) is int for item in value) else None
    return value if type(value) in TYPES[annotation.partition(" ")[0]] else None
