"""Names of runs: short in TensorBoard's list, one per configuration, and the same for the same configuration."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mnist_depth import records
from mnist_depth.config import REGISTRIES, RunConfig
from mnist_depth.studies import STUDIES
from mnist_depth.sweeps.grid import grid, parse_choices

ROOT = Path(__file__).resolve().parents[1]
MAX_LISTED = 40
"""TensorBoard hides all runs where more than these match its filter."""


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("quick", [False, True])
def test_every_run_of_a_study_has_a_short_name_of_its_own_that_starts_with_the_activation(
    name: str, quick: bool
) -> None:
    configs = [config for dataset in ("mnist", "digits") for config in STUDIES[name].configs(dataset, quick=quick)]
    names = [f"{config.slug}/seed_{config.seed}" for config in configs]
    assert len(set(names)) == len(set(configs))
    for config, shown in zip(configs, names, strict=True):
        assert len(shown) < 40
        assert re.match(rf"{config.activation.replace(':', '=')}(-|/)", shown)


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


def test_every_command_of_the_readme_and_the_studies_page_leaves_at_most_forty_runs_in_the_list() -> None:
    pages = "".join((ROOT / page).read_text() for page in ("README.md", "docs/studies.md"))
    lines = re.findall(r"^python -m mnist_depth (study|train|search)\b([^#\n]*)", pages, re.MULTILINE)
    counts = {f"{command}{words}": _trainings(command, words) for command, words in lines}
    assert {line.split()[0] for line in counts} == {"study", "train", "search"}
    assert not {line: count for line, count in counts.items() if count + 1 > MAX_LISTED}, "one more is the study's"
    depth9, quick_grid = _trainings("study", " depth9 --seeds 3"), _trainings("study", " activation_init_grid --quick")
    assert depth9 + quick_grid + 2 <= MAX_LISTED


def _trainings(command: str, words: str) -> int:
    """How many trainings a command makes, each of them one run in the list."""
    given = dict(re.findall(r"--(seeds|trials|choose)[ =]\"?([^\s\"]+)", words))
    seeds = int(given.get("seeds", 1))
    if command == "study":
        return len(STUDIES[words.split()[0]].configs("mnist", seeds=seeds, quick="--quick" in words))
    if command == "search":
        return 2 * int(given["trials"])  # its usual number of rounds
    return len(grid({"dataset": "mnist"}, parse_choices(given.get("choose", "")), seeds))
