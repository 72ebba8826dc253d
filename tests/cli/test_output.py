"""What the terminal shows: no line wider than it, the answer first, a picture in any encoding."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_depth import translation
from mnist_depth.cli import output, pictures
from mnist_depth.config import RunConfig
from mnist_depth.records import find_runs
from mnist_depth.results.overview import Overview
from mnist_depth.results.tables import Table
from mnist_depth.studies import STUDIES
from mnist_depth.studies.expectation import Answer
from tests.results.fabricated_runs import headline, write_run

WIDTHS = [60, 80, 100, 160]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine configurations with long names."""
    logdir = tmp_path_factory.mktemp("logs")
    for activation in ("relu", "very_leaky_relu", "sigmoid"):
        for initializer in ("zeros", "orthogonal:1.4142", "he_normal"):
            config = RunConfig(activation=activation, initializer=initializer)
            write_run(logdir, config, study="grid", gain=0.25 if activation == "sigmoid" else 0.8)
    return logdir / "grid"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return headline(tmp_path_factory.mktemp("logs"))


def concluded(folder: Path, width: int | None) -> str:
    runs, study = find_runs(folder), STUDIES["depth9"]
    answers = study.answers(runs)
    return output.conclusion(output.overview_of(runs, study.story("depth9", answers, runs)), answers, width)


@pytest.mark.parametrize("language", translation.LANGUAGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_terminal(width: int, language: str, many: Path, two: Path) -> None:
    translation.activate(language)
    for folder in (many, two):
        text = concluded(folder, width)
        assert max(map(output.cells, text.splitlines())) <= width, text


def test_a_pipe_gets_one_line_per_row_and_verdict(two: Path) -> None:
    lines = concluded(two, None).splitlines()
    assert sum(line.startswith(("relu ", "sigmoid ")) for line in lines) == 2
    verdicts = [line for line in lines if line.startswith(("reproduced ", "not "))]
    assert len(verdicts) == len(STUDIES["depth9"].expectations)
    assert any("test accuracy" in line and "gradient, first / last layer" in line for line in lines)


def test_the_answer_comes_first_and_the_picture_before_the_table(two: Path) -> None:
    text = concluded(two, 100)
    places = [text.index(part) for part in ("Answer: ", "bars from", "best test", "Verdict: ", "Why: ")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"initializer": "normal_1"}, "asks for initializer glorot_normal, these runs have normal_1; "),
        ({"activation": "tanh"}, "(asks for activation relu, these runs have tanh)"),
    ],
)
def test_runs_with_other_settings_get_no_reason_and_no_expected_answer(
    changes: dict[str, str], setting: str, tmp_path: Path
) -> None:
    for config in {RunConfig(**{"depth": 9, "activation": name, **changes}) for name in ("sigmoid", "relu")}:
        write_run(tmp_path, config, gain=1.2)
    text = concluded(tmp_path / "depth9", None)
    assert "Why:" not in text
    assert STUDIES["depth9"].answer not in text
    assert text.count("not comparable  ") == len(STUDIES["depth9"].expectations)
    assert setting in text
    assert "no finished run" not in text


def test_each_part_of_the_reason_is_given_where_the_runs_show_it(two: Path, tmp_path: Path) -> None:
    reason = concluded(two, None).partition("Why: ")[2]
    assert "A sigmoid's slope is at most 1/4" in reason
    assert "logits cannot depend on the image" not in reason  # these runs did not measure the outputs
    for name in ("relu", "sigmoid"):
        write_run(tmp_path, RunConfig(depth=9, activation=name), gain=40.0 if name == "relu" else 1.2)
    reason = concluded(tmp_path / "depth9", None).partition("Why: ")[2]
    assert reason.startswith("With these weights the story turns round")
    assert "slope" not in reason


def test_an_answer_about_two_networks_is_not_given_from_one(tmp_path: Path) -> None:
    write_run(tmp_path, RunConfig(depth=9, activation="relu"), gain=0.8)
    answer = concluded(tmp_path / "depth9", None).splitlines()[0]
    missing = "2 not tested (no finished run with activation sigmoid)"
    assert answer == f"Answer: 2 of 4 expectations hold here; {missing}. Expected: {STUDIES['depth9'].answer}"


def test_words_are_not_broken_and_none_is_lost() -> None:
    words = "network " * 30
    lines = output.wrap(words, 41, "Why: ")
    assert all(len(line) <= 41 for line in lines)
    assert " ".join(lines).split() == ["Why:", *words.split()]
    assert lines[1].startswith("     network")


def test_columns_that_do_not_fit_are_named() -> None:
    content = Table(["", "best test accuracy", "published figure", "seconds"], [["a", "1" * 20, "2" * 20, "3" * 20]])
    text = output.table(content, 50)
    assert "1" * 20 in text
    assert "2" * 20 in text
    assert "3" * 20 not in text
    assert "Not shown at this width: seconds" in text
    assert "3" * 20 in output.table(content, None)


def bars(text: str, symbol: str) -> dict[str, list[int]]:
    """Layer -> the length of each of its bars."""
    rows = [line.split() for line in text.splitlines() if symbol in line]
    return {row[0]: [len(word) for word in row[1:] if set(word) <= {symbol, *pictures.EIGHTHS}] for row in rows}


@pytest.mark.parametrize(("encoding", "symbol"), [("utf-8", "█"), ("ascii", "#")])
def test_the_picture_shows_each_layer_on_one_scale(encoding: str, symbol: str, two: Path) -> None:
    text = pictures.gradient_picture(Overview(find_runs(two), output.overview_of([]).story), 100, encoding)
    text.encode(encoding)
    relu = [lengths[0] for lengths in bars(text, symbol).values()]
    assert len(relu) >= 8
    assert relu == sorted(relu)
    (last,) = [line for line in text.splitlines() if line.split()[:1] == ["9"]]
    figures = [float(word) for word in last.split()[1:] if "e" in word]
    lengths = bars(text, symbol)["9"]
    assert figures[0] == pytest.approx(figures[1], rel=0.2)
    assert abs(lengths[0] - lengths[1]) <= 1


def test_the_picture_of_many_configurations_goes_from_the_best_to_the_worst(many: Path) -> None:
    text = pictures.gradient_picture(output.overview_of(find_runs(many)), 60)
    header = text.splitlines()[2]
    assert len(header) <= 60
    assert len([line for line in text.splitlines() if line.strip()[:1].isdigit()]) == 9


def test_without_gradients_there_is_no_picture(tmp_path: Path) -> None:
    (write_run(tmp_path, RunConfig()) / "metrics.jsonl").unlink()
    assert pictures.gradient_picture(output.overview_of(find_runs(tmp_path)), 80) == ""


def test_verdicts_are_counted_apart() -> None:
    answers = [Answer("a", "reproduced", "1"), Answer("b", "not comparable", "2"), Answer("c", "not tested", "3")]
    last = output.answers_text(answers, 100).splitlines()[-1]
    assert last == "Verdict: 1 of 3 expectations reproduced, 1 not tested, 1 not comparable"
