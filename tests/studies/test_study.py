"""Studies are data that names runs, and judge the finished ones."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mnist_depth import theory, translation
from mnist_depth.config import FIELDS, RunConfig
from mnist_depth.datasets import SIZES
from mnist_depth.diagnosis.kinds import threshold
from mnist_depth.errors import UserError
from mnist_depth.figures.data import QUANTITIES
from mnist_depth.figures.trainings import PREDICTED
from mnist_depth.records import RunRecord
from mnist_depth.studies import STUDIES, names, reasons, run_slug
from mnist_depth.studies.expectation import NOT_COMPARABLE, NOT_REPRODUCED, NOT_TESTED, REPRODUCED
from mnist_depth.studies.study import Quick, Variant, product

from .fabricate import finished, learned, stuck

LECTURES = [
    "depth9",
    "xor9",
    "gates",
    "xor2",
    "depth_sweep",
    "activations",
    "initializers",
    "activation_init_grid",
    "activation_flow",
    "dbn",
    "batch_norm",
    "dropout",
    "ensemble",
    "lego",
    "optimizers",
    "labs",
    "shallow_relu",
    "search",
    "learning_speed",
]


def test_every_experiment_of_the_lectures_is_a_study() -> None:
    assert set(LECTURES) <= set(STUDIES)


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_its_section_in_the_docs(name: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "studies.md"
    assert f"### {name}" in page.read_text().splitlines(), f"say in docs/studies.md what {name} found"


def test_product_runs_the_last_axis_fastest() -> None:
    assert [variant.fields for variant in product(a=[1, 2], b=["x", "y"])] == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]


@pytest.mark.parametrize("dataset", ["digits", "mnist"])
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_names_its_runs_once(name: str, dataset: str) -> None:
    for quick in (False, True):
        configs = STUDIES[name].configs(dataset, quick=quick)
        assert configs
        slugs = [(run_slug(name, config), config.seed) for config in configs]
        assert len(set(slugs)) == len(slugs) == len(set(configs))
    study = STUDIES[name]
    assert study.question.endswith("?")
    assert study.expectations
    assert study.source
    assert study.why


def test_the_link_of_a_study_chooses_what_the_depth_tab_offers() -> None:
    for study in STUDIES.values():
        assert set(study.view) <= {"view", "quantity", "color", "step"}
        assert study.view.get("quantity", PREDICTED) in QUANTITIES
        assert study.view.get("color", "activation") in FIELDS


@pytest.mark.parametrize("name", STUDIES)
def test_a_quick_version_is_smaller_and_where_there_is_none_it_is_the_study_itself(name: str) -> None:
    def work(quick: bool) -> float:
        configs = STUDIES[name].configs("mnist", quick=quick)
        runs = STUDIES[name].runs("mnist", quick=quick)
        return runs / len(configs) * sum(config.epochs * config.depth * config.width for config in configs)

    if STUDIES[name].quick == Quick():
        assert STUDIES[name].configs("mnist", quick=True) == STUDIES[name].configs("mnist")
    else:
        assert work(True) < work(False)


@pytest.mark.parametrize("name", STUDIES)
def test_every_run_is_known_again_by_its_config(name: str) -> None:
    for quick in (False, True):
        for config, variant in STUDIES[name].grid("mnist", quick=quick).items():
            found = STUDIES[name].variant(config)
            assert found is not None
            assert (found.label, found.published) == (variant.label, variant.published)
            assert STUDIES[name].label(config) == variant.label


def test_published_figures_stand_beside_the_labs_runs() -> None:
    labs = STUDIES["labs"]
    shown = {labs.label(config): labs.published(config) for config in labs.configs("mnist", overrides={"epochs": 3})}
    assert shown["784-256-256-10, N(0, 1)"] == "94.55 %"
    assert shown["+ batch normalization"] == "98.26 %"
    assert labs.published(RunConfig(depth=4, width=33, activation="tanh")) in {"", *shown.values()}


def test_a_run_that_fits_two_variants_equally_has_no_label() -> None:
    dropout = STUDIES["dropout"]
    between = RunConfig(**{**dropout.variants[0].fields, "dropout": 0.5})
    assert dropout.variant(between) is None
    assert dropout.label(between) == dropout.published(between) == ""


def test_seeds_and_overrides_apply_to_every_run() -> None:
    configs = STUDIES["depth9"].configs("mnist", seeds=2, overrides={"width": 32, "seed": 5})
    assert {(config.activation, config.seed, config.width) for config in configs} == {
        (activation, seed, 32) for activation in ("sigmoid", "relu") for seed in (5, 6)
    }
    assert len(STUDIES["depth9"].configs("mnist", overrides={"activation": "tanh"})) == 1


def test_a_dataset_override_leaves_alone_what_names_its_own() -> None:
    assert {config.dataset for config in STUDIES["gates"].configs("mnist", overrides={"dataset": "digits"})} == {
        "and",
        "or",
        "xor",
    }
    assert {config.dataset for config in STUDIES["depth9"].configs("mnist", overrides={"dataset": "kmnist"})} == {
        "kmnist"
    }
    assert not STUDIES["gates"].needs_dataset
    assert STUDIES["depth9"].needs_dataset


@pytest.mark.parametrize("quick", [True, False])
def test_no_study_asks_for_more_digits_than_there_are(quick: bool) -> None:
    for study in STUDIES.values():
        for config in study.configs("digits", quick=quick):
            assert config.dataset != "digits" or config.train_examples <= SIZES["digits"].train


def test_digits_get_as_many_steps_as_their_picture_takes() -> None:
    def epochs(name: str, **overrides: int) -> set[int]:
        return {config.epochs for config in STUDIES[name].configs("digits", quick=True, overrides=overrides)}

    assert epochs("depth9") == {60}
    assert epochs("depth9", epochs=2) == {2}
    assert epochs("learning_speed") == {200}  # 1,000 images on MNIST too


def test_impossible_overrides_are_user_errors() -> None:
    with pytest.raises(UserError, match="depth"):
        STUDIES["lego"].configs("mnist", overrides={"depth": 1})


def _depth9(epochs: int = 15, learning_rate: float = 0.1, **changes: Mapping[str, float]) -> list[RunRecord]:
    fields: dict[str, Any] = {"epochs": epochs, "learning_rate": learning_rate}
    made = {"sigmoid": stuck(), "relu": learned()}
    gains = {"sigmoid": 0.24, "relu": 0.71}
    return [
        finished(
            RunConfig(activation=name, **fields),
            {"pre_activation_gradient_norm": [gains[name] ** (9 - layer) for layer in range(1, 10)]},
            **{**made[name], **changes.get(name, {})},
        )
        for name in ("sigmoid", "relu")
    ]


def test_runs_with_other_settings_than_the_source_are_not_comparable_and_show_their_figure() -> None:
    answers = STUDIES["depth9"].answers(_depth9(epochs=4))
    assert [answer.verdict for answer in answers] == [REPRODUCED, NOT_COMPARABLE, REPRODUCED, REPRODUCED]
    assert answers[1].detail == "asks for 15 epochs, these runs have 4; best test accuracy 97.50%, bar 95%"
    slow = STUDIES["depth9"].answers(_depth9(learning_rate=0.001))
    assert {answer.verdict for answer in slow} == {NOT_COMPARABLE}
    assert slow[0].detail.startswith("asks for learning rate 0.1, these runs have 0.001; ")


def test_runs_with_the_settings_of_the_source_are_judged_beside_others() -> None:
    both = [*_depth9(), *_depth9(epochs=4, relu={"best_test_accuracy": 0.5})]
    answer = STUDIES["depth9"].answers(both)[1]
    assert (answer.verdict, answer.detail) == (REPRODUCED, "best test accuracy 97.50%, bar 97%")


def test_the_quick_version_is_the_study_too() -> None:
    answers = STUDIES["depth9"].answers(_depth9(epochs=3, relu={"best_test_accuracy": 0.96}))
    assert {answer.verdict for answer in answers} == {REPRODUCED}


def test_what_makes_networks_learn_is_not_judged_where_none_learned() -> None:
    base = STUDIES["search"].variants[0].fields
    trials = [
        finished(RunConfig(**base, learning_rate=10 ** (-6 + place / 16)), validation_accuracy=0.1 + place / 1000)
        for place in range(64)
    ]
    rate = STUDIES["search"].answers(trials)[1]
    assert rate.verdict == NOT_COMPARABLE
    assert rate.detail == "no network reached 50%: validation accuracy at most 16.3%"
    labs = [finished(config, **stuck()) for config in STUDIES["labs"].configs("mnist")]
    verdicts = {answer.statement: answer.verdict for answer in STUDIES["labs"].answers(labs)}
    assert verdicts["Xavier beats N(0, 1)"] == NOT_COMPARABLE


def test_a_missing_run_is_not_tested() -> None:
    only_relu = STUDIES["depth9"].answers(_depth9()[1:])
    assert [answer.verdict for answer in only_relu] == [NOT_TESTED, REPRODUCED, NOT_TESTED, REPRODUCED]


def test_one_violated_expectation_leaves_the_others_alone() -> None:
    answers = STUDIES["depth9"].answers(_depth9(relu={"best_test_accuracy": 0.9}))
    assert [answer.verdict for answer in answers] == [REPRODUCED, NOT_REPRODUCED, REPRODUCED, REPRODUCED]


def test_an_analysis_that_cannot_be_made_leaves_its_expectations_untested() -> None:
    def fails(records: Sequence[RunRecord], data_dir: str | None) -> Mapping[str, float]:
        raise UserError("weights are missing")

    study = dataclasses.replace(STUDIES["ensemble"], analysis=fails)
    answers = study.answers([finished(RunConfig(), **learned())])
    assert {answer.verdict for answer in answers} == {NOT_TESTED}


def test_a_variant_without_label_and_figure_is_found_and_named_by_neither() -> None:
    study = dataclasses.replace(
        STUDIES["depth9"], variants=[Variant({"depth": 2}), Variant({"depth": 3}, "three", "1")]
    )
    unnamed, named = study.configs("mnist")
    assert study.variant(unnamed) == study.variants[0]
    assert (study.label(unnamed), study.published(unnamed)) == ("", "")
    assert (study.label(named), study.published(named)) == ("three", "1")


def _measured(activation: str, share: float, ratio: float) -> RunRecord:
    """A run of 9 layers whose last hidden layer has this share of its spread across images."""
    norms = [ratio ** ((8 - layer) / 8) for layer in range(9)]
    layers = {
        "pre_activation_gradient_norm": norms[:8],
        "activation_std": [0.5] * 8,
        "activation_std_across_samples": [(0.5 * share, 0.5 * share)] * 8,
    }
    run = finished(RunConfig(activation=activation), layers, **(learned() if activation == "relu" else stuck()))
    points = {**run.measured}
    points["train", "pre_activation_gradient_norm/layer_09"] = points["train", "pre_activation_gradient_norm/layer_08"]
    vars(run)["measured"] = points
    return run


def test_the_two_halves_of_the_reason_are_given_where_they_are_measured() -> None:
    def why(share: float, ratio: float) -> str:
        runs = [_measured("sigmoid", share, ratio), _measured("relu", 0.9, 0.1)]
        return STUDIES["depth9"].story("depth9", STUDIES["depth9"].answers(runs), runs).why

    back, forward = "A sigmoid's slope is at most 1/4", "the logits cannot depend on the image"
    assert back in why(1e-5, 1e-5)
    assert forward in why(1e-5, 1e-5)
    assert "1.0e-05 of the spread" in why(1e-5, 1e-5)
    assert forward not in why(0.5, 1e-5)
    assert back not in why(1e-5, 0.5)


def _panel(config: RunConfig) -> RunRecord:
    """A run of batch_norm that behaves as measured: large steps beside tiny weights, small ones beside large ones."""
    std = math.sqrt(theory.initializer_variance(config.initializer, config.width, config.width))
    is_normed = config.batch_norm == "before"
    accuracy = (0.9 if 1e-3 < std < 0.5 else 0.4) if is_normed else 0.11
    layers = {
        "update_ratio/kernel": [min(0.9, 1e-4 / std)] * (config.depth - 1),
        "activation_std": [0.04 if std < 1e-3 else 0.6] * (config.depth - 1),
    }
    return finished(config, layers, **learned(train_accuracy=accuracy))


def test_batch_norm_names_every_network_once_and_explains_both_ends() -> None:
    study = STUDIES["batch_norm"]
    runs = [_panel(config) for config in study.configs("mnist", quick=True)]
    answers = study.answers(runs)
    story = study.story("batch_norm", answers, runs)
    labels = {study.label(run.config) for run in runs}
    assert {"std 1", "std 1, batch norm", "std 0.0001", "9 sigmoid layers", "9 sigmoid layers, batch norm"} <= labels
    assert answers[0].detail == "worst of 4 scales: std 1 with training accuracy 40.0%"
    assert story.found.startswith("Not at every scale: with batch norm it learns at 2 of 4, without at 0.")
    assert "std 1: 40.0% and 11.0%" in story.found
    assert "std 1: a step changes the weights of a hidden layer by at most 0.01 %" in story.why
    assert "std 0.0001: a step changes the weights of a hidden layer by up to 90 %" in story.why
    assert "0.04 at std 0.0001" in story.why


def test_dropout_defines_its_gap_and_gives_reasons_beside_what_is_not_comparable() -> None:
    study = STUDIES["dropout"]
    runs = [
        finished(config, **learned(0.78 if config.depth == 7 else 0.97, train_accuracy=0.8 if config.dropout else 1.0))
        for config in study.configs("mnist", quick=True)
    ]
    answers = study.answers(runs)
    assert [answer.verdict for answer in answers] == [REPRODUCED, REPRODUCED, NOT_COMPARABLE]
    story = study.story("dropout", answers, runs)
    assert "The gap is training minus test accuracy. 300 images: from 22.0 to 2.0 points" in story.found
    assert "the gap closes from above" in story.why
    assert "lab, keep 0.7: -17.0 points" in story.why


def test_a_network_has_one_name_in_a_language() -> None:
    translation.activate("ko")
    study = STUDIES["dropout"]
    runs = [
        finished(config, **learned(train_accuracy=0.8 if config.dropout else 1.0)) for config in study.configs("mnist")
    ]
    story = study.story("dropout", study.answers(runs), runs)
    assert story.label is not None
    labels = {story.label(run.config) for run in runs}
    assert labels == {"실습", "실습, keep 0.7", "이미지 300장", "이미지 300장, keep 0.8"}
    assert "이미지 300장: " in story.found
    assert {name.split(",")[0] for name in labels} == {
        statement.split(":")[0] for statement, _verdict, _detail in story.answers
    }


def test_every_word_of_a_label_that_is_translated_is_in_a_label() -> None:
    labels = [variant.label for study in STUDIES.values() for variant in (*study.variants, *study.quick.variants)]
    assert set(names.WORDS) <= {part for label in labels for part in label.split(", ")}


def test_reasons_have_the_limits_of_the_diagnosis() -> None:
    """They repeat the numbers, because the commands that list studies start without the diagnosis' libraries."""
    assert threshold("vanishing") == reasons.VANISHING
    assert threshold("signal collapses") == reasons.ALIKE
