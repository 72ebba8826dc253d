"""What the commands that train have in common: from flags to trained runs, and from these to an answer and an end."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from mnist_depth import datasets, records
from mnist_depth.board.links import depth_tab, local
from mnist_depth.board.server import check_port
from mnist_depth.cli import flags, output, pages, progress
from mnist_depth.config import RunConfig
from mnist_depth.datasets.prepared import SERVERS, check_data_dir, named_by_variable, resolve_auto
from mnist_depth.errors import UserError
from mnist_depth.files import is_denied
from mnist_depth.records import RunRecord, read_run
from mnist_depth.runtime import shell, signals
from mnist_depth.studies import STUDIES, Study, folder_name, run_slug, study_in
from mnist_depth.sweeps import sweep
from mnist_depth.translation import mark, plural
from mnist_depth.translation import translate as _

INCOMPLETE = 1

ANY_DATASET = "mnist"
"""The default dataset; also used to validate the flags before datasets are searched for."""


class Session:
    """One command that trains the runs of a study: its options, and the results so far.

    Every option comes from the flag of the same name; later stages pass the options on unchanged.
    """

    def __init__(self, study: str, values: flags.FlagValues, **changes: Any) -> None:
        check_port(values.port)
        check_data_dir(values.data_dir)
        given = {spec.name: values[spec.name].value for spec in fields(sweep.Options) if spec.name in values}
        logdir = Path(values.logdir)
        folder = folder_name(study, logdir) if study in STUDIES else study
        command = shell.join(["python", "-m", "mnist_depth", *sys.argv[1:]])
        own = {"logdir": logdir, "study": folder, "slug": functools.partial(run_slug, folder), "command": command}
        self.options = sweep.Options(**{**given, **own, **changes})
        self.folder = logdir / folder
        self.results: list[sweep.Result] = []
        self._values = values
        # Flags that repeat what was found out: the environment may differ where the command is given again.
        self._pinned: dict[str, str] = {}

    def dataset(self) -> str:
        """The dataset of runs that do not name their own; prints one line about what `auto` resolves to."""
        if self._values.dataset not in (None, "auto"):
            return self._values.dataset
        name, line = resolve_auto(self.options.data_dir)
        print(output.paragraph(line, output.terminal_width()), flush=True)
        self._pinned["dataset"] = name
        return name

    def show_plan(self, configs: Sequence[RunConfig]) -> int:
        """What `--dry_run` prints: the runs, their time and disk."""
        from mnist_depth.sweeps.cost import plan_text

        print(plan_text(configs, self.options))
        return 0

    def train(self, configs: Sequence[RunConfig]) -> list[RunRecord]:
        """Train what is not trained yet; return the runs that have ended by themselves."""
        if any(config.dataset in SERVERS for config in configs) and not self._values.data_dir:
            self._pinned |= {"data_dir": folder} if (folder := named_by_variable()) else {}
        for name, examples in {(config.dataset, config.train_examples) for config in configs}:
            datasets.load(name, self.options.data_dir, examples)
        folders = [self.options.folder_of(config) for config in configs]
        if reused := sum(map(_is_done, folders)) * (not self.options.overwrite):
            text = mark("{reused} of {count} runs are finished already and are used as they are.")
            print(_(text, reused=reused, count=len(folders)), flush=True)
        try:
            self.results.append(sweep.run(configs, self.options, None if self._values.quiet else progress.watch))
        except KeyboardInterrupt as error:  # the second request
            raise KeyboardInterrupt(signals.behind(error), self._how_to_resume(_("stopped"))) from None
        return self.read(configs)

    def read(self, configs: Sequence[RunConfig]) -> list[RunRecord]:
        """Those of these runs that have ended by themselves."""
        return [read_run(folder) for folder in map(self.options.folder_of, configs) if _is_done(folder)]

    @property
    def complete(self) -> bool:
        return all(result.complete for result in self.results)

    @contextlib.contextmanager
    def tolerating_write_errors(self) -> Iterator[None]:
        """Still report failed runs when the report itself cannot be written (for example, disk full)."""
        try:
            yield
        except (UserError, OSError) as error:
            if self.complete:
                raise
            text = error.text(_) if isinstance(error, UserError) else error
            print(f"mnist_depth: {text}", file=sys.stderr)

    def conclude(self, chosen: Study, runs: Sequence[RunRecord]) -> None:
        """Print the table and verdicts of these runs; write the folder's report and the board's summaries."""
        if not runs:
            return
        answers = chosen.answers(runs, self.options.data_dir)
        overview = output.overview_of(runs, chosen.story(study_in(self.options.study), answers, runs))
        print(f"\n{output.conclusion(overview, answers, output.terminal_width())}", flush=True)
        with self._noting_denied_pages():
            with progress.activity(_("writing the report")):
                self._write_board_pages()
                page, count = pages.write_page(self.folder, self.options.data_dir)
            self._report(page, count, len(runs))
        self._show_where_to_look()

    def _report(self, page: Path, count: int, trained: int) -> None:
        """Print where the report is, and how many of its runs this command did not train."""
        print(_("Report: {path}", path=page))
        if others := count - trained:
            text = plural(
                "It also covers {count} other run of this folder.",
                "It also covers {count} other runs of this folder.",
                others,
            )
            print(text)

    def list_runs(self, runs: Sequence[RunRecord], max_listed: int) -> None:
        """Print the runs one by one, as far as there are few, and their table; write the board's summaries."""
        if not runs:
            return
        for run in runs[:max_listed]:
            print(f"{run.folder}: {_(run.status)}, {output.scores_of(run)}")
        if (more := len(runs) - max_listed) > 0:
            text = plural(
                "and {count} more run in {folder}", "and {count} more runs in {folder}", more, folder=self.folder
            )
            print(text)
        if len(runs) > 1:
            print(f"\n{output.results_table(output.overview_of(runs), output.terminal_width())}\n")
        with self._noting_denied_pages():
            self._write_board_pages()
        self._show_where_to_look()

    @contextlib.contextmanager
    def _noting_denied_pages(self) -> Iterator[None]:
        """Turn a missing permission into a note: finished runs of another user, or on a read-only disk, can be read."""
        try:
            yield
        except (UserError, OSError) as error:
            if not is_denied(error):
                raise
            text = _(
                "Note: you may not write to {folder}, so the board's pages and the report there stay as they are; for "
                "a report elsewhere, run: {command}",
                folder=self.folder,
                command=shell.join([*output.python(), "report", str(self.folder), "--out=report.html"]),
            )
            print(text, file=sys.stderr, flush=True)

    def _write_board_pages(self) -> None:
        from mnist_depth.summaries.write import write_study

        write_study(self.folder)

    def _show_where_to_look(self) -> None:
        """Print where to see the answer; with --open_browser serve the board and open it."""
        words, values = f"study={self.options.study}", self._values
        study = STUDIES.get(study_in(self.options.study))
        address = depth_tab(words, local(values.port), **(study.view if study else {}))
        print(output.where_to_look(self.options.logdir, address, output.terminal_width()), flush=True)
        if values.open_browser:
            from mnist_depth.board.server import serve

            serve(self.options.logdir, values.port, open_browser=True, words=words, language=values.language or "")

    def _same_command(self) -> str:
        """The command that resumes these runs, also in a shell without the environment of this one."""
        pinned = [f"--{name}={value}" for name, value in self._pinned.items()]
        return shell.join([*output.python(), *sys.argv[1:], *pinned])

    def _how_to_resume(self, what: str) -> str:
        return _("{what}; to go on where it stopped, run: {command}", what=what, command=self._same_command())

    def end(self) -> int:
        """Print what failed or was stopped and the command that resumes it; return the exit code."""
        if self.complete:
            return 0
        if not self.options.logdir.is_dir():
            gone = _(
                "{logdir} was moved or removed while its runs were trained; put it back and run again: {command}",
                logdir=self.options.logdir,
                command=self._same_command(),
            )
            print(f"mnist_depth: {gone}", file=sys.stderr)
            return INCOMPLETE
        for outcome in (outcome for result in self.results for outcome in result.of("failed")):
            why = outcome.error.text(_) if outcome.error else ""
            print(_("failed: {folder}: {reason}", folder=outcome.folder, reason=why), file=sys.stderr)
        stopped = any(result.of("stopped") for result in self.results)
        what = _("stopped") if stopped else _("some runs failed (see above)")
        print(f"mnist_depth: {self._how_to_resume(what)}", file=sys.stderr)
        return INCOMPLETE


def _is_done(folder: Path) -> bool:
    return (folder / records.DONE).exists()
