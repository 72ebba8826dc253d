"""Every kind of finding with its threshold, the source of the threshold, and what to change.

The order is that of the verdict: of several errors the first kind in this table is the verdict. Thresholds marked
"benchmark" were chosen on one half of the networks of `scripts/diagnosis_benchmark` and scored on the other half
(docs/diagnosis.md).
"""

from __future__ import annotations

from typing import NamedTuple

from mnist_depth.diagnosis.finding import Finding, Severity


class Kind(NamedTuple):
    """One kind of finding."""

    severity: Severity
    threshold: float | None
    """None for a finding that is true or false."""
    source: str
    remedy: str


BENCHMARK = "benchmark of random networks, docs/diagnosis.md"

KINDS: dict[str, Kind] = {
    "labels": Kind(
        "error",
        None,
        "cross-entropy and the squared error are defined for labels of the output's range and shape only",
        "correct the labels: their range, their shape, or how they are encoded",
    ),
    "output and loss": Kind(
        "error",
        None,
        "Keras' definition of its losses: probabilities, or logits with from_logits=True",
        "choose an output activation and a loss that belong together",
    ),
    "not finite": Kind(
        "error",
        0.0,
        "a single NaN or infinity spreads to every weight with the next update",
        "remove or replace the values where they first appear: data, then weights, then the learning rate",
    ),
    "constant input": Kind(
        "error", 0.0, "a network cannot distinguish equal inputs", "check how the inputs are loaded and scaled"
    ),
    "symmetric": Kind(
        "error",
        0.99,
        "units with equal weights get equal gradients and stay equal (Goodfellow et al. 2016, section 8.4)",
        "initialize the kernels with random numbers, such as Glorot or He",
    ),
    "dead": Kind(
        "error",
        0.99,
        "a layer whose units are zero for every input passes no gradient on",
        "a leaky rectifier (leaky_relu, elu), He initialization with zero biases, and a smaller learning rate",
    ),
    "cut": Kind(
        "error",
        1e-25,
        "float32 reaches down to 1e-38; no usual layer loses 25 decades by itself",
        "look at this layer alone: its weights, its activation, a stopped gradient",
    ),
    "saturated": Kind(
        "error",
        0.5,
        "half of a layer's outputs on the flat parts of the activation (Glorot & Bengio 2010, section 3)",
        "a smaller initial scale or normalized inputs, so that pre-activations stay where the slope is large",
    ),
    "vanishing": Kind(
        "error",
        1e-3,
        (
            "updates of about 1e-3 of the weights are usual (CS231n); a thousandth "
            "of that moves a layer by 1 % in 10,000 steps"
        ),
        "ReLU with He initialization in the hidden layers, or batch normalization before every activation",
    ),
    "exploding": Kind(
        "error",
        1e3,
        "a learning rate that suits the last layer is a thousand times too large for the first",
        "He or Glorot initialization instead of a fixed scale, or batch normalization",
    ),
    "signal grows": Kind(
        "warning",
        1e3,
        "outputs grow by this factor from the first to the last hidden layer",
        "a smaller initial scale (Glorot, He), or a bounded or linear-tailed activation instead of a growing one",
    ),
    "signal collapses": Kind(
        "warning",
        0.02,
        "spread across samples over the whole spread; its square is 1 - c, c the correlation of two inputs "
        "(Schoenholz et al. 2017)",
        "batch normalization, or an initialization near the critical line (`theory`)",
    ),
    "explodes through time": Kind(
        "error",
        1e3,
        "factor of the gradient over all time steps; the recurrent kernel's largest eigenvalue exceeds one "
        "(Pascanu et al. 2013)",
        "an orthogonal recurrent kernel of gain one, a gated cell (LSTM, GRU), or clipping by norm",
    ),
    "vanishes through time": Kind(
        "warning",
        1e-6,
        "factor of the gradient over all time steps (Bengio et al. 1994)",
        "a gated cell (LSTM, GRU), an orthogonal recurrent kernel, or shorter sequences",
    ),
    "input scale": Kind(
        "warning",
        10.0,
        "initializers assume inputs of unit variance (LeCun et al. 1998, section 4.3); " + BENCHMARK,
        (
            "scale the inputs to zero mean and unit variance, or to 0..1: "
            "keras.layers.Rescaling(1 / 255) or Normalization()"
        ),
    ),
    "target scale": Kind(
        "warning",
        30.0,
        "the squared error and its gradient grow with the scale of the targets",
        "scale the targets to unit variance, and the predictions back",
    ),
    "learning rate too high": Kind(
        "error",
        0.1,
        "a step that raises the loss while a tenth of it lowers it; " + BENCHMARK,
        "a smaller learning rate",
    ),
    "learning rate too low": Kind(
        "error",
        10.0,
        "the loss falls only with a learning rate larger than this factor; " + BENCHMARK,
        "a larger learning rate",
    ),
    "no non-linearity": Kind(
        "error",
        None,
        "a product of linear maps is one linear map (Minsky & Papert 1969)",
        "an activation such as ReLU in the hidden layers",
    ),
    "not learning": Kind(
        "error",
        0.0,
        "no learning rate that is tried lowers the loss below that of a constant prediction; " + BENCHMARK,
        (
            "check that the inputs determine the labels; then a wider or shallower "
            "network, normalization, another activation"
        ),
    ),
    "loss not falling": Kind(
        "error",
        0.02,
        "part of the loss that training removes: of the best constant prediction's after 100 updates, where that is "
        "known, else of the first one; " + BENCHMARK,
        "look at the other findings first; then the learning rate",
    ),
    "oscillating": Kind(
        "warning",
        0.3,
        "mean jump between two points of the loss over the whole range of it, in the second half of training",
        "a smaller learning rate, or a larger batch",
    ),
    "start loss": Kind(
        "warning",
        3.0,
        "start loss over that of the best constant prediction; a network without knowledge should start near one",
        "a smaller initial scale of the last layer, and scaled inputs",
    ),
    "update size": Kind(
        "warning",
        1e-3,
        "||update|| / ||weights|| is about 1e-3 in networks that train well (CS231n); reported a factor of 100 away, "
        "or 10 below in all layers",
        "the learning rate of this layer, or its initial scale",
    ),
    "dead units": Kind(
        "warning",
        0.4,
        '"as much as 40 % of your network can be dead" if the learning rate is too high (CS231n, ReLU)',
        "a leaky rectifier or a smaller learning rate",
    ),
    "slow first layers": Kind(
        "note",
        1e-2,
        "below this the first layers learn visibly slower, though the network may get there (Nielsen 2015, chapter 5)",
        "batch normalization or residual connections",
    ),
    "may be born dead": Kind(
        "note",
        0.05,
        "probability 1 - prod(1 - 2^-width) that some ReLU layer starts dead (Lu et al. 2019, theorem 3.3)",
        "wider layers, or a leaky rectifier",
    ),
    "frozen": Kind(
        "note", None, "layers with trainable=False get no update", "set trainable=True if this is not meant"
    ),
}


def find(
    kind: str, sentence: str, *, layer: str | None = None, figure: float | None = None, severity: Severity | None = None
) -> Finding:
    """A finding of this kind, with what the table says about the kind."""
    known = KINDS[kind]
    return Finding(
        kind, severity or known.severity, sentence, layer, figure, known.threshold, known.source, known.remedy
    )


def threshold(kind: str) -> float:
    """The threshold of a kind that has one."""
    value = KINDS[kind].threshold
    assert value is not None
    return value
