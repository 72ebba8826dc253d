"""Does batch normalization make learning independent of the initial scale?

Source: Ioffe & Szegedy 2015; K. Saito, Deep Learning from Scratch, chapter 6, whose figure has 4 x 4 panels: 16 initial
scales from 10^0 to 10^-4, five hidden ReLU layers of 100 units, the first 1,000 training images, 20 epochs, batch 100,
SGD 0.01, with and without. And the 9-layer sigmoid network of the headline. Command:
`python -m mnist_depth study batch_norm`. Expected: with it the network learns at every scale, and nearly always faster;
the sigmoid network learns.
"""

from __future__ import annotations

import math
from typing import Any

from mnist_depth.config import RunConfig
from mnist_depth.results.comparison import Comparison
from mnist_depth.studies.checks import BEST, at_chance, known, learns, one_learned
from mnist_depth.studies.expectation import Expectation, Reason, all_but
from mnist_depth.studies.selection import NotTested, Runs
from mnist_depth.studies.sources import IOFFE_2015, LECTURE_10, SCRATCH
from mnist_depth.studies.study import Quick, Study, Variant
from mnist_depth.theory import initializer_variance
from mnist_depth.translation import translate as _

SCALES = [round(10 ** (-4 * place / 15), 6) for place in range(16)]
PANEL: dict[str, Any] = {
    "depth": 6,
    "width": 100,
    "activation": "relu",
    "train_examples": 1_000,
    "epochs": 20,
    "learning_rate": 0.01,
}
PREMISE = all_but()
LEARNED = 0.5
"""Training accuracy after 200 steps that counts as learning: chance is 0.1."""

FLOWING = 1e-2
"""Gradient norm of the first layer over the last: the diagnosis' limit of `slow first layers`."""

MAX_LOST = 0.2
"""Share of the scales at which the plain network may be ahead: those that happen to suit it."""


BEHIND = 0.2
"""Training accuracy below that of the best scale from which on an end of the scales asks for a reason."""

SMALL_STEP, LARGE_STEP = 1e-3, 0.5
"""||update|| / ||weights||: about 1e-3 is usual (CS231n); with half of the weights replaced, little of them is left."""


def _panel(scale: float, batch_norm: str) -> Variant:
    return Variant(
        {**PANEL, "initializer": f"normal:{scale}", "batch_norm": batch_norm}, _named(_std(scale), batch_norm)
    )


def _nine(batch_norm: str) -> Variant:
    return Variant(
        {"depth": 9, "activation": "sigmoid", "batch_norm": batch_norm}, _named("9 sigmoid layers", batch_norm)
    )


def _named(network: str, batch_norm: str) -> str:
    return network if batch_norm == "none" else f"{network}, batch norm"


def _std(scale: float) -> str:
    """The one name of a scale: `std 0.046`."""
    return f"std {scale:.2g}"


def _scale_of(config: RunConfig) -> float:
    return math.sqrt(initializer_variance(config.initializer, config.width, config.width))


def _panel_of(config: RunConfig) -> str:
    """The scale of a network of the panels; empty for the nine sigmoid layers, which are another network."""
    return _std(_scale_of(config)) if config.activation == PANEL["activation"] else ""


def _with_or_without(config: RunConfig) -> str:
    return _("without batch norm") if config.batch_norm == "none" else _("batch norm")


def _panels(runs: Runs, batch_norm: str) -> dict[float, Runs]:
    """The runs of the panel's network by scale, the largest first."""
    groups = known(runs).where(activation="relu", batch_norm=batch_norm).by("initializer").values()
    return dict(sorted(((_scale_of(group.config), group) for group in groups), reverse=True))


def _accuracies(runs: Runs, batch_norm: str) -> dict[float, float]:
    return {scale: group.mean("train_accuracy") for scale, group in _panels(runs, batch_norm).items()}


def _pairs(runs: Runs) -> dict[float, tuple[float, float]]:
    """Scale -> training accuracy with and without batch norm, where there are both."""
    normed, plain = _accuracies(runs, "before"), _accuracies(runs, "none")
    pairs = {scale: (normed[scale], plain[scale]) for scale in normed if scale in plain}
    if not pairs:
        raise NotTested(_("no scale has finished runs with and without batch norm"))
    return pairs


def _learns_everywhere(runs: Runs) -> tuple[bool, str]:
    accuracies = _accuracies(runs, "before")
    worst = min(accuracies, key=lambda scale: accuracies[scale])
    return accuracies[worst] >= LEARNED, _(
        "worst of {count} scales: {scale} with training accuracy {accuracy:.1%}",
        count=len(accuracies),
        scale=_std(worst),
        accuracy=accuracies[worst],
    )


def _mostly_faster(runs: Runs) -> tuple[bool, str]:
    one_learned(known(runs).where(activation="relu"), "train_accuracy")
    pairs = _pairs(runs)
    behind = [scale for scale, (normed, plain) in pairs.items() if normed <= plain]
    return len(behind) <= MAX_LOST * len(pairs), _(
        "ahead at {ahead} of {count} scales", ahead=len(pairs) - len(behind), count=len(pairs)
    )


def _plain_fails_somewhere(runs: Runs) -> tuple[bool, str]:
    accuracies = _accuracies(runs, "none")
    failed = [scale for scale, accuracy in accuracies.items() if accuracy < LEARNED]
    return len(failed) >= len(accuracies) / 2, _(
        "{failed} of {count} scales stay below {bar:.0%}", failed=len(failed), count=len(accuracies), bar=LEARNED
    )


def _found(runs: Runs) -> str:
    """At how many scales each network learns, and by how much: at both ends and at the best scale between."""
    pairs = _pairs(runs)
    learned, plain = ([scale for scale in pairs if pairs[scale][place] >= LEARNED] for place in (0, 1))
    counts = {"learned": len(learned), "plain": len(plain), "count": len(pairs)}
    if len(learned) == len(pairs):
        answer = _("Yes, at all {count} scales; without batch norm it learns at {plain}.", **counts)
    else:
        answer = _(
            "Not at every scale: with batch norm it learns at {learned} of {count}, without at {plain}.", **counts
        )
    best = max(pairs, key=lambda scale: pairs[scale][0])
    figures = [
        _("{scale}: {normed:.1%} and {plain:.1%}", scale=_std(scale), normed=pairs[scale][0], plain=pairs[scale][1])
        for scale in sorted({max(pairs), best, min(pairs)}, reverse=True)
    ]
    shown = "; ".join(figures)
    words = _("Training accuracy with and without, at both ends and at the best scale: {figures}.", figures=shown)
    return f"{answer} {words}"


# Reasons


def _failing(runs: Runs, *, large: bool) -> tuple[float, Runs, float, Runs]:
    """The largest or the smallest scale if batch norm is behind there, the best scale, and the runs of both."""
    panels, accuracies = _panels(runs, "before"), _accuracies(runs, "before")
    best = max(accuracies, key=lambda scale: accuracies[scale])
    end = max(panels) if large else min(panels)
    if accuracies[best] < LEARNED or accuracies[end] > accuracies[best] - BEHIND:
        raise NotTested(_("batch norm is not behind there, or learns nowhere"))
    return end, panels[end], best, panels[best]


def _signals_survive(runs: Runs) -> tuple[bool, str]:
    pairs = _pairs(runs)
    saved = [scale for scale, (normed, plain) in pairs.items() if normed >= LEARNED > plain]
    if not saved:
        raise NotTested(_("batch norm saves no network"))
    best = max(saved, key=lambda scale: pairs[scale][0])
    normed, plain = (min(_panels(runs, name)[best].gradient_ratios()) for name in ("before", "none"))
    return normed >= FLOWING > plain, _(
        "gradient norm, first over last layer, at {scale}: {normed:.1e} with, {plain:.1e} without",
        scale=_std(best),
        normed=normed,
        plain=plain,
    )


def _largest_step(runs: Runs) -> float:
    """The largest measured ||update|| / ||weights|| of a hidden layer's kernel."""
    return max(value for run in runs.most("update_ratio", "/kernel") for value in run)


def _steps_too_small(runs: Runs) -> tuple[bool, str]:
    scale, failing, _best, _learning = _failing(runs, large=True)
    step = _largest_step(failing)
    return step < SMALL_STEP, _(
        "{scale}: a step changes the weights of a hidden layer by at most {step:.2g} %",
        scale=_std(scale),
        step=100 * step,
    )


def _steps_too_large(runs: Runs) -> tuple[bool, str]:
    scale, failing, _best, _learning = _failing(runs, large=False)
    step = _largest_step(failing)
    return step > LARGE_STEP, _(
        "{scale}: a step changes the weights of a hidden layer by up to {step:.2g} %",
        scale=_std(scale),
        step=100 * step,
    )


def _not_normalized(runs: Runs) -> tuple[bool, str]:
    scale, failing, best, learning = _failing(runs, large=False)
    # [runs][hidden layers]; normalized layers of ReLU all have the same spread.
    spreads = [[row[-1] for row in some.at_start("activation_std")] for some in (failing, learning)]
    return max(spreads[0]) < min(spreads[1]) / 2, _(
        "standard deviation of the last hidden layer's outputs: {low:.2g} at {scale}, {usual:.2g} at {best}",
        low=max(spreads[0]),
        scale=_std(scale),
        usual=min(spreads[1]),
        best=_std(best),
    )


def _plain_ahead(runs: Runs) -> tuple[bool, str]:
    pairs = _pairs(runs)
    scale = max(pairs, key=lambda one: pairs[one][1] - pairs[one][0])
    normed, plain = pairs[scale]
    return plain > max(normed, LEARNED), _(
        "{scale}: {normed:.1%} with, {plain:.1%} without", scale=_std(scale), normed=normed, plain=plain
    )


STUDY = Study(
    question="Does batch normalization make a network learn at every initial scale?",
    answer="Yes, and nearly always faster than without.",
    found=_found,
    why=(
        Reason(
            "Normalization sets the spread of every pre-activation to 1 whatever the scale of the weights, so signals "
            "and gradients reach every layer",
            _signals_survive,
        ),
        Reason(
            "It does not rescale the steps: beside large weights they are too small to change them in so short a "
            "training",
            _steps_too_small,
        ),
        Reason("Beside tiny weights the first steps are too large: they replace the weights", _steps_too_large),
        Reason(
            "Where the weights are tiny, the variance of the pre-activations is also no larger than the constant of "
            "1e-6 that the normalization adds to it, so that the signal shrinks from layer to layer all the same",
            _not_normalized,
        ),
        Reason("Where a scale suits the network anyway, normalization makes its steps smaller", _plain_ahead),
    ),
    comparison=Comparison(("train_accuracy",), _panel_of, _with_or_without),
    view={"color": "batch_norm"},
    folder="norm",
    source=f"{IOFFE_2015}; {SCRATCH}",
    variants=[
        *(_panel(scale, batch_norm) for scale in SCALES for batch_norm in ("none", "before")),
        _nine("none"),
        _nine("before"),
    ],
    columns=("train_accuracy", "test_accuracy", BEST, "seconds"),
    expectations=(
        Expectation(
            "with batch norm the network learns at every scale",
            SCRATCH,
            _learns_everywhere,
            PREMISE,
            "learns in all 16 panels",
        ),
        Expectation(
            "without batch norm it learns at no more than half of the scales",
            SCRATCH,
            _plain_fails_somewhere,
            PREMISE,
            "most panels stay flat",
        ),
        Expectation(
            "with batch norm it learns faster at nearly every scale",
            IOFFE_2015,
            _mostly_faster,
            PREMISE,
            "nearly all panels",
        ),
        Expectation(
            "9 sigmoid layers stay at chance without batch norm",
            LECTURE_10,
            at_chance(activation="sigmoid", batch_norm="none"),
            PREMISE - {"epochs", "width"},
        ),
        Expectation(
            "9 sigmoid layers learn with batch norm",
            IOFFE_2015,
            learns(0.9, activation="sigmoid", batch_norm="before"),
            PREMISE - {"width"},
        ),
    ),
    quick=Quick(
        variants=[
            *(_panel(scale, batch_norm) for scale in SCALES[::5] for batch_norm in ("none", "before")),
            *(
                Variant({**_nine(batch_norm).fields, "epochs": 2, "width": 64}, _nine(batch_norm).label)
                for batch_norm in ("none", "before")
            ),
        ]
    ),
)
