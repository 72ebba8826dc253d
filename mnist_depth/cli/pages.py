"""The page about all runs of a folder: `report` writes it, and so does a study when its runs have ended."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_depth.records import RunRecord
from mnist_depth.studies import STUDIES, Study, study_in
from mnist_depth.studies.expectation import Answer

if TYPE_CHECKING:
    from mnist_depth.results.exports import TableOptions


def write_page(
    folder: Path, data_dir: str | None = None, out: Path | None = None, table: TableOptions | None = None
) -> tuple[Path, int]:
    """Write the page; its path and the number of runs on it. Raises UserError where there is no readable run."""
    from mnist_depth.results.exports import NO_OPTIONS
    from mnist_depth.results.overview import Overview, Story
    from mnist_depth.results.report import read, write_overview

    table = table or NO_OPTIONS
    runs, notes = read(folder)
    name = study_in(os.path.basename(os.path.realpath(folder)))
    story = Story()
    if name:
        trained = [run for run in runs if isinstance(run, RunRecord)]
        story = STUDIES[name].story(name, _answers(STUDIES[name], trained, data_dir), trained)
    if table.columns:
        story = replace(story, columns=table.columns)
    return write_overview(Overview(runs, story), folder, out, notes, table), len(runs)


def _answers(study: Study, runs: Sequence[RunRecord], data_dir: str | None) -> list[Answer]:
    """The verdicts on all runs of a study in a folder, one dataset at a time."""
    names = sorted({run.config.dataset for run in runs})
    if not study.needs_dataset or len(names) < 2:
        return study.answers(runs, data_dir=data_dir)
    return [
        answer._replace(statement=f"{name}: {answer.statement}")
        for name in names
        for answer in study.answers([run for run in runs if run.config.dataset == name], data_dir=data_dir)
    ]
