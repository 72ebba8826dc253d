"""Diagnose a live Keras model, a run folder, or files: measure, then judge (`mnist_depth.diagnosis`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mnist_depth.diagnosis import Diagnosis, Message, judge, render
from mnist_depth.records import TrainingRecord
from mnist_depth.results.measurements import Moment, from_training
from mnist_depth.results.model_measurements import from_model
from mnist_depth.translation import translate


def diagnose(model: Any, x: Any, y: Any, *, loss: Any = None) -> Diagnosis:
    """Diagnose any built Keras model on one batch: x as for `model.fit`, y the labels. The model is left unchanged.

    `loss(y_true, y_pred)` replaces the model's own loss.

    Raises UserError when the model has no weight layer or the batch does not fit it.
    """
    return judge(from_model(model, x, y, loss=loss))


def diagnose_run(record: TrainingRecord, moment: Moment = "start") -> Diagnosis:
    """Diagnose a training, a run or the folder of a gauge, from what it recorded first (`start`) or last (`end`).

    Raises UserError when it recorded no gradients.
    """
    return judge(from_training(record, moment))


def render_run(record: TrainingRecord) -> str:
    """A training before and after, as plain text. Raises UserError when it recorded no gradients."""
    return render_pair(diagnose_run(record, "start"), diagnose_run(record, "end"))


def render_pair(start: Diagnosis, end: Diagnosis, width: int | None = None) -> str:
    """Two moments of one training, for a terminal of `width` columns; remedies that help both are printed once."""
    if start.remedies == end.remedies:
        start = replace(start, remedies=())
    before, after = translate("before training").upper(), translate("after training").upper()
    return f"{before}\n{render(start, width, localized)}\n\n{after}\n{render(end, width, localized)}"


def localized(text: str) -> str:
    """A text of a diagnosis in the active language: a sentence, a note, a source, a verdict, a remedy."""
    if not isinstance(text, Message):
        return translate(text)
    values = {name: localized(value) if isinstance(value, Message) else value for name, value in text.values.items()}
    return translate(text.template, **values)
