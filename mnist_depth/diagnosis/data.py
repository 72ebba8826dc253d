"""Problems of the data: values that are not finite, inputs that are constant or not scaled."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mnist_depth.diagnosis.finding import Finding
from mnist_depth.diagnosis.gradients import judged_norm
from mnist_depth.diagnosis.kinds import find, threshold
from mnist_depth.diagnosis.measurements import Data, Measurements
from mnist_depth.diagnosis.message import Message

MAX_FEATURE_SCALES = 1e3
"""Largest over smallest standard deviation of a table's columns before they count as not scaled."""


def data_findings(measured: Measurements) -> Iterator[Finding]:
    """Findings about the values that go through the network, and about its inputs."""
    yield from _not_finite(measured)
    if measured.data is not None:
        yield from _inputs(measured.data)


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
