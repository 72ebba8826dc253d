"""The diagnosis of a training from what the gauge measures: at the end of every epoch, and of `fit`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from mnist_depth.diagnosis import Diagnosis, Measurements, Message, judge, localized, render, summary_line
from mnist_depth.diagnosis.constant_loss import References
from mnist_depth.diagnosis.from_tags import layers_from_tags
from mnist_depth.diagnosis.overshoot import loss_before
from mnist_depth.instrument.error_text import cause
from mnist_depth.instrument.loss_reference import LossReference
from mnist_depth.instrument.optimizers import held_optimizers
from mnist_depth.instrument.probe_facts import ProbeFacts
from mnist_depth.instrument.recording import Recording
from mnist_depth.instrument.traits import model_traits
from mnist_depth.translation import of_terminal

OnFinding = Literal["warn", "stop", "ignore"] | Callable[[Diagnosis], Any]
"""What to do with findings: print them at the end of training, stop at an error, ignore them, or call a function."""

Layers = Callable[[], Sequence[Mapping[str, Any]]]
"""Describes the layers of the model: name, class, activation, parameters."""

MIN_EPOCHS = 4
"""Epochs before `stop` acts on anything but values that are not finite: the first ones may be slow."""


def check_on_finding(on_finding: Any) -> None:
    """Raise ValueError unless it is a valid choice."""
    if not callable(on_finding) and on_finding not in ("warn", "stop", "ignore"):
        raise ValueError(f"unknown on_finding={on_finding!r}; valid: warn, stop, ignore, or a function of a Diagnosis")


class Judge:
    """Judges one training again and again; never raises."""

    def __init__(self, on_finding: OnFinding) -> None:
        self._on_finding = on_finding
        self._losses: list[float] = []
        self._reported: set[str] = set()
        self._reference: LossReference | None = None
        self._traits: dict[str, str] = {}
        self._may_be_flat = False
        self._start_loss: float | None = None
        self.final: Diagnosis | None = None
        self.facts = ProbeFacts()
        """What the probe shows without a gradient."""

    @property
    def is_on(self) -> bool:
        return self._on_finding != "ignore"

    def begin(self, model: Any, batch: Any, step: int) -> None:
        """Note what the model has and what its loss on a batch is compared with, after `step` updates."""
        self._reference = LossReference(model, batch)
        self._traits = model_traits(model)
        self.final = None
        # A training that resumes may have converged before, and the losses of adversaries need not fall.
        self._may_be_flat = (step > 0 and not self._losses) or len(held_optimizers(model)) > 1

    def after_first_batch(self, logs: Mapping[str, Any]) -> None:
        """Note the loss of the first minibatch, which is that before the first update."""
        loss = logs.get("loss")
        self._start_loss = float(loss) if isinstance(loss, (int, float)) and math.isfinite(loss) else None

    def references(self) -> dict[str, Any]:
        """What the loss is compared with at present, for the gauge's folder; empty where that is not known."""
        found = self._references()
        known = {} if found is None else {"constant_loss": found.constant, "lowest_loss": found.lowest}
        return known if self._start_loss is None else {**known, "start_loss": self._start_loss}

    def _references(self) -> References | None:
        return None if self._reference is None else self._reference.now()

    def after_epoch(self, recording: Recording, layers: Layers, step: int) -> bool:
        """Judge; whether training should stop. A function is called for every new kind of error."""
        self._losses += [recording.latest["loss"]] if "loss" in recording.latest else []
        if not self.is_on or self._on_finding == "warn":
            return False
        found = self._judge(recording, layers, step)
        kinds = set() if found is None else {f.kind for f in found.findings if f.severity == "error"}
        if found is not None and callable(self._on_finding) and kinds - self._reported:
            self._call(found)
        self._reported |= kinds
        late = len(self._losses) >= MIN_EPOCHS
        return self._on_finding == "stop" and ("not finite" in kinds or (late and bool(kinds)))

    def after_training(self, recording: Recording, layers: Layers, step: int, folder: str | None) -> str | None:
        """Print one line; the whole diagnosis as text for the board, None where nothing was measured."""
        found = self.final = self.now(recording, layers, step)
        if found is None or not self.is_on:
            return None
        if not callable(self._on_finding):
            print(_line(found, folder))
        return render(found)

    def now(self, recording: Recording, layers: Layers, step: int) -> Diagnosis | None:
        """The verdict on the last training: the final one, or after an interruption that on what was measured."""
        return self.final or self._judge(recording, layers, step)

    def _judge(self, recording: Recording, layers: Layers, step: int) -> Diagnosis | None:
        scalars, described = recording.latest, layers()
        measured = layers_from_tags(scalars, described)
        if not measured and self.facts.error() is None:
            return None
        loss = scalars.get("loss", scalars.get("probe_loss"))
        diverged = loss is not None and not math.isfinite(loss)
        references = self._references()
        history = () if self._may_be_flat and references is None else tuple(self._losses)
        return judge(
            Measurements(
                source=Message("this training at step {step}", step=step),
                layers=measured,
                loss=loss,
                diverged=diverged,
                traits=self._traits,
                probe_loss=scalars.get("probe_loss"),
                history=history,
                start=layers_from_tags(recording.start, described),
                start_loss=loss_before(self._start_loss, recording.start.get("probe_loss")),
                updates=step,
                constant_loss=None if references is None else references.constant,
                lowest_loss=0.0 if references is None else references.lowest,
                data=self.facts.data,
                output=self.facts.output,
            )
        )

    def _call(self, found: Diagnosis) -> None:
        assert callable(self._on_finding)
        try:
            self._on_finding(found)
        except Exception as error:  # a function of the user's must not end training
            warnings.warn(f"on_finding raised: {cause(error)}", stacklevel=2)


def _line(found: Diagnosis, folder: str | None) -> str:
    """The verdict and the command that shows more, in the language of the terminal."""
    more = Message("more: {command}", command=f"python -m mnist_depth diagnose {folder}")
    with of_terminal():
        line = summary_line(found, localized)
        return line if folder is None else f"{line}; {localized(more)}"
