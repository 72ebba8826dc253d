"""The HParams tab, read back through the plugin's own HTTP API of a served board."""

from __future__ import annotations

import json
import math
import urllib.request
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from mnist_depth.board.server import start_board
from mnist_depth.config import RunConfig
from mnist_depth.records import RunRecord, event_tag
from mnist_depth.summaries.hparams import write_best_figures
from mnist_depth.summaries.write import write_study

from ..board.boards import eventually
from .fabricated import make_run, steps_and_values

REQUEST = {
    "allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING", "STATUS_UNKNOWN"],
    "aggregationType": "AGGREGATION_AVG",
    "startIndex": 0,
    "sliceSize": 100,
}


def ask(url: str, name: str, request: dict[str, Any]) -> Any:
    headers = {"Content-Type": "application/json"}
    question = urllib.request.Request(f"{url}data/plugin/hparams/{name}", json.dumps(request).encode(), headers)
    with urllib.request.urlopen(question, timeout=60) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunRecord]:
    """14 runs of two studies; one diverged, one unfinished, one with its curves where version 0.1 had them."""
    logdir = tmp_path_factory.mktemp("hparams")
    found = [
        make_run(logdir, depth=depth, activation=activation, seed=seed)
        for depth in (3, 9)
        for activation in ("relu", "sigmoid")
        for seed in (0, 1, 2)
    ]
    found.append(make_run(logdir, "other", depth=5, activation="tanh", status="diverged"))
    found.append(make_run(logdir, "other", depth=5, activation="tanh", seed=1, status="unfinished"))
    curves = found[0].folder / "train"
    curves.mkdir()
    for path in found[0].folder.glob("*tfevents*"):
        path.rename(curves / path.name)
    for record in found:
        write_best_figures(record, record.measured)
    for study in ("depth9", "other"):
        write_study(logdir / study)
    return found


@pytest.fixture(scope="module")
def board(runs: list[RunRecord]) -> Iterator[str]:
    with start_board(runs[0].folder.parents[2]) as served:
        assert eventually(lambda: len(sessions(served.url)) == len(runs))
        assert eventually(lambda: all(len(one["metricValues"]) >= 12 for one in sessions(served.url).values()))
        yield served.url


def sessions(url: str) -> dict[str, Any]:
    """Name of the run -> its session."""
    groups = ask(url, "session_groups", REQUEST).get("sessionGroups", [])
    return {session["name"]: session for group in groups for session in group["sessions"]}


def metrics_of(session: dict[str, Any]) -> dict[str, float]:
    """tag -> value."""
    names = [one["name"]["tag"] for one in session["metricValues"]]
    return dict(zip(names, (float(one.get("value", 0.0)) for one in session["metricValues"]), strict=True))


def test_every_run_once_under_its_own_name(board: str, runs: list[RunRecord]) -> None:
    groups = ask(board, "session_groups", REQUEST)["sessionGroups"]
    names = [session["name"] for group in groups for session in group["sessions"]]
    assert sorted(names) == sorted(f"{run.study}/{run.slug}/seed_{run.seed}" for run in runs)


def test_seeds_are_grouped_by_configuration(board: str, runs: list[RunRecord]) -> None:
    groups = ask(board, "session_groups", REQUEST)["sessionGroups"]
    members = {group["name"]: sorted(session["name"] for session in group["sessions"]) for group in groups}
    expected: dict[str, list[str]] = {}
    for run in runs:
        name = f"{run.study}/{run.slug}"
        expected[name] = sorted([*expected.get(name, []), f"{name}/seed_{run.seed}"])
    assert members == expected
    assert {group["name"]: group["hparams"]["seed"] for group in groups} == {
        name: " ".join(one.rpartition("_")[2] for one in members) for name, members in expected.items()
    }


def test_every_field_of_the_config(board: str, runs: list[RunRecord]) -> None:
    by_name = {f"{run.study}/{run.slug}": run.config.to_dict() for run in runs}
    for group in ask(board, "session_groups", REQUEST)["sessionGroups"]:
        expected = by_name[group["name"]] | {"seed": group["hparams"]["seed"]}
        assert group["hparams"] == expected


def test_final_metrics_are_the_last_lines_of_the_file(board: str, runs: list[RunRecord]) -> None:
    found = sessions(board)
    for run in runs:
        metrics = metrics_of(found[f"{run.study}/{run.slug}/seed_{run.seed}"])
        for name in ("train", "validation", "test"):
            for tag in ("loss", "accuracy"):
                assert metrics[event_tag(name, tag)] == pytest.approx(steps_and_values(run, name, tag)[1][-1], rel=1e-6)


def test_best_metrics_are_the_best_lines_of_the_file(board: str, runs: list[RunRecord]) -> None:
    found = sessions(board)
    for run in runs:
        session = found[f"{run.study}/{run.slug}/seed_{run.seed}"]
        metrics = metrics_of(session)
        steps = {one["name"]["tag"]: int(one.get("trainingStep", 0)) for one in session["metricValues"]}
        for name in ("train", "validation", "test"):
            for tag, choose in (("loss", min), ("accuracy", max)):
                at, values = steps_and_values(run, name, tag)
                best = choose(values)
                assert metrics[f"summary/best_{name}_{tag}"] == pytest.approx(best, rel=1e-6)
                assert steps[f"summary/best_{name}_{tag}"] == at[values.index(best)]


def test_whole_run_figures_and_status(board: str, runs: list[RunRecord]) -> None:
    found = sessions(board)
    expected = {"finished": "STATUS_SUCCESS", "diverged": "STATUS_FAILURE", "unfinished": "STATUS_UNKNOWN"}
    for run in runs:
        session = found[f"{run.study}/{run.slug}/seed_{run.seed}"]
        assert session.get("status", "STATUS_UNKNOWN") == expected[run.status]
        ratio = metrics_of(session).get("summary/gradient_ratio", math.nan)
        known = run.done.get("metrics", {}).get("gradient_ratio", math.nan)
        assert ratio == pytest.approx(known, rel=1e-6, nan_ok=True)


def test_columns_and_choices_span_all_studies_of_the_logdir(board: str) -> None:
    experiment = ask(board, "experiment", {"includeMetrics": True})
    infos = {info["name"]: info for info in experiment["hparamInfos"]}
    assert set(infos) == {spec.name for spec in fields(RunConfig)}
    assert infos["activation"]["domainDiscrete"] == ["relu", "sigmoid", "tanh"]
    assert infos["depth"]["domainDiscrete"] == [3.0, 5.0, 9.0]
    assert {name for name, info in infos.items() if info.get("differs")} == {"activation", "depth", "seed"}
    assert [metric["displayName"] for metric in experiment["metricInfos"][:2]] == [
        "best test accuracy",
        "final test accuracy",
    ]


def test_filter_by_depth_and_activation(board: str) -> None:
    request = REQUEST | {
        "colParams": [{"hparam": "depth", "filterDiscrete": [9]}, {"hparam": "activation", "filterDiscrete": ["relu"]}]
    }
    (group,) = ask(board, "session_groups", request)["sessionGroups"]
    assert (group["hparams"]["depth"], group["hparams"]["activation"]) == (9, "relu")


def test_numbers_of_many_values_are_filtered_by_an_interval(tmp_path: Path) -> None:
    from mnist_depth.summaries.hparams import MAX_CHOICES, _hparam

    info = _hparam("learning_rate", "", [number / 1000 for number in range(1, MAX_CHOICES + 2)])
    assert (info.domain_interval.min_value, info.domain_interval.max_value) == (0.001, (MAX_CHOICES + 1) / 1000)
