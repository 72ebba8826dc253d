"""Write what a folder of runs shows as one self-contained HTML page, with its figures and all metrics beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from mnist_depth import records
from mnist_depth.errors import UserError, refusal
from mnist_depth.files import local_path, write_atomic
from mnist_depth.records import TrainingRecord, is_inside
from mnist_depth.results import exports, rendering
from mnist_depth.results.frames import Runs
from mnist_depth.results.groups import read_runs
from mnist_depth.results.overview import Overview, Story
from mnist_depth.results.page import render
from mnist_depth.results.pictures import draw_figures
from mnist_depth.translation import translate as _

NO_STORY = Story()


def write_report(
    root: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    story: Story = NO_STORY,
    runs: Sequence[TrainingRecord] | None = None,
) -> Path:
    """Report on the runs at or below `root`, or on `runs` where these have been read; the path of the HTML file.

    `out` is a folder, or an .html file; default `<root>/report`. Figures (PNG, SVG and PDF) and the numbers (see
    `exports`) are written beside a page in a folder of its own, and into `NAME_files` beside a NAME.html. Raises
    UserError where there is no readable run or nothing can be written.
    """
    folder, target = local_path(root, "write_report"), None if out is None else local_path(out, "out")
    if runs is None:
        runs, notes = read(folder)
    else:
        notes = left_out(folder, runs)
    return write_overview(Overview(runs, story), folder, target, notes)


def read(root: Path) -> tuple[list[TrainingRecord], list[str]]:
    """The readable runs at or below a folder and a note about each other one. Raises UserError where there is none."""
    if not root.exists():
        raise UserError("{root} does not exist; name a folder that holds runs, such as logs/depth9", root=root)
    runs, notes = read_runs(root)
    if not runs:
        found = f" ({notes[0]})" if notes else ""
        raise UserError(
            "no readable run at or below {root}{found}; train one first, or name another folder", root=root, found=found
        )
    return runs, notes


def left_out(root: Path, runs: Sequence[TrainingRecord]) -> list[str]:
    """A note about the runs of the folder that are not on the page."""
    others = len(records.folders_with(records.CONFIG, root)) - len(runs)
    text = _("Not on this page: {count} more in this folder; the report command shows all of them.", count=others)
    return [text] if others > 0 else []


def write_overview(
    overview: Overview,
    root: Path,
    out: Path | None = None,
    notes: Sequence[str] = (),
    table: exports.TableOptions = exports.NO_OPTIONS,
) -> Path:
    """Write the page of an overview, its figures and its data; the path of the HTML file. Raises UserError."""
    target, files = _places(root, out)
    if not overview.story.name:
        overview = replace(overview, story=replace(overview.story, name=root.resolve().name))
    runs = Runs(overview.runs)
    exports.write_tables(runs, files, table)
    rows = exports.write_metrics(runs, files)
    drawn = draw_figures(overview)
    for picture in drawn.all:
        rendering.save(picture, files / "figures")
    folder = "" if files == target.parent else f"{quote(files.name)}/"
    write_atomic(target, render(overview, drawn, notes, rows, folder))
    return target


def _places(root: Path, out: Path | None) -> tuple[Path, Path]:
    """The HTML file to write, and the folder of its data and figures, which is created."""
    given, out = out, root / "report" if out is None else out
    if out.suffix not in ("", ".html") and not out.is_dir():
        raise UserError("the page is HTML: name a folder, or a file that ends in .html, not {out}", out=out)
    target, files = (out, out.with_name(f"{out.stem}_files")) if out.suffix == ".html" else (out / "report.html", out)
    if not is_inside(files / "figures", files if given else root):
        raise UserError(
            "{path} leads elsewhere through a link; remove the link or name another folder", path=files / "figures"
        )
    try:
        (files / "figures").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError("cannot make {files}: {reason}", files=files, reason=refusal(error)) from error
    return target, files
