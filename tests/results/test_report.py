"""The report of fabricated runs: its content, and its behavior with damaged folders."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest

from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.records import read_run
from mnist_depth.results import page_diagnosis
from mnist_depth.results.groups import read_runs
from mnist_depth.results.overview import Overview, Story
from mnist_depth.results.report import write_report
from tests.imports import imported

from .conftest import STORY
from .fabricated_runs import headline, write_run

pytestmark = pytest.mark.slow


def test_the_page_tells_question_answer_and_origin(text: str) -> None:
    for part in (
        "<title>Why does &lt;it&gt; not learn?</title>",
        "<h1>Why does &lt;it&gt; not learn?</h1>",
        '<p class="answer">1 of 2 expectations hold here; 1 not tested (no run). Expected: Because of slopes.</p>',
        "1 of 2 expectations reproduced",
        "Slopes multiply.",
        "sigmoid stays at chance",
        "a &amp; b",
        "97.10 ± 0.10 %",
        "11.35 ± 0.00 %",
        "python -m mnist_depth study depth9",
        "abc123",
        "f00d" * 16,
        f"{2:064d}  ",
        "depth9: 6 runs (6 finished), data: mnist",
    ):
        assert part in text


def test_diagnosis_of_every_group_with_theory_and_remedies(text: str) -> None:
    assert "vanishing</span>" in text
    assert "healthy</span>" in text
    assert "theory × 0.247" in text
    assert "(study batch_norm)" in text


def test_the_page_loads_nothing(text: str) -> None:
    addresses = re.findall(r'(?:src|href|action)="([^"]*)"', text)
    links = [address for address in addresses if not address.startswith(("#", "data:"))]
    assert all(
        re.fullmatch(r"figures/[\w]+\.(png|svg|pdf)|(metrics|runs)\.(csv|parquet)|table\.(csv|tex)", link)
        for link in links
    )
    assert "<script" not in text
    assert "@import" not in text


def test_figures_stand_beside_the_page_and_in_it(written: Path, text: str) -> None:
    names = sorted(path.stem for path in (written.parent / "figures").glob("*.svg"))
    assert names == sorted(path.stem for path in (written.parent / "figures").glob("*.png"))
    assert names == [
        "activations",
        "gradient_by_layer_end",
        "gradient_by_layer_start",
        "gradients",
        "test_accuracy",
        "test_loss",
        "training_loss",
    ]
    assert text.count('role="img"') == len(names)


def test_alternative_text_holds_the_numbers(text: str) -> None:
    assert "relu ends at 97.1; sigmoid ends at 11.3" in text
    assert re.search(r"sigmoid goes from \S+e-0[56] at the first to \S+ at the last layer, theory is within", text)


def test_inline_figures_follow_the_page_colors(text: str) -> None:
    assert "currentColor" in text
    assert "#1b1f24" not in text.split("</style>", 1)[1]


def test_a_page_that_is_no_html_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"name a folder, or a file that ends in \.html"):
        write_report(root, tmp_path / "paper.pdf")
    assert not any(tmp_path.iterdir())


def test_same_runs_give_the_same_page(root: Path, text: str, tmp_path: Path) -> None:
    again = write_report(root, tmp_path, STORY)
    assert again == tmp_path / "report.html"
    assert again.read_text(encoding="utf-8") == text


def test_a_page_of_its_own_name_keeps_its_files_apart(root: Path, text: str, tmp_path: Path) -> None:
    users_file = tmp_path / "metrics.csv"
    users_file.write_text("mine", encoding="utf-8")
    page = write_report(root, tmp_path / "my class.html", STORY)
    assert users_file.read_text(encoding="utf-8") == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.csv", "my class.html", "my class_files"}
    html = page.read_text(encoding="utf-8")
    links = [unquote(link) for link in re.findall(r'<a href="([^"]*)"', html)]
    assert len(links) > 4
    assert all((tmp_path / link).is_file() for link in links)
    assert html.replace("my%20class_files/", "") == text


def test_only_requested_runs_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    folders = [write_run(tmp_path, RunConfig(depth=depth)) for depth in (3, 4, 5)]
    runs = [read_run(folder) for folder in folders[:1]]
    text = write_report(tmp_path, runs=runs).read_text(encoding="utf-8")
    assert "1 run (1 finished), data: mnist" in text
    assert "Not on this page: 2 more in this folder" in text
    assert len(tables_of(tmp_path)) == 1


def tables_of(root: Path) -> set[str]:
    lines = (root / "report" / "metrics.csv").read_text(encoding="utf-8").splitlines()[1:]
    return {line.split(",")[1] for line in lines}


def test_tensorflow_is_not_imported(root: Path, tmp_path: Path) -> None:
    code = "from mnist_depth.results.report import write_report\n"
    code += f"write_report({str(root)!r}, {str(tmp_path)!r})"
    assert imported(code, {"tensorflow", "keras", "matplotlib.pyplot"}) == set()
    assert (tmp_path / "report.html").exists()


def test_no_runs_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no readable run at or below"):
        write_report(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        write_report(tmp_path / "nowhere")


def test_a_single_unfinished_run_is_reported(tmp_path: Path) -> None:
    write_run(tmp_path, RunConfig(), status=None)
    text = write_report(tmp_path).read_text(encoding="utf-8")
    assert "1 run (1 unfinished), data: mnist" in text


def test_diverged_run_with_numbers_that_are_not_finite(tmp_path: Path) -> None:
    folder = write_run(tmp_path, RunConfig(initializer="normal_1"), gain=11.0, status="diverged")
    line = {"run": "train", "step": 1000, "wall_time": 1.0, "scalars": {"loss": "nan", "accuracy": "inf"}}
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    text = write_report(tmp_path).read_text(encoding="utf-8")
    assert "exploding</span>" in text
    assert "not finite</span>" in text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", "{"),
        ("config.json", '{"format": 99}'),
        ("config.json", '{"format": 1, "config": {"depth": -3}}'),
        ("done.json", "[]"),
    ],
)
def test_a_damaged_run_is_left_out_with_a_note(tmp_path: Path, name: str, content: str) -> None:
    headline(tmp_path, seeds=[0], depth=3)
    bad = write_run(tmp_path, RunConfig(activation="tanh", depth=3))
    (bad / name).write_text(content, encoding="utf-8")
    runs, notes = read_runs(tmp_path)
    assert len(runs) == 2
    assert [name in note for note in notes] == [True]


def test_notes_stand_in_the_page(tmp_path: Path) -> None:
    headline(tmp_path, seeds=[0], depth=2)
    (write_run(tmp_path, RunConfig(activation="tanh", depth=3)) / "config.json").write_text("{", encoding="utf-8")
    text = write_report(tmp_path).read_text(encoding="utf-8")
    assert "2 runs (2 finished)" in text
    assert "config.json is damaged" in text.split("<summary>Notes</summary>")[1]


def test_missing_parts_of_a_run_are_left_out(tmp_path: Path) -> None:
    folder = write_run(tmp_path, RunConfig(depth=3), record={"environment": None, "dataset": [1], "command": 7})
    (folder / "histograms.jsonl").unlink()
    (folder / "metrics.jsonl").unlink()
    text = write_report(tmp_path).read_text(encoding="utf-8")
    assert "<h2>Results</h2>" in text
    assert "Distributions" not in text


def test_hostile_texts_are_escaped_everywhere(tmp_path: Path) -> None:
    evil = "</title><script>alert(1)</script>"
    record = {"command": evil, "environment": {evil: evil}, "dataset": {"name": evil}}
    write_run(tmp_path, RunConfig(depth=3), study="study", record=record)
    folder = tmp_path / "study <img src=x>"
    shutil.copytree(tmp_path / "study", folder)
    text = write_report(tmp_path, story=Story(evil, evil, evil, evil, answers=[(evil, evil, evil)])).read_text(
        encoding="utf-8"
    )
    assert "<script" not in text
    assert "<img" not in text


def test_a_target_that_cannot_be_written_is_a_user_error(tmp_path: Path) -> None:
    headline(tmp_path, seeds=[0], depth=2)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="cannot make"):
        write_report(tmp_path, tmp_path / "file" / "inside")


def test_unlike_networks_get_the_remedies_that_are_open_to_each(tmp_path: Path) -> None:
    for activation in ("sigmoid", "relu"):
        write_run(tmp_path, RunConfig(activation=activation, depth=9), gain=0.2)
    write_run(tmp_path, RunConfig(activation="relu", depth=3))
    runs = read_runs(tmp_path)[0]
    found = {labels: text for text, labels in page_diagnosis.remedies(Overview(runs, Story()))}
    assert set(found) == {"depth 9, sigmoid", "depth 9, relu"}
    assert {text["title"] for text in found.values()} == {"vanishing before training"}
    lines = {labels: " ".join(text["lines"]) for labels, text in found.items()}
    assert "ReLU in the hidden layers" in lines["depth 9, sigmoid"]
    assert "ReLU in the hidden layers" not in lines["depth 9, relu"]
    assert "(study lego)" in lines["depth 9, relu"]


def test_what_is_wrong_is_not_always_a_gradient(tmp_path: Path) -> None:
    write_run(tmp_path, RunConfig(depth=9), gain=0.2)
    text = write_report(tmp_path, story=Story()).read_text(encoding="utf-8")
    assert "<strong>vanishing before training:</strong>" in text
    assert "gradients, most effective first" not in text
