"""What the probe shows without a gradient: facts about inputs and labels, and whether output and loss fit together."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import keras

from mnist_depth.diagnosis import Data, Finding, Measurements, Output, judge
from mnist_depth.instrument.batch_facts import batch_data
from mnist_depth.instrument.forward import Loss
from mnist_depth.instrument.outputs import output_and_loss, output_of_last_layer
from mnist_depth.instrument.probe import Measurement
from mnist_depth.instrument.probe_batch import as_tensors
from mnist_depth.instrument.state_guard import plain_variables, random_streams, unchanged
from mnist_depth.instrument.training_loss import why_unknown
from mnist_depth.instrument.weight_layers import model_layers


class ProbeFacts(NamedTuple):
    """None where something is not known: no probe, labels of no usual kind, a loss that only training computes."""

    data: Data | None = None
    output: Output | None = None

    def error(self) -> Finding | None:
        """The first finding that says that the network cannot learn from such a batch."""
        found = judge(Measurements("", (), data=self.data, output=self.output)).findings
        return found[0] if found and found[0].severity == "error" else None


def probe_facts(
    model: keras.Model, batch: Sequence[Any] | None, loss: Loss | None, measured: Measurement | None
) -> ProbeFacts:
    """Facts about a batch, and about the output after a measurement, which shows the last layer; never raises."""
    if batch is None:
        return ProbeFacts()
    try:
        x, y, _ = as_tensors(batch, model)
        # A probe may hold examples of one class only, which says nothing about those of training.
        data = replace(batch_data(model, x, y), label_identical=False)
        if loss is None and why_unknown(model) is not None:
            return ProbeFacts(data)
    except Exception:  # a probe may be anything
        return ProbeFacts()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ProbeFacts(data, _output(model, x, loss, measured))
    except Exception:  # the model is foreign code
        return ProbeFacts(data)


def _output(model: keras.Model, x: Any, loss: Loss | None, measured: Measurement | None) -> Output:
    if measured is None:
        return output_of_last_layer(model, loss)
    with random_streams(), unchanged(plain_variables(model)), keras.StatelessScope():
        return output_and_loss(model, model_layers(model, measured), x, loss)
