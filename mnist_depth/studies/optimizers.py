"""Which optimizer brings the training loss down fastest?

Source: Kingma & Ba 2015, figure 2 (multilayer network on MNIST: Adam below AdaGrad, RMSprop, SGD with Nesterov momentum
and AdaDelta); K. Saito, Deep Learning from Scratch, chapter 6 (SGD 0.01 last); Liu et al. 2019 for RAdam. Each has its
source's usual rate; SGD has 0.01, as momentum and NAG have. Command: `python -m mnist_depth study optimizers`.
Expected: Adam's training loss is the lowest of the figure's five, SGD's the highest of all, RAdam ends where Adam does.
"""

from __future__ import annotations

from typing import Any

from mnist_depth.results.comparison import Comparison
from mnist_depth.studies.checks import BEST, known, near, one_learned
from mnist_depth.studies.expectation import Expectation, all_but
from mnist_depth.studies.names import OPTIMIZERS
from mnist_depth.studies.selection import Runs
from mnist_depth.studies.sources import KINGMA_2015, LIU_2019, SCRATCH
from mnist_depth.studies.study import Quick, Study, Variant
from mnist_depth.translation import translate as _

NAMES = ["sgd", "momentum", "nag", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "nadam", "radam"]
FIGURE_2 = ["nag", "adagrad", "rmsprop", "adadelta", "adam"]
EXTRAS: dict[str, dict[str, Any]] = {"sgd": {"learning_rate": 0.01}, "adamw": {"weight_decay": 0.004}}
PREMISE = all_but("width")


def _losses(runs: Runs, names: list[str]) -> dict[str, float]:
    return {name: one_learned(known(runs)).where(optimizer=name).mean("train_loss") for name in names}


def _adam_lowest(runs: Runs) -> tuple[bool, str]:
    losses = _losses(runs, FIGURE_2)
    return min(losses, key=losses.__getitem__) == "adam", _listed(losses)


def _sgd_highest(runs: Runs) -> tuple[bool, str]:
    losses = _losses(runs, NAMES)
    return max(losses, key=losses.__getitem__) == "sgd", _listed(losses)


def _found(runs: Runs) -> str:
    losses, published = _losses(runs, NAMES), _losses(runs, FIGURE_2)
    first, last = min(losses, key=losses.__getitem__), max(losses, key=losses.__getitem__)
    text = _(
        "{first} has the lowest training loss ({low:.4f}), {last} the highest ({high:.4f}).",
        first=OPTIMIZERS[first],
        low=losses[first],
        last=OPTIMIZERS[last],
        high=losses[last],
    )
    order = _(
        "Of the published figure's methods it is {best}, Adam is number {place} of {count}.",
        best=OPTIMIZERS[min(published, key=published.__getitem__)],
        place=1 + sum(loss < published["adam"] for loss in published.values()),
        count=len(published),
    )
    return f"{text} {order}"


def _listed(losses: dict[str, float]) -> str:
    ordered = sorted(losses.items(), key=lambda item: item[1])
    return _(
        "mean training loss: {losses}", losses=", ".join(f"{OPTIMIZERS[name]} {loss:.4f}" for name, loss in ordered)
    )


STUDY = Study(
    question="Which optimizer brings the training loss down fastest?",
    answer="Adam, among the methods of the published figure; plain SGD is the slowest.",
    why=(
        "Methods that divide by the size of past gradients take larger steps where gradients are small. How "
        "they rank depends on their rates, and the usual ones are not tuned to each other."
    ),
    found=_found,
    comparison=Comparison(("train_loss",)),
    view={"color": "optimizer"},
    folder="optim",
    source=f"{KINGMA_2015}; {SCRATCH}; {LIU_2019}",
    variants=[
        Variant(
            {
                "depth": 3,
                "activation": "relu",
                "initializer": "he_normal",
                "optimizer": name,
                **EXTRAS.get(name, {}),
            },
            OPTIMIZERS[name],
        )
        for name in NAMES
    ],
    columns=("train_loss", "test_loss", BEST, "seconds"),
    expectations=(
        Expectation(
            "Adam's training loss is the lowest of figure 2's five", KINGMA_2015, _adam_lowest, PREMISE, "figure 2"
        ),
        Expectation("plain SGD's is the highest", SCRATCH, _sgd_highest, PREMISE, "SGD slowest on MNIST"),
        Expectation(
            "RAdam ends within a point of Adam",
            LIU_2019,
            near({"optimizer": "radam"}, {"optimizer": "adam"}, within=0.01),
            PREMISE,
        ),
    ),
    quick=Quick({"epochs": 5, "width": 64}),
)
