"""Write measurements, record the first non-finite value, and survive a writer that fails."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from mnist_depth.diagnosis.from_tags import is_of_start
from mnist_depth.instrument.error_text import cause
from mnist_depth.instrument.histograms import Histogram, histogram, log10_histogram
from mnist_depth.instrument.nonfinite import first_nonfinite
from mnist_depth.instrument.presets import Preset
from mnist_depth.instrument.probe import PROBE
from mnist_depth.instrument.writers.multi import MultiWriter
from mnist_depth.instrument.writers.protocol import Writer

MAX_ENTRIES = 100
"""Entries of a vector in the logs of `fit` that are written, each under a tag of its own."""


class Recording:
    """One training's measurements on their way to a writer; `validation` gets what `fit` reports of validation.

    `survives`: a writer that fails costs one warning and all later points; otherwise its error is raised.
    """

    def __init__(self, writer: Writer, validation: Writer | None, preset: Preset, *, survives: bool = True) -> None:
        self.writer, self.validation, self._preset = writer, validation, preset
        self._all = MultiWriter(*([writer] if validation is None else [writer, validation]))
        self._survives, self._stopped = survives, False
        self.first_nonfinite: tuple[int, str] | None = None
        self.latest: dict[str, float] = {}
        """The last value of every tag."""
        self.start: dict[str, float] = {}
        """How the training began, by tag; empty for one that resumes."""

    def write(self, method: str, *arguments: Any, to: Writer | None = None) -> Any:
        """Call a method of the writer, or of `to`, by its name."""
        if self._stopped:
            return None
        try:
            return getattr(self.writer if to is None else to, method)(*arguments)
        except Exception as error:  # a disk may be full, and a writer may be the user's
            if not self._survives:
                raise
            self.stop(error)

    def stop(self, error: Exception) -> None:
        """Write nothing more: what follows an incomplete record could not be read back."""
        if self._stopped:
            return
        self._stopped = True
        warnings.warn(f"the gauge writes nothing more: {cause(error)}; training goes on", stacklevel=2)
        with contextlib.suppress(Exception):  # what is buffered may not fit either
            self._all.close()

    def scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        if not scalars:
            return
        self.write("write_scalars", step, scalars)
        self.latest.update(scalars)
        if step <= 1:
            self.start.update((tag, value) for tag, value in scalars.items() if is_of_start(tag, step))
        bad = first_nonfinite(scalars) if self.first_nonfinite is None else None
        if bad is not None:
            self.first_nonfinite = (step, bad)
            warnings.warn(f"first non-finite value at step {step}: {bad}", stacklevel=2)
            self.write("write_text", step, {"non_finite": f"first non-finite value at step {step}: `{bad}`"})

    def histograms(self, step: int, arrays: Mapping[str, Mapping[str, Any]]) -> None:
        """Write arrays (subject -> name -> array) as histograms, and the shares of zeros and non-finite entries."""
        bars: dict[str, Histogram | None] = {}
        shares: dict[str, float] = {}
        for subject, of in arrays.items():
            for name, values in of.items():
                bars[f"{subject}/{name}"] = plain = histogram(values)
                broken = plain.nonfinite / np.size(values) if plain else 1.0
                if broken:
                    shares[f"{subject}_nonfinite_share/{name}"] = broken
                if subject.removeprefix(PROBE) == "gradient" and "gradient_log10" in self._preset.histograms:
                    bars[f"{subject}_log10/{name}"] = log10_histogram(values)
                    shares[f"{subject}_zero_share/{name}"] = 1 - np.count_nonzero(values) / np.size(values)
        self.write("write_histograms", step, {tag: value for tag, value in bars.items() if value is not None})
        self.write("write_scalars", step, {tag: value for tag, value in shares.items() if self._is_new(tag)})

    def logs(self, step: int, logs: Mapping[str, Any]) -> None:
        """Write what `fit` reports at the end of an epoch; every entry of a vector gets a tag `name/index`."""
        numbers = {tag: number for name, value in logs.items() for tag, number in _numbers(name, value).items()}
        training = {tag: value for tag, value in numbers.items() if not tag.startswith("val_")}
        validation = {tag[4:]: value for tag, value in numbers.items() if tag.startswith("val_")}
        self.scalars(step, training)
        if self.validation is None:
            self.scalars(step, {f"validation_{tag}": value for tag, value in validation.items()})
        elif validation:
            self.write("write_scalars", step, validation, to=self.validation)

    def truncate_after(self, step: int) -> bool:
        """Drop the points after a step, which the training is about to write again; whether earlier ones are left."""
        return bool(self.write("truncate_after", step, to=self._all))

    def flush(self) -> None:
        self.write("flush", to=self._all)

    def close(self) -> None:
        self.write("close", to=self._all)

    def _is_new(self, tag: str) -> bool:
        """Whether the preset does not write this tag as a scalar of its own."""
        return tag.partition("/")[0].removeprefix(PROBE) not in self._preset.statistics


def _numbers(name: str, value: Any) -> dict[str, float]:
    """The numbers of one entry of the logs; nothing, with a warning, where it holds none."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        array = None
    if array is None or array.size > MAX_ENTRIES:
        kind = type(value).__name__ if array is None else f"an array of {array.size} numbers"
        warnings.warn(
            f"{name!r} in the logs of fit is {kind} and is not written; report single numbers, or give the gauge "
            "epoch_scalars=False",
            stacklevel=2,
        )
        return {}
    if array.ndim == 0:
        return {name: float(array)}
    return {f"{name}/{index}": float(number) for index, number in enumerate(array.ravel())}


def epoch_scalars(epoch: int, seconds: float, rate: float | None) -> dict[str, float]:
    """Scalars that map steps to epochs and seconds, and the learning rate if there is one."""
    scalars = {"epoch": float(epoch), "seconds": seconds}
    return scalars if rate is None or not math.isfinite(rate) else {**scalars, "learning_rate": rate}
