"""Problems outside the gradients: non-finite values, scales, labels, an output that does not match the loss."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mnist_depth.diagnosis.finding import Finding
from mnist_depth.diagnosis.gradients import judged_norm
from mnist_depth.diagnosis.kinds import find, threshold
from mnist_depth.diagnosis.measurements import Data, Measurements, Output
from mnist_depth.diagnosis.message import Message

CATEGORICAL = ("categorical_crossentropy", "sparse_categorical_crossentropy", "categorical_focal_crossentropy")
BINARY = ("binary_crossentropy", "binary_focal_crossentropy")
SQUARED = ("mean_squared_error", "mean_absolute_error", "huber", "log_cosh")

PROBABILITIES = ("softmax", "sigmoid", "hard_sigmoid")

RANGES = {
    "sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "relu": (0.0, math.inf),
}
"""Output activation -> the targets that it can reach."""

MAX_FEATURE_SCALES = 1e3
"""Largest over smallest standard deviation of a table's columns before they count as not scaled."""


def setup_findings(measured: Measurements) -> Iterator[Finding]:
    """Findings about data, labels, output and loss."""
    yield from _not_finite(measured)
    if measured.data is not None:
        yield from _inputs(measured.data)
    if measured.data is not None and measured.output is not None:
        yield from _labels(measured.data, measured.output)
        yield from _output(measured.data, measured.output)
    if measured.is_linear:
        words = Message(
            "{layers} weight layers without an activation between them are one linear layer",
            layers=sum(not layer.is_output for layer in measured.layers) + 1,
        )
        yield find("no non-linearity", words)


def _not_finite(measured: Measurements) -> Iterator[Finding]:
    """Where the first value that is not finite appears: inputs, labels, weights, outputs, gradients, loss."""
    data = measured.data
    if data is not None and data.input_nonfinite:
        words = Message("{count} input values are NaN or infinite", count=data.input_nonfinite)
        yield find("not finite", words, figure=float(data.input_nonfinite))
        return
    if data is not None and data.label_nonfinite:
        words = Message("{count} labels are NaN or infinite", count=data.label_nonfinite)
        yield find("not finite", words, figure=float(data.label_nonfinite))
        return
    for layer in measured.layers:
        if layer.nonfinite_weights:
            words = Message("the weights of {layer} are not finite", layer=layer.name)
            yield find("not finite", words, layer=layer.name)
            return
    for layer in measured.layers:
        if layer.nonfinite_share:
            words = Message(
                "{share:.0%} of the outputs of {layer} are NaN or infinite, the first layer where that is so",
                share=layer.nonfinite_share,
                layer=layer.name,
            )
            yield find("not finite", words, layer=layer.name, figure=layer.nonfinite_share)
            return
    _, gradients = judged_norm(measured.layers)
    pairs = [(layer, value) for layer, value in zip(measured.layers, gradients, strict=True) if value is not None]
    for layer, value in reversed(pairs):
        if not math.isfinite(value):
            words = Message("the gradient of {layer} is {value}", layer=layer.name, value=value)
            yield find("not finite", words, layer=layer.name, figure=value)
            return
    if measured.loss is not None and not math.isfinite(measured.loss):
        yield find("not finite", Message("the loss is {loss}", loss=measured.loss), figure=measured.loss)
    elif measured.diverged:
        yield find("not finite", Message("training ended because the loss was no longer finite"))


def _inputs(data: Data) -> Iterator[Finding]:
    if data.input_identical and data.examples > 1:
        words = Message("all {count} inputs of the batch are the same", count=data.examples)
        yield find("constant input", words, figure=0.0)
    if data.input_is_scaled or data.input_rms is None or not math.isfinite(data.input_rms):
        return
    if data.input_rms > threshold("input scale"):
        words = Message(
            "the inputs reach from {low:.3g} to {high:.3g}, root mean square {rms:.3g}: they are not scaled",
            low=data.input_min,
            high=data.input_max,
            rms=data.input_rms,
        )
        yield find("input scale", words, figure=data.input_rms)
    elif 0 < data.input_rms < 1 / (10 * threshold("input scale")):
        words = Message("the inputs are tiny, root mean square {rms:.1e}", rms=data.input_rms)
        yield find("input scale", words, figure=data.input_rms)
    elif data.feature_scales is not None and data.feature_scales > MAX_FEATURE_SCALES:
        words = Message(
            "the columns of the input differ in scale by a factor of {factor:.1e}", factor=data.feature_scales
        )
        yield find("input scale", words, figure=data.feature_scales)


def _labels(data: Data, output: Output) -> Iterator[Finding]:
    if data.label_identical and data.examples > 1:
        words = Message("all {count} labels of the batch are the same: there is nothing to learn", count=data.examples)
        yield find("labels", words)
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
    if output.loss in BINARY and (low < 0 or high > 1):
        words = Message(
            "binary cross-entropy needs labels between 0 and 1; they reach from {low:g} to {high:g}", low=low, high=high
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
    if loss not in CATEGORICAL + BINARY:
        return
    if loss in CATEGORICAL and units == 1:
        words = Message("{loss} with one output unit is always zero: use binary_crossentropy with sigmoid", loss=loss)
        yield find("output and loss", words)
    elif output.from_logits and activation in PROBABILITIES:
        words = Message(
            "{loss} with from_logits=True applies softmax or sigmoid again after the output's {activation}: "
            "remove one of the two",
            loss=loss,
            activation=activation,
        )
        yield find("output and loss", words)
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
    elif activation in ("relu", "relu6", "tanh", "elu", "selu"):
        words = Message(
            "the output has {activation}, {loss} needs {needed}",
            activation=activation,
            loss=loss,
            needed=_needed(output),
        )
        yield find("output and loss", words)
    elif not output.from_logits and activation not in PROBABILITIES and _no_probabilities(output):
        words = Message(
            "the outputs reach from {low:.3g} to {high:.3g}, but {loss} needs {needed}",
            low=output.minimum,
            high=output.maximum,
            loss=loss,
            needed=_needed(output),
        )
        yield find("output and loss", words)


def _exclusive(data: Data, units: int | None) -> bool:
    return data.label_rows_sum_to_one and data.label_shape[-1:] == (units,)


def _needed(output: Output) -> Message:
    if output.from_logits:
        return Message("logits: remove the output's activation")
    return Message("probabilities: use softmax or sigmoid, or from_logits=True")


def _no_probabilities(output: Output) -> bool:
    if output.minimum is None or output.maximum is None:
        return False
    return output.minimum < -1e-6 or output.maximum > 1 + 1e-6
