"""What labels, output layer and loss must have in common, and whether there is a non-linearity before them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from mnist_depth.diagnosis.finding import Finding
from mnist_depth.diagnosis.kinds import find, threshold
from mnist_depth.diagnosis.measurements import Data, Measurements, Output
from mnist_depth.diagnosis.message import Message

CATEGORICAL = ("categorical_crossentropy", "sparse_categorical_crossentropy", "categorical_focal_crossentropy")
BINARY = ("binary_crossentropy", "binary_focal_crossentropy")
SQUARED = ("mean_squared_error", "mean_absolute_error", "huber", "log_cosh")

PROBABILITIES = ("softmax", "sigmoid", "hard_sigmoid")

UNWRAPPED = (
    ("categorical_crossentropy", "softmax"),
    ("sparse_categorical_crossentropy", "softmax"),
    ("binary_crossentropy", "sigmoid"),
)
"""(loss, activation): Keras on TensorFlow takes the logits before the activation, whatever `from_logits` says."""

RANGES = {
    "sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "relu": (0.0, math.inf),
}
"""Output activation -> the targets that it can reach."""


class _Needs(NamedTuple):
    """What a loss is defined for."""

    labels: tuple[float, float]
    outputs: tuple[float, float]
    words: Message
    """How to get such outputs."""


ANY = (-math.inf, math.inf)
PROBABILITY = Message("probabilities: use softmax or sigmoid, or from_logits=True")

NEEDS = {
    "binary_crossentropy": _Needs((0.0, 1.0), (0.0, 1.0), PROBABILITY),
    "binary_focal_crossentropy": _Needs((0.0, 1.0), (0.0, 1.0), PROBABILITY),
    "categorical_crossentropy": _Needs(ANY, (0.0, 1.0), PROBABILITY),
    "categorical_focal_crossentropy": _Needs(ANY, (0.0, 1.0), PROBABILITY),
    "sparse_categorical_crossentropy": _Needs(ANY, (0.0, 1.0), PROBABILITY),
    "kl_divergence": _Needs((0.0, 1.0), (0.0, 1.0), Message("probabilities: use softmax")),
    "poisson": _Needs((0.0, math.inf), (0.0, math.inf), Message("rates above zero: use exponential or softplus")),
    "mean_squared_logarithmic_error": _Needs((0.0, math.inf), ANY, Message("outputs above zero")),
}
"""Loss -> the labels and outputs that it is defined for, unless it takes logits."""

HINGE = ("hinge", "squared_hinge")
"""Losses that compare signs: Keras turns labels of 0 and 1 into -1 and 1."""


def output_findings(measured: Measurements) -> Iterator[Finding]:
    """Findings about labels, output and loss."""
    if measured.data is not None and measured.output is not None:
        yield from _equal_labels(measured, measured.data)
        yield from _labels(measured.data, measured.output)
        yield from _output(measured.data, measured.output)
    if measured.is_linear:
        words = Message(
            "{layers} weight layers without an activation between them are one linear layer",
            layers=sum(not layer.is_output for layer in measured.layers) + 1,
        )
        yield find("no non-linearity", words)


def _equal_labels(measured: Measurements, data: Data) -> Iterator[Finding]:
    """Equal labels are meant where the last layer is frozen: it judges the others, as a discriminator a generator."""
    is_judged = any(layer.is_output and not layer.trainable for layer in measured.layers)
    if data.label_identical and data.examples > 1 and not is_judged:
        words = Message("all {count} labels of the batch are the same: there is nothing to learn", count=data.examples)
        yield find("labels", words)


def _labels(data: Data, output: Output) -> Iterator[Finding]:
    low, high, units = data.label_min, data.label_max, output.units
    if low is None or high is None or units is None:
        return
    one_hot = len(data.label_shape) > 1 and data.label_shape[-1] == units and units > 1
    if output.loss == "sparse_categorical_crossentropy" and not one_hot and (low < 0 or high >= units):
        words = Message(
            "the labels reach from {low:g} to {high:g}, the output has {units} units: valid are 0 to {last}",
            low=low,
            high=high,
            units=units,
            last=units - 1,
        )
        yield find("labels", words, figure=high)
    yield from _encoding(data, output, one_hot)
    if output.loss == "categorical_crossentropy" and one_hot and not data.label_rows_sum_to_one:
        yield find("labels", Message("the labels are no probabilities: their rows do not sum to one"))
    needed = NEEDS[output.loss].labels if output.loss in NEEDS else ANY
    if low < needed[0] or high > needed[1]:
        words = Message(
            "{loss} needs labels from {least:g} to {most:g}; they reach from {low:g} to {high:g}",
            loss=output.loss,
            least=needed[0],
            most=needed[1],
            low=low,
            high=high,
        )
        yield find("labels", words, figure=high)
    if output.loss in SQUARED:
        yield from _targets(data, output, low, high)


def _encoding(data: Data, output: Output, one_hot: bool) -> Iterator[Finding]:
    """Class numbers where the loss needs one-hot labels, and the other way round."""
    if output.loss == "sparse_categorical_crossentropy" and one_hot and data.label_rows_sum_to_one:
        words = Message(
            "the labels are one-hot, {loss} needs class numbers: use categorical_crossentropy", loss=output.loss
        )
        yield find("labels", words)
    units = output.units or 1
    if output.loss == "categorical_crossentropy" and units > 1 and not one_hot and data.label_classes is not None:
        words = Message(
            "the labels are class numbers, {loss} needs one-hot labels: use sparse_categorical_crossentropy",
            loss=output.loss,
        )
        yield find("labels", words)


def _targets(data: Data, output: Output, low: float, high: float) -> Iterator[Finding]:
    units = output.units or 1
    if units > 1 and (len(data.label_shape) == 1 or data.label_shape[-1] == 1):
        words = Message(
            "labels of shape {shape} do not fit {units} outputs: there is one label for all of them",
            shape=data.label_shape,
            units=units,
        )
        yield find("labels", words)
        return
    reach = RANGES.get(output.activation)
    if reach and (low < reach[0] - 1e-6 or high > reach[1] + 1e-6):
        words = Message(
            "the targets reach from {low:.3g} to {high:.3g}, "
            "an output with {activation} only from {least:g} to {most:g}",
            low=low,
            high=high,
            activation=output.activation,
            least=reach[0],
            most=reach[1],
        )
        yield find("output and loss", words, figure=high)
    elif data.label_rms is not None and data.label_rms > threshold("target scale"):
        words = Message("the targets have a root mean square of {rms:.3g}", rms=data.label_rms)
        yield find("target scale", words, figure=data.label_rms)


def _output(data: Data, output: Output) -> Iterator[Finding]:
    units, activation, loss = output.units, output.activation, output.loss
    if activation == "softmax" and units == 1:
        yield find("output and loss", Message("softmax over one unit is always one: use sigmoid, or two units"))
        return
    if loss in HINGE and RANGES.get(activation, ANY)[0] >= 0:
        words = Message(
            "{loss} needs outputs of both signs, {activation} has one: use tanh", loss=loss, activation=activation
        )
        yield find("output and loss", words)
    elif loss in CATEGORICAL and units == 1:
        words = Message("{loss} with one output unit is always zero: use binary_crossentropy with sigmoid", loss=loss)
        yield find("output and loss", words)
    elif output.from_logits and activation in PROBABILITIES:
        yield _activated_twice(loss, activation)
    elif loss in CATEGORICAL and activation in ("sigmoid", "hard_sigmoid"):
        words = Message(
            "{loss} needs outputs that sum to one, but {activation} makes {units} independent probabilities: "
            "use softmax",
            loss=loss,
            activation=activation,
            units=units,
        )
        yield find("output and loss", words)
    elif loss in BINARY and activation == "softmax" and (units or 0) > 1 and _exclusive(data, units):
        words = Message(
            "{loss} with softmax over {units} classes: use categorical_crossentropy", loss=loss, units=units
        )
        yield find("output and loss", words, severity="warning")
    elif loss in CATEGORICAL + BINARY and activation in ("relu", "relu6", "tanh", "elu", "selu"):
        words = Message(
            "the output has {activation}, {loss} needs {needed}",
            activation=activation,
            loss=loss,
            needed=_needed(output),
        )
        yield find("output and loss", words)
    elif not output.from_logits and activation not in PROBABILITIES and _is_outside(output):
        words = Message(
            "the outputs reach from {low:.3g} to {high:.3g}, but {loss} needs {needed}",
            low=output.minimum,
            high=output.maximum,
            loss=loss,
            needed=_needed(output),
        )
        yield find("output and loss", words)


def _activated_twice(loss: str, activation: str) -> Finding:
    if (loss, activation) in UNWRAPPED:
        words = Message(
            "{loss} with from_logits=True gets the probabilities of {activation}: Keras on TensorFlow trains on the "
            "logits before it all the same, elsewhere it is applied twice; remove one of the two",
            loss=loss,
            activation=activation,
        )
        return find("output and loss", words, severity="warning")
    words = Message(
        "{loss} with from_logits=True applies softmax or sigmoid again after the output's {activation}: "
        "remove one of the two",
        loss=loss,
        activation=activation,
    )
    return find("output and loss", words)


def _exclusive(data: Data, units: int | None) -> bool:
    return data.label_rows_sum_to_one and data.label_shape[-1:] == (units,)


def _needed(output: Output) -> Message:
    if output.from_logits:
        return Message("logits: remove the output's activation")
    return NEEDS[output.loss].words


def _is_outside(output: Output) -> bool:
    """Whether an output was measured for which the loss is not defined."""
    if output.minimum is None or output.maximum is None or output.loss not in NEEDS:
        return False
    low, high = NEEDS[output.loss].outputs
    return output.minimum < low - 1e-6 or output.maximum > high + 1e-6
