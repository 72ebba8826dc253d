"""How deep can a plain network be before it stops learning?

Source: Sung Kim, Deep Learning for Everyone, lectures 9 and 10; He et al. 2015 for the far end. Command:
`python -m mnist_depth study depth_sweep`. Expected: sigmoid fine at 2 and 3 layers, less and less after, at chance from
about 6 on; tanh and ReLU learn at 9. At 32 layers Xavier's factor sqrt(1/2) per ReLU layer makes the signal vanish too:
He et al. 2015 (figure 3) saw a 30-layer ReLU network stall with Xavier.
"""

from __future__ import annotations

from itertools import pairwise

from mnist_depth.studies.checks import BEST, at_chance, known, learns, stays_below
from mnist_depth.studies.expectation import Expectation, Reason, all_but
from mnist_depth.studies.reasons import images_look_alike, vanishes
from mnist_depth.studies.selection import NotTested, Runs
from mnist_depth.studies.sources import HE_2015, LECTURE_10
from mnist_depth.studies.study import Quick, Study, product
from mnist_depth.translation import translate as _

ACTIVATIONS = ["sigmoid", "tanh", "relu"]
DEPTHS = [*range(1, 10), 12, 16, 24, 32]
HOP, FALL = 0.03, 0.3
"""How far a stuck run's accuracy hops among the classes' shares; how far it falls from 3 layers to the deepest."""

NETWORK = all_but("width", "batch_size")


def _falls(runs: Runs) -> tuple[bool, str]:
    """From three layers on the sigmoid network's mean accuracy falls far, and never rises by more than a hop."""
    chosen = known(runs).where(activation="sigmoid", depth=range(3, 1_000))
    means = {depth: group.mean(BEST) for depth, group in chosen.by("depth").items()}
    if len(means) < 2 or 3 not in means:
        raise NotTested(_("no runs with 3 layers and more, among which accuracy could fall"))
    deep = list(means.values())
    steady = all(later <= earlier + HOP for earlier, later in pairwise(deep))
    return steady and deep[-1] < deep[0] - FALL, ", ".join(
        _("depth {depth}: {accuracy:.1%}", depth=depth, accuracy=mean) for depth, mean in means.items()
    )


STUDY = Study(
    question="How many layers can a plain network have before it stops learning?",
    answer="With sigmoid, learning ends at about six layers; tanh and ReLU learn with nine and more.",
    why=(
        Reason(
            "Each further sigmoid layer multiplies the gradient by about a quarter, "
            "so that little of it reaches layer 1",
            vanishes(activation="sigmoid", depth=range(7, 100)),
        ),
        images_look_alike(activation="sigmoid", depth=range(7, 100)),
        Reason(
            "The slopes of tanh and ReLU are near 1, until there are so many layers that small losses add up",
            learns(0.9, activation=["tanh", "relu"], depth=9),
        ),
    ),
    picture="grid",
    folder="depths",
    source=LECTURE_10,
    variants=product(depth=DEPTHS, activation=ACTIVATIONS),
    columns=("test_loss", "best_test_accuracy", "dz_ratio", "seconds"),
    expectations=(
        Expectation(
            "sigmoid learns with 2 and 3 layers",
            LECTURE_10,
            learns(0.85, activation="sigmoid", depth=[2, 3]),
            NETWORK,
            "fine at 2-3 layers",
        ),
        Expectation(
            "sigmoid gets worse past 3 layers, and never better again", LECTURE_10, _falls, NETWORK, "falls after"
        ),
        Expectation(
            "sigmoid is at chance from 7 layers on",
            LECTURE_10,
            at_chance(activation="sigmoid", depth=range(7, 100)),
            NETWORK - {"epochs"},
            "at 9 the cost does not move",
        ),
        Expectation("tanh learns with 9 layers", LECTURE_10, learns(0.9, activation="tanh", depth=9), NETWORK),
        Expectation("ReLU learns with 9 layers", LECTURE_10, learns(0.9, activation="relu", depth=9), NETWORK),
        Expectation(
            "ReLU with Xavier stalls at 32 layers",
            f"{HE_2015}, figure 3 (30 layers)",
            stays_below(0.2, activation="relu", depth=32),
            NETWORK,
            "no convergence",
        ),
    ),
    quick=Quick({"width": 64, "epochs": 3}, product(depth=[2, 3, 5, 7, 9], activation=ACTIVATIONS)),
)
