"""Is the mean of several networks' opinions better than each of them?

Source: Sung Kim, Deep Learning for Everyone, lecture 10 and the ensemble of lab 11: independently initialized networks,
their probabilities averaged ("2 % to 5 % better" in the lecture). Here: the Xavier network of lab 10-3, one member per
seed. Command: `python -m mnist_depth study ensemble`. Expected: better than the members' mean, usually than the best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mnist_depth.records import RunRecord
from mnist_depth.runtime.stderr import silenced
from mnist_depth.studies.expectation import Check, Expectation
from mnist_depth.studies.selection import NotTested, Runs
from mnist_depth.studies.sources import LECTURE_10
from mnist_depth.studies.study import Quick, Study, Variant
from mnist_depth.translation import mark
from mnist_depth.translation import translate as _


def _average(records: Sequence[RunRecord], data_dir: str | None) -> Mapping[str, float]:
    """Accuracy of the averaged probabilities, and of its members by the same count."""
    with silenced():
        from mnist_depth.training.evaluate import ensemble_of_runs

    found = ensemble_of_runs([record.folder for record in records if record.status == "finished"], data_dir)
    return {
        "ensemble_accuracy": found.ensemble,
        "mean_member_accuracy": found.mean,
        "best_member_accuracy": max(found.members),
        "members": float(len(found.members)),
    }


DETAILS = {
    "mean": mark("{count:.0f} members: ensemble {ensemble:.2%}, mean member {member:.2%}"),
    "best": mark("{count:.0f} members: ensemble {ensemble:.2%}, best member {member:.2%}"),
}


def _better_than(member: str) -> Check:
    """The ensemble's accuracy is above that of the `mean` or the `best` member."""

    def check(runs: Runs) -> tuple[bool, str]:
        score, member_score = runs.figure("ensemble_accuracy"), runs.figure(f"{member}_member_accuracy")
        count = runs.figure("members")
        if count < 2:
            raise NotTested(_("an ensemble needs at least two finished runs"))
        return score > member_score, _(DETAILS[member], count=count, ensemble=score, member=member_score)

    return check


STUDY = Study(
    question="Is an ensemble of networks better than its members?",
    answer="Yes: the averaged probabilities beat every single member.",
    why=(
        "Members from different seeds err on different images, and the average of their probabilities "
        "outvotes single errors. Where members are right 19 times out of 20, little is left to gain."
    ),
    picture="test_accuracy",
    source=LECTURE_10,
    variants=[
        Variant(
            {
                "depth": 3,
                "activation": "relu",
                "initializer": "glorot_uniform",
                "bias_std": 1.0,
                "optimizer": "adam",
            },
            "784-256-256-10, Xavier",
        )
    ],
    columns=("test_loss", "test_accuracy", "best_test_accuracy", "seconds"),
    expectations=(
        Expectation(
            "the averaged probabilities beat the mean member",
            LECTURE_10,
            _better_than("mean"),
            figure="2 % to 5 % better",
        ),
        Expectation("they beat the best member", LECTURE_10, _better_than("best"), figure="usually"),
    ),
    seeds=5,
    quick=Quick({"epochs": 2, "width": 64}),
    analysis=_average,
    save_weights=True,
)
