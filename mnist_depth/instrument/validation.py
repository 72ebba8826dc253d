"""Validate the arguments of a gauge as early as possible."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import keras

from mnist_depth.instrument import names
from mnist_depth.instrument.schedule import Schedule

Gradients = Literal["probe", "applied", "both"]


def check_gradients(gradients: Gradients | None, has_probe: bool) -> None:
    """Raises ValueError for another word, or where gradients need a probe."""
    if gradients not in (None, "probe", "applied", "both"):
        raise ValueError(f"unknown gradients {gradients!r}; valid: probe, applied, both")
    if gradients in ("probe", "both") and not has_probe:
        raise ValueError(f"gradients={gradients!r} needs a probe: probe=(x, y)")


def check_schedules(**given: Any) -> None:
    """Raises TypeError for what is neither a schedule nor None."""
    for name, value in given.items():
        if value is not None and not isinstance(value, Schedule):
            raise TypeError(f"{name} must be a schedule such as every_steps(10) or every_epochs(1), not {value!r}")


def check_patterns(**given: str | None) -> None:
    """Raises ValueError for what is not a regular expression."""
    for name, pattern in given.items():
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"{name}={pattern!r} is not a regular expression: {error}") from None


def check_batch(probe: Sequence[Any] | None) -> None:
    """Raises ValueError where the arrays of a probe hold no examples, or not equally many."""
    arrays = [] if probe is None else keras.tree.flatten([part for part in probe if part is not None])
    sizes = sorted({int(array.shape[0]) for array in arrays if len(getattr(array, "shape", None) or ())})
    if len(sizes) > 1 or 0 in sizes:
        found = " and ".join(map(str, sizes))
        raise ValueError(f"the arrays of a probe must hold equally many examples, at least one, not {found}")


def warn_of_no_match(model: keras.Model, layers: str | None, variables: str | None) -> None:
    """Warn with the available names if a pattern matches none of them."""
    of_layers = names.all_layers(model) if "/" in (layers or "") else names.outer_layers(model)
    _warn("layers", layers, of_layers)
    _warn("variables", variables, names.trainable_variables(model))


def _warn(option: str, pattern: str | None, found: Iterable[str]) -> None:
    known = list(found)
    if pattern is not None and not any(re.search(pattern, name) for name in known):
        warnings.warn(f"{option}={pattern!r} matches none of {', '.join(known)}", stacklevel=4)
