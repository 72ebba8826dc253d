"""Which learning rate and weight decay suit a small network? A random search.

Source: K. Saito, Deep Learning from Scratch, chapter 6; Bergstra & Bengio 2012 on why random beats a grid. Six hidden
ReLU layers of 100 units, 500 training images, 50 epochs of SGD; learning rate 10^U(-6, -2), weight decay 10^U(-8, -4),
100 trials, then again in the range that the best fifth spans. Command: `python -m mnist_depth study search` (the same
as `python -m mnist_depth search`). Printed: `Best-1 (val acc: 0.83) | lr: 0.0092, weight decay: 3.86e-07` in the book.
Expected: the best trials lie at the upper end of the learning rates and come close to that figure, whatever the decay.
"""

from __future__ import annotations

import math

from mnist_depth.studies.checks import known, one_learned
from mnist_depth.studies.expectation import Expectation, Reason, all_but
from mnist_depth.studies.selection import NotComparable, Runs
from mnist_depth.studies.sources import BERGSTRA_2012, SCRATCH
from mnist_depth.studies.study import Quick, Study, Variant
from mnist_depth.sweeps.search import BASE, SearchSettings
from mnist_depth.translation import translate as _

PREMISE = all_but()
BAR = 0.7
"""Validation accuracy of the best trial; the book's 0.83 is the luckiest of 100 on a validation set of 100 images."""

FEW, MANY = 8, 50
"""Trials from which on the best and worst quarters mean something, and from which on the best one of all does: 1 trial
in 13 has a rate above 0.005."""


def _trials(runs: Runs, fewest: int) -> list[tuple[float, float]]:
    """(validation accuracy, learning rate) of every trial, best first."""
    found = known(runs)
    rates = [record.config.learning_rate for record in found.records]
    if len(rates) < fewest:
        raise NotComparable(_("asks for {wanted} trials, there are {found}", wanted=fewest, found=len(rates)))
    return sorted(zip(found.values("validation_accuracy"), rates, strict=True), key=lambda trial: -trial[0])


def _best_is_good(runs: Runs) -> tuple[bool, str]:
    accuracy, rate = _trials(runs, MANY)[0]
    return accuracy >= BAR, _(
        "best of {count} trials: validation accuracy {accuracy:.1%} at a learning rate of {rate:.2g}",
        count=len(runs.records),
        accuracy=accuracy,
        rate=rate,
    )


def _rate_decides(runs: Runs) -> tuple[bool, str]:
    """The best quarter's rates are above the worst quarter's by a decade and more, as geometric means."""
    trials = _trials(one_learned(runs, "validation_accuracy"), FEW)
    quarter = max(1, len(trials) // 4)
    best, worst = (_geometric_mean([rate for _, rate in part]) for part in (trials[:quarter], trials[-quarter:]))
    return best > 10 * worst, _(
        "mean learning rate {best:.2g} in the best quarter, {worst:.2g} in the worst", best=best, worst=worst
    )


def _found(runs: Runs) -> str:
    accuracy, rate = _trials(runs, 1)[0]
    return _(
        "The best of {count} trials has a learning rate of {rate:.2g} and a validation accuracy of {accuracy:.1%}.",
        count=len(runs.records),
        rate=rate,
        accuracy=accuracy,
    )


def _geometric_mean(values: list[float]) -> float:
    return math.exp(math.fsum(map(math.log, values)) / len(values))


STUDY = Study(
    question="Which learning rate and weight decay suit a small network?",
    answer="A learning rate near 0.01, the upper end of the range; weight decay hardly matters.",
    found=_found,
    why=(Reason("The learning rate decides: within these few epochs a small one gets nowhere", _rate_decides),),
    picture="test_accuracy",
    source=f"{SCRATCH}; {BERGSTRA_2012}",
    variants=[Variant(BASE)],
    search=SearchSettings(trials=100, rounds=2),
    columns=("validation_accuracy", "best_validation_accuracy", "train_loss"),
    rank_by="validation_accuracy",
    expectations=(
        Expectation("the best trial learns", SCRATCH, _best_is_good, PREMISE, "0.83 at a rate of 0.0092"),
        Expectation(
            "the learning rate decides: the best rates are ten times the worst",
            SCRATCH,
            _rate_decides,
            PREMISE - {"epochs"},
            "best rates 0.001 to 0.01 of the range 1e-6 to 0.01",
        ),
    ),
    quick=Quick(search=SearchSettings(trials=8, rounds=2)),
)
