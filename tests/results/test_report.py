"""The report from fabricated runs: what stands in it, what stands beside it, and what damaged folders do to it."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from fabricated_runs import count_points, headline, write_run
from matplotlib.colors import to_rgba
from matplotlib.patches import StepPatch

from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.results import gallery, plots
from mnist_depth.results.groups import Curve, group_runs, read_runs
from mnist_depth.results.report import Story, write_report

STORY = Story(
    "Depth <9>",
    "Why does it not learn?",
    "Slopes.",
    [("sigmoid stays at chance", "reproduced", "loss 2.30"), ("a & b", "not tested", "no run")],
)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return headline(tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="module")
def written(root) -> Path:
    return write_report(root, story=STORY)


@pytest.fixture(scope="module")
def text(written) -> str:
    return written.read_text(encoding="utf-8")


def test_the_page_tells_question_answer_and_origin(text):
    for part in (
        "<title>Depth &lt;9&gt;</title>",
        "Why does it not learn?",
        "Slopes.",
        "sigmoid stays at chance",
        "a &amp; b",
        "97.10 ± 0.10 %",
        "11.35 ± 0.00 %",
        "python -m mnist_depth study depth9",
        "abc123",
        "f00d" * 16,
        f"{2:064d}  ",
        "6 runs (6 finished) on mnist",
    ):
        assert part in text


def test_diagnosis_of_every_group_with_theory_and_remedies(text):
    assert "vanishing</span>" in text
    assert "healthy</span>" in text
    assert "theory × 0.247" in text
    assert "(study batch_norm)" in text


def test_the_page_loads_nothing(text):
    addresses = re.findall(r'(?:src|href|action)="([^"]*)"', text)
    links = [address for address in addresses if not address.startswith(("#", "data:"))]
    assert all(
        re.fullmatch(r"figures/[\w]+\.(png|svg|pdf)|(metrics|runs)\.(csv|parquet)|table\.(csv|tex)", link)
        for link in links
    )
    assert "<script" not in text
    assert "@import" not in text


def test_figures_stand_beside_the_page_and_in_it(written, text):
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


def test_alternative_text_holds_the_numbers(text):
    assert "relu ends at 97.1; sigmoid ends at 11.3" in text
    assert re.search(r"sigmoid goes from \S+e-0[56] at the first to \S+ at the last layer, theory is within", text)


def test_inline_figures_follow_the_page_colors(text):
    assert "currentColor" in text
    assert "#1b1f24" not in text.split("</style>", 1)[1]


def test_csv_and_parquet_hold_every_point_once(root, written):
    pandas = pytest.importorskip("pandas")
    expected = sum(count_points(path.parent) for path in root.rglob("config.json"))
    for frame in (
        pandas.read_csv(written.parent / "metrics.csv"),
        pandas.read_parquet(written.parent / "metrics.parquet"),
    ):
        assert len(frame) == expected
        assert list(frame) == ["study", "slug", "seed", "run", "tag", "step", "wall_time", "value"]
        assert not frame.duplicated(["slug", "seed", "run", "tag", "step"]).any()
        accuracy = frame[(frame.run == "test") & (frame.tag == "accuracy") & (frame.step == 900) & (frame.seed == 2)]
        assert sorted(accuracy.value) == pytest.approx([0.1135, 0.972])


def test_one_row_per_run_holds_config_and_final_figures(written, root):
    pandas = pytest.importorskip("pandas")
    for frame in (pandas.read_csv(written.parent / "runs.csv"), pandas.read_parquet(written.parent / "runs.parquet")):
        assert len(frame) == len(read_runs(root)[0]) == 6
        assert {"activation", "depth", "seed", "learning_rate", "status", "test_accuracy"} <= set(frame)
        mean = frame.groupby("activation").test_accuracy.mean()
        assert mean["relu"] == pytest.approx(0.971)
        assert mean["sigmoid"] == pytest.approx(0.1135)


def test_the_table_leaves_as_csv_and_latex(written):
    with (written.parent / "table.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert "test accuracy" in header
    assert any("97.10 ± 0.10 %" in row for row in rows)
    latex = (written.parent / "table.tex").read_text(encoding="utf-8")
    assert r"97.10 $\pm$ 0.10 \%" in latex
    assert latex.count(r"\\") == 1 + len(rows)


def test_figures_leave_as_pdf_too(written):
    names = {path.stem for path in (written.parent / "figures").glob("*.svg")}
    assert names == {path.stem for path in (written.parent / "figures").glob("*.pdf")}
    assert all(path.read_bytes().startswith(b"%PDF") for path in (written.parent / "figures").glob("*.pdf"))


def test_a_page_that_is_no_html_is_refused(root, tmp_path):
    with pytest.raises(UserError, match=r"name a folder, or a file that ends in \.html"):
        write_report(root, tmp_path / "paper.pdf")
    assert not any(tmp_path.iterdir())


def test_same_runs_give_the_same_page(root, text, tmp_path):
    again = write_report(root, tmp_path, STORY)
    assert again == tmp_path / "report.html"
    assert again.read_text(encoding="utf-8") == text


def test_a_page_of_its_own_name_keeps_its_files_apart(root, text, tmp_path):
    mine = tmp_path / "metrics.csv"
    mine.write_text("mine", encoding="utf-8")
    page = write_report(root, tmp_path / "my class.html", STORY)
    assert mine.read_text(encoding="utf-8") == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.csv", "my class.html", "my class_files"}
    told = page.read_text(encoding="utf-8")
    links = [unquote(link) for link in re.findall(r'<a href="([^"]*)"', told)]
    assert len(links) > 4
    assert all((tmp_path / link).is_file() for link in links)
    assert told.replace("my%20class_files/", "") == text


def test_only_the_runs_that_are_asked_for_are_told_and_the_others_counted(tmp_path):
    folders = [write_run(tmp_path, RunConfig(depth=depth)) for depth in (3, 4, 5)]
    text = write_report(tmp_path, only=folders[:1]).read_text(encoding="utf-8")
    assert "1 run (1 finished) on mnist" in text
    assert "not on this page: 2 more in this folder" in text
    assert len(tables_of(tmp_path)) == 1


def tables_of(root: Path) -> set[str]:
    lines = (root / "report" / "metrics.csv").read_text(encoding="utf-8").splitlines()[1:]
    return {line.split(",")[1] for line in lines}


def test_a_line_looks_the_same_on_every_chart_of_a_page(tmp_path):
    for index, activation in enumerate(("relu", "tanh", "sigmoid")):
        folder = write_run(tmp_path, RunConfig(activation=activation, depth=4), accuracy=0.3 * index)
        if activation == "relu":
            (folder / "histograms.jsonl").unlink()
    groups = group_runs(read_runs(tmp_path)[0])
    (spread,) = gallery.activation_distributions(groups)
    handles, labels = spread.figure.axes[0].get_legend_handles_labels()
    patches = [handle for handle in handles if isinstance(handle, StepPatch)]
    colors = {label: to_rgba(patch.get_edgecolor()) for label, patch in zip(labels, patches, strict=True)}
    assert colors.keys() == {"tanh", "sigmoid"}
    for curve in gallery.training_curves(groups):
        lines = {line.get_label(): to_rgba(line.get_color()) for line in curve.figure.axes[0].get_lines()}
        assert lines.keys() == {"relu", "tanh", "sigmoid"}
        assert {label: lines[label] for label in colors} == colors


def test_as_many_lines_as_a_chart_shows_can_be_told_apart():
    curve = Curve(np.arange(3.0), np.arange(3.0), np.full(3, np.nan))
    picture = plots.curves("all", {f"run {index}": curve for index in range(plots.MOST_LINES)}, ylabel="loss")
    looks = {(line.get_color(), line.get_marker()) for line in picture.figure.axes[0].get_lines()}
    assert len(looks) == plots.MOST_LINES


def test_tensorflow_is_not_imported(root, tmp_path):
    code = (
        "import sys; from pathlib import Path; from mnist_depth.results.report import write_report\n"
        f"write_report(Path({str(root)!r}), Path({str(tmp_path)!r}))\n"
        "print({'tensorflow', 'keras', 'matplotlib.pyplot'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# Grids


def figure_names(report: Path) -> set[str]:
    return {path.stem for path in (report.parent / "figures").glob("*.svg")}


def test_two_varying_fields_give_a_heat_map(tmp_path):
    for activation in ("relu", "sigmoid"):
        for initializer in ("zeros", "he_normal", "normal_1"):
            config = RunConfig(activation=activation, initializer=initializer, depth=3)
            write_run(tmp_path, config, study="grid", accuracy=0.9 if initializer == "he_normal" else 0.1)
    report = write_report(tmp_path / "grid")
    assert "grid" in figure_names(report)
    text = report.read_text(encoding="utf-8")
    assert "largest 90 at relu, he_normal" in text
    assert "theory × 0;" not in text


def test_a_learning_rate_that_follows_the_optimizer_is_no_axis(tmp_path):
    for optimizer in ("sgd", "adam"):
        for depth in (2, 3):
            write_run(tmp_path, RunConfig(optimizer=optimizer, depth=depth), study="grid")
    report = write_report(tmp_path / "grid")
    assert "grid" in figure_names(report)
    assert "Best test accuracy over depth and optimizer" in report.read_text(encoding="utf-8")


def test_initial_scale_against_depth_is_a_phase_diagram_for_each_activation(tmp_path):
    for activation in ("tanh", "relu"):
        for depth in (3, 6):
            for sigma in (0.5, 1.0, 10.0):
                config = RunConfig(activation=activation, depth=depth, initializer=f"mean_field:{sigma}")
                write_run(tmp_path, config, study="phase", accuracy=0.9 if sigma == 1 else 0.1)
    report = write_report(tmp_path / "phase")
    assert {"phase_diagram_tanh", "phase_diagram_relu"} <= figure_names(report)
    text = report.read_text(encoding="utf-8")
    assert "largest 90 at depth 3, sigma_w 1, smallest 10 at depth 3, sigma_w 0.5" in text
    assert text.count("6 xi, is largest at sigma_w 1") == 2


def test_trials_of_a_random_search_are_no_grid(tmp_path):
    for trial in range(1, 6):
        config = RunConfig(depth=2, learning_rate=trial / 100, weight_decay=trial / 1e5)
        write_run(tmp_path, config, study="search", accuracy=trial / 10)
    assert not {name for name in figure_names(write_report(tmp_path / "search")) if name.startswith("grid")}


def test_more_configurations_than_a_chart_can_show_are_sampled_and_told(tmp_path):
    for depth in range(1, 21):
        write_run(tmp_path, RunConfig(depth=depth), study="many", accuracy=depth / 40)
    text = write_report(tmp_path / "many").read_text(encoding="utf-8")
    assert "These charts show 12 of the 20 configurations" in text
    legend = re.search(r"Line chart of test accuracy[^:]*: ([^\"]*)", text)
    assert legend is not None
    assert "depth 1 ends at 2.5" in legend.group(1)
    assert "depth 20 ends at 50" in legend.group(1)


# Odd and damaged folders


def test_no_runs_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="no readable run at or below"):
        write_report(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        write_report(tmp_path / "nowhere")


def test_a_single_unfinished_run_is_reported(tmp_path):
    write_run(tmp_path, RunConfig(), status=None)
    text = write_report(tmp_path).read_text(encoding="utf-8")
    assert "1 run (1 unfinished) on mnist" in text


def test_diverged_run_with_numbers_that_are_not_finite(tmp_path):
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
def test_a_damaged_run_is_left_out_with_a_note(tmp_path, name, content):
    headline(tmp_path, seeds=[0], depth=3)
    bad = write_run(tmp_path, RunConfig(activation="tanh", depth=3))
    (bad / name).write_text(content, encoding="utf-8")
    runs, notes = read_runs(tmp_path)
    assert len(runs) == 2
    assert [name in note for note in notes] == [True]


def test_notes_stand_in_the_page(tmp_path):
    headline(tmp_path, seeds=[0], depth=2)
    (write_run(tmp_path, RunConfig(activation="tanh", depth=3)) / "config.json").write_text("{", encoding="utf-8")
    text = write_report(tmp_path).read_text(encoding="utf-8")
    assert "2 runs (2 finished)" in text
    assert "config.json is damaged" in text.split("<h2>Notes</h2>")[1]


def test_missing_parts_of_a_run_are_left_out(tmp_path):
    folder = write_run(tmp_path, RunConfig(depth=3), record={"environment": None, "dataset": [1], "command": 7})
    (folder / "histograms.jsonl").unlink()
    (folder / "metrics.jsonl").unlink()
    text = write_report(tmp_path).read_text(encoding="utf-8")
    assert "<h2>Results</h2>" in text
    assert "<h2>Distributions</h2>" not in text


def test_hostile_texts_are_escaped_everywhere(tmp_path):
    evil = "</title><script>alert(1)</script>"
    record = {"command": evil, "environment": {evil: evil}, "dataset": {"name": evil}}
    write_run(tmp_path, RunConfig(depth=3), study="study", record=record)
    folder = tmp_path / "study <img src=x>"
    shutil.copytree(tmp_path / "study", folder)
    text = write_report(tmp_path, story=Story(evil, evil, evil, [(evil, evil, evil)])).read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<img" not in text


def test_a_target_that_cannot_be_written_is_a_user_error(tmp_path):
    headline(tmp_path, seeds=[0], depth=2)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="cannot make"):
        write_report(tmp_path, tmp_path / "file" / "inside")
