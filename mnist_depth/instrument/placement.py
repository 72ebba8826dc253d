"""Where the points of a training go, and the step at which it starts or resumes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, cast

import keras

from mnist_depth.instrument.error_text import cause
from mnist_depth.instrument.gauge_folder import GaugeFolder, describe, fingerprint_of
from mnist_depth.instrument.optimizers import compiled_optimizer
from mnist_depth.instrument.recording import Recording
from mnist_depth.instrument.settings import Settings
from mnist_depth.instrument.step_clock import StepClock
from mnist_depth.instrument.writers.multi import MultiWriter
from mnist_depth.instrument.writers.protocol import Writer


class Placement:
    """The folder or writer of a gauge's current training."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        folder = settings.folder
        self.folder = None if folder is None else GaugeFolder(folder, settings.existing)
        self.recording: Recording | None = None
        if folder is None:
            self.recording = Recording(cast(Writer, settings.target), None, settings.preset)
        self.seconds = 0.0
        """Duration of this training before the current `fit`."""
        self._last: tuple[keras.Model, Sequence[Any], str] | None = None
        """Model, optimizers and fingerprint of the weights at the end of the last `fit`."""

    @property
    def path(self) -> str | None:
        """The folder of the training; None before the first one, and with a writer."""
        return None if self.folder is None else self.folder.path

    def restart(self, writer: Writer) -> None:
        """Write the next training of the model to `writer`, whose errors end it."""
        self.folder, self._last, self.seconds = None, None, 0.0
        self.recording = Recording(writer, None, self._settings.preset, survives=False)

    def place(
        self, model: keras.Model, optimizers: Sequence[Any], clock: StepClock, batches: int | None
    ) -> tuple[int | None, bool]:
        """The step at which a known training resumes (None: the optimizers' count), and whether it is a new one.

        `batches` per epoch, None where `fit` does not know.
        """
        step = self._continued(model, optimizers, clock)
        if step is not None:
            return step, False
        self.seconds = 0.0
        if self.folder is None:
            return None, True
        updates = max((int(optimizer.iterations.numpy()) for optimizer in optimizers), default=0)
        step = self.folder.continues(model, updates)
        try:
            if step is None:
                self._create(model, optimizers, batches)
            writers = self.folder.writers()
        except OSError as error:
            if isinstance(error, FileExistsError) and self._settings.existing == "error":
                raise
            warnings.warn(f"nothing is written: {cause(error)}; give the gauge another folder", stacklevel=2)
            writers = MultiWriter(), MultiWriter()
            self.folder = None
        else:
            self.seconds = self.folder.seconds
        self.recording = Recording(*writers, self._settings.preset)
        return step, step is None

    def _create(self, model: keras.Model, optimizers: Sequence[Any], batches: int | None) -> None:
        assert self.folder is not None
        accumulated = max((optimizer.gradient_accumulation_steps or 1 for optimizer in optimizers), default=1)
        steps_per_epoch = None if batches is None else max(1, batches // accumulated)
        self.folder.create(describe(model, compiled_optimizer(model), steps_per_epoch))
        if self.folder.path != self.folder.target:
            warnings.warn(
                f"{self.folder.target} holds another training; this one is written to {self.folder.path}", stacklevel=2
            )

    def _continued(self, model: keras.Model, optimizers: Sequence[Any], clock: StepClock) -> int | None:
        """The step at which the training of this gauge's last `fit` resumes; None for another training."""
        if self._last is None or self._last[0] is not model:
            return None
        # With the optimizers of the last fit their counters say it; new ones count from zero, so the weights have to.
        _, before, fingerprint = self._last
        if before == optimizers:
            count = clock.count()
            return count if count >= clock.step else None
        return clock.step if fingerprint == fingerprint_of(model) else None

    def note(self, model: keras.Model, step: int, **changes: Any) -> None:
        """Record the progress of the training in its folder, with `changes` of `gauge.json`."""
        if self.folder is None:
            return
        try:
            self.folder.note(model, step, **changes)
        except OSError as error:
            assert self.recording is not None
            self.recording.stop(error)

    def describe(self, **changes: Any) -> None:
        """Add to `gauge.json` what is known only after the folder was created."""
        if self.folder is None or not changes:
            return
        try:
            self.folder.describe(**changes)
        except OSError as error:
            assert self.recording is not None
            self.recording.stop(error)

    def finish(
        self, model: keras.Model, optimizers: Sequence[Any], step: int, seconds: float, references: Mapping[str, Any]
    ) -> None:
        """End a `fit`; the next one may continue this training."""
        self.seconds = seconds
        self._last = (model, optimizers, fingerprint_of(model))
        self.note(model, step, finished=True, seconds=seconds, **references)
        if self.folder is not None and self.recording is not None:
            self.recording.close()
