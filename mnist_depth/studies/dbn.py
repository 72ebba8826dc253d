"""Does pre-training as a deep belief network let nine sigmoid layers learn?

Source: Hinton, Osindero & Teh 2006; Sung Kim, Deep Learning for Everyone, lecture 10: each layer is first trained as a
restricted Boltzmann machine (CD-1), then back-propagation fine-tunes the whole. Command:
`python -m mnist_depth study dbn`. Expected: the sigmoid network that stays at chance from Xavier learns after
pre-training.
"""

from __future__ import annotations

from mnist_depth.studies.checks import at_chance, learns
from mnist_depth.studies.expectation import Expectation, all_but
from mnist_depth.studies.sources import HINTON_2006, LECTURE_10
from mnist_depth.studies.study import Quick, Study, Variant

NETWORK = all_but("width", "batch_size")

STUDY = Study(
    question="Does layer-by-layer pre-training let a 9-layer sigmoid network learn?",
    answer="Yes: after pre-training every layer passes the gradient on.",
    why=(
        "Layer by layer, each is first trained to describe its own input. That leaves weights large enough, "
        "and units different enough, for the gradient to arrive."
    ),
    view={"color": "pretraining"},
    source=f"{HINTON_2006}; {LECTURE_10}",
    variants=[
        Variant({"depth": 9, "activation": "sigmoid"}, "sigmoid"),
        Variant({"depth": 9, "activation": "sigmoid", "pretraining": "dbn"}, "sigmoid, DBN"),
    ],
    columns=("test_loss", "best_test_accuracy", "dz_ratio", "seconds"),
    expectations=(
        Expectation(
            "without pre-training it stays at chance", LECTURE_10, at_chance(pretraining="none"), NETWORK - {"epochs"}
        ),
        Expectation("pre-trained it learns", HINTON_2006, learns(0.9, pretraining="dbn"), NETWORK, "it learns"),
    ),
    quick=Quick({"width": 128, "epochs": 3, "pretraining_epochs": 2}),
)
