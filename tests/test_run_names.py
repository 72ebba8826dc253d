"""Names of runs: short in TensorBoard's list, one per configuration, and the same for the same configuration."""

from __future__ import annotations

import contextlib
import functools
import random
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mnist_depth import naming, records
from mnist_depth.config import FIELDS, REGISTRIES, RunConfig
from mnist_depth.errors import UserError
from mnist_depth.studies import STUDIES, folder_name, run_slug, study_in
from mnist_depth.sweeps import search, sweep
from mnist_depth.sweeps.grid import grid, parse_choices

ROOT = Path(__file__).resolve().parents[1]
MAX_LISTED = 40
"""TensorBoard hides all runs where more than these match its filter."""

MAX_LENGTH = 40
"""Characters from which on a name takes a second line in TensorBoard's list."""


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("quick", [False, True])
def test_every_run_of_a_study_has_a_short_name_of_its_own(name: str, quick: bool, tmp_path: Path) -> None:
    configs = {config for dataset in ("mnist", "digits") for config in _configs(name, dataset, quick)}
    shown = [str(_folder(tmp_path, name, config).relative_to(tmp_path)) for config in configs]
    assert len(set(shown)) == len(configs)
    assert not [one for one in shown if len(one) >= MAX_LENGTH]


@pytest.mark.parametrize(
    ("name", "quick", "names"),
    [
        ("depth9", False, {"sigmoid", "relu"}),
        ("depth9", True, {"sigmoid-e3", "relu-e3"}),
        ("gates", False, {"and", "or", "xor"}),
        ("optimizers", False, {"sgd", "momentum", "nag", "adagrad", "rmsprop", "adadelta", "adam", "nadam", "radam"}),
        ("ensemble", False, {"relu"}),
        ("dbn", True, {"sigmoid-w128-e3-pe2", "dbn-w128-e3-pe2"}),
    ],
)
def test_a_name_is_what_differs_within_the_study(name: str, quick: bool, names: set[str]) -> None:
    found = {run_slug(STUDIES[name].folder or name, config) for config in _configs(name, "mnist", quick)}
    assert names <= found


def test_settings_of_the_user_are_in_the_name() -> None:
    (config, *_) = STUDIES["depth9"].configs("mnist", overrides={"dropout": 0.1, "optimizer": "adam"})
    assert run_slug("depth9", config) == "sigmoid-drop0.1-adam"


@pytest.mark.slow
def test_no_two_settings_of_a_study_share_a_name() -> None:
    generator = random.Random(0)
    for name, study in STUDIES.items():
        found: dict[str, RunConfig] = {}
        values = {field: {getattr(one, field) for one in _configs(name, "mnist", False)} for field in FIELDS}
        for config in _configs(name, "mnist", False):
            changes = {
                "learning_rate": generator.choice([0.3, 0.123, 0.1]),
                "width": generator.choice([8, 24]),
                "epochs": generator.choice([1, 2]),
                "initializer": generator.choice([*values["initializer"], "he_uniform"]),
                "depth": generator.choice(sorted(values["depth"])),
                "optimizer": generator.choice([*values["optimizer"], "sgd", "adam"]),
            }
            with contextlib.suppress(UserError):
                other = replace(config, seed=0, **changes)
                assert found.setdefault(run_slug(study.folder or name, other), other) == other


def test_short_forms_are_unmistakable() -> None:
    names = {name for registry in REGISTRIES.values() for name in registry}
    assert not names & set(naming.ABBREVIATIONS.values())
    assert len(set(naming.ABBREVIATIONS.values())) == len(naming.ABBREVIATIONS)


def test_folders_of_studies_are_distinct_and_an_existing_long_one_stays_in_use(tmp_path: Path) -> None:
    folders = [study.folder or name for name, study in STUDIES.items()]
    assert len(set(folders) | {"train"}) == len(folders) + 1
    assert not {study.folder for study in STUDIES.values()} & set(STUDIES)
    assert folder_name("activation_init_grid", tmp_path) == "grid"
    (tmp_path / "activation_init_grid").mkdir()
    assert folder_name("activation_init_grid", tmp_path) == "activation_init_grid"
    (tmp_path / "grid").mkdir()
    assert folder_name("activation_init_grid", tmp_path) == "grid"
    assert study_in("grid") == study_in("activation_init_grid") == "activation_init_grid"
    assert study_in("mine") == ""


def test_names_without_a_field_before_them_are_unmistakable() -> None:
    names = [name for field in ("initializer", "optimizer", "dataset") for name in REGISTRIES[field]]
    names += [name for field in ("wiring", "pretraining") for name in REGISTRIES[field] if name != "none"]
    assert len(set(names)) == len(names)
    assert not any("-" in name for registry in REGISTRIES.values() for name in registry)


def test_a_run_that_version_0_1_finished_is_found_again_and_an_unfinished_one_is_not(tmp_path: Path) -> None:
    config = RunConfig(activation="tanh", width=64)
    old = tmp_path / "depth9" / "mnist-d09-tanh-glorot_normal-sgd0.1-w64" / "seed_0"
    old.mkdir(parents=True)
    (old / records.CONFIG).touch()
    new = tmp_path / "depth9" / "tanh-w64" / "seed_0"
    assert records.run_folder(tmp_path, "depth9", config) == new
    (old / records.DONE).touch()
    assert records.run_folder(tmp_path, "depth9", config) == old
    assert records.run_folder(tmp_path, "depth9", replace(config, seed=1)) == new.with_name("seed_1")


def test_a_run_that_an_early_0_2_finished_is_found_again(tmp_path: Path) -> None:
    (config, *_) = STUDIES["xor9"].configs("mnist", quick=True)
    old = tmp_path / "xor9" / "sigmoid-uniform_1-d10-xor-w5" / "seed_0"
    old.mkdir(parents=True)
    assert _folder(tmp_path, "xor9", config) == tmp_path / "xor9" / "sigmoid-e10000" / "seed_0"
    (old / records.DONE).touch()
    assert _folder(tmp_path, "xor9", config) == old


def test_every_command_of_the_readme_and_the_studies_page_leaves_at_most_forty_runs_in_the_list() -> None:
    pages = "".join((ROOT / page).read_text() for page in ("README.md", "docs/studies.md"))
    lines = re.findall(r"^python -m mnist_depth (study|train|search)\b([^#\n]*)", pages, re.MULTILINE)
    counts = {f"{command}{words}": _trainings(command, words) for command, words in lines}
    assert {line.split()[0] for line in counts} == {"study", "train", "search"}
    assert not {line: count for line, count in counts.items() if count + 1 > MAX_LISTED}, "one more is the study's"
    depth9, quick_grid = _trainings("study", " depth9 --seeds 3"), _trainings("study", " activation_init_grid --quick")
    assert depth9 + quick_grid + 2 <= MAX_LISTED


def _configs(name: str, dataset: str, quick: bool) -> list[RunConfig]:
    """The runs of a study; for a search those of its first round."""
    study = STUDIES[name]
    if study.search is None:
        return study.configs(dataset, quick=quick)
    draws = np.random.default_rng(0)
    return [search._draw({"dataset": dataset, **search.BASE}, search.DEFAULT_SPACE, draws) for _ in range(50)]


def _folder(logdir: Path, name: str, config: RunConfig) -> Path:
    folder = folder_name(name, logdir)
    options = sweep.Options(logdir=logdir, study=folder, slug=functools.partial(run_slug, folder))
    return options.folder_of(config)


def _trainings(command: str, words: str) -> int:
    """How many trainings a command makes, each of them one run in the list."""
    given = dict(re.findall(r"--(seeds|trials|choose)[ =]\"?([^\s\"]+)", words))
    seeds = int(given.get("seeds", 1))
    if command == "study":
        return len(STUDIES[words.split()[0]].configs("mnist", seeds=seeds, quick="--quick" in words))
    if command == "search":
        return 2 * int(given["trials"])  # its usual number of rounds
    return len(grid({"dataset": "mnist"}, parse_choices(given.get("choose", "")), seeds))
