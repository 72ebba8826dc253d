"""Commands that train: study, train, search."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path

from mnist_depth import datasets, records
from mnist_depth.board.links import depth_tab, local
from mnist_depth.cli import flags, output, progress, spelling
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError, unknown
from mnist_depth.records import RunRecord, read_run
from mnist_depth.runtime import shell
from mnist_depth.studies import STUDIES, Study, folder_name, run_slug, study_in
from mnist_depth.sweeps import search, sweep
from mnist_depth.sweeps.grid import grid, parse_choices
from mnist_depth.translation import translate as _

INCOMPLETE = 1

MAX_LISTED = 5
"""`train` prints up to this many runs one by one; for more it prints only the table."""

ANY_DATASET = "mnist"
"""The default dataset; also used to validate the flags before datasets are searched for."""


def study(words: list[str], values: flags.FlagValues) -> int:
    """Train a study's runs, print its table and its verdicts, write its report."""
    name = spelling.known(words[0], STUDIES) if words else "depth9"
    if name not in STUDIES:
        raise unknown("study", name, STUDIES)
    if len(words) > 1:
        raise UserError(f"study takes one name, not {' '.join(words)!r}")
    chosen, overrides = STUDIES[name], flags.config_overrides(values)
    if chosen.search:
        if values.seeds is not None:
            raise UserError("the search draws all its trials from one --seed; it takes no --seeds")
        settings = (chosen.quick.search if values.quick else None) or chosen.search
        return _search(name, settings, chosen, values)

    def configs_on(dataset: str) -> list[RunConfig]:
        return chosen.configs(dataset, seeds=values.seeds, quick=values.quick, overrides=overrides)

    configs_on(ANY_DATASET)
    configs = configs_on(_dataset(values) if chosen.needs_dataset else ANY_DATASET)
    options = _options(name, values)
    options = replace(options, save_weights=options.save_weights or chosen.save_weights)
    if values.dry_run:
        return _dry_run(configs, options)
    print(_("Study {name}: {question}", name=name, question=_(chosen.question)), flush=True)
    result = _sweep(configs, options, values)
    with _tolerating_write_errors(result):
        _conclude(chosen, _read(configs, options), options, values)
    return _ending(result, options)


def train(words: list[str], values: flags.FlagValues) -> int:
    """Train one run from flags, or every combination of --choose with every seed."""
    if words:
        raise UserError(f"train takes flags only, not {words[0]!r}")
    overrides = flags.config_overrides(values)
    choices = parse_choices(values.choose)
    grid({"dataset": ANY_DATASET, **overrides}, choices)
    dataset = ANY_DATASET if "dataset" in choices else _dataset(values)
    configs = grid({"dataset": dataset, **overrides}, choices, values.seeds or 1)
    options = _options("train", values)
    if values.dry_run:
        return _dry_run(configs, options)
    result = _sweep(configs, options, values)
    with _tolerating_write_errors(result):
        runs = _read(configs, options)
        if not runs:
            return _ending(result, options)
        for run in runs[:MAX_LISTED]:
            print(f"{run.folder}: {run.status}, {output.scores_of(run)}")
        if len(runs) > 1:
            print(f"\n{output.results_table(output.overview_of(runs), output.terminal_width())}\n")
        _write_pages(options)
        _look(options, values)
    return _ending(result, options)


def search_command(words: list[str], values: flags.FlagValues) -> int:
    """Search learning rate, weight decay and chosen fields; print the best trials."""
    if words:
        raise UserError(f"search takes flags only, not {words[0]!r}")
    seed = flags.config_overrides(values).get("seed", 0)
    settings = search.SearchSettings(values.trials, values.rounds, values.sampler, values.halving, seed)
    return _search("search", settings, STUDIES["search"], values)


def _search(name: str, settings: search.SearchSettings, chosen: Study, values: flags.FlagValues) -> int:
    overrides = {key: value for key, value in flags.config_overrides(values).items() if key != "seed"}
    choices = parse_choices(values.choose)
    fixed = {**choices, **overrides}
    drawn = {field: span for field, span in search.DEFAULT_SPACE.exponents.items() if field not in fixed}
    space = search.Space(drawn, choices)
    options = replace(_options(name, values), score_test=False)
    base = {"dataset": _dataset(values), **chosen.variants[0].fields, **overrides}
    typical = RunConfig(**{**base, "seed": settings.seed, **{field: listed[0] for field, listed in choices.items()}})
    if values.dry_run:
        return _dry_search(typical, settings, options)
    results: list[sweep.Result] = []

    def train_round(configs: Sequence[RunConfig]) -> sweep.Result:
        number = len(results) + 1
        print(
            _("Round {number} of {count}: {trials} trials", number=number, count=settings.rounds, trials=len(configs))
        )
        results.append(_sweep(configs, options, values))
        scores = [run.figures.get("validation_accuracy", 0.0) for run in _read(configs, options)]
        if scores:
            print(_("Best validation accuracy of this round: {best:.2%}", best=max(scores)), flush=True)
        return results[-1]

    print(_("Study {name}: {question}", name=name, question=_(chosen.question)), flush=True)
    trials = search.search(base, space, settings, options, train_round)
    for place, trial in enumerate(trials[: values.best], 1):
        print(trial.line(place, [name for name in choices if name not in search.ALWAYS_SHOWN]))
    if all(result.complete for result in results):
        print(_winner(trials[0].config, options))
    with _tolerating_write_errors(*results):
        _conclude(chosen, _read([trial.config for trial in trials], options), options, values)
    return max(_ending(result, options) for result in results)


def _winner(config: RunConfig, options: sweep.Options) -> str:
    """Score the best trial on the test split, once, and print the result."""
    from mnist_depth.training.evaluate import score_on_test

    folder = options.folder_of(config)
    score_on_test(folder, options.data_dir)
    return f"Winner on the test split: {float(read_run(folder).done['metrics']['test_accuracy']):.2%} ({folder})"


def _conclude(chosen: Study, runs: Sequence[RunRecord], options: sweep.Options, values: flags.FlagValues) -> None:
    """Print the table and verdicts and write the report and the board's summaries, for the finished runs."""
    if not runs:
        return
    width, folder = output.terminal_width(), options.logdir / options.study
    answers = chosen.answers(runs, options.data_dir)
    overview = output.overview_of(runs, chosen.story(study_in(options.study), answers))
    print(f"\n{output.conclusion(overview, answers, width)}", flush=True)
    # Imported after the answer is printed: Matplotlib and the report take half a second.
    from mnist_depth.results.report import left_out, write_overview

    with progress.activity(_("writing the report")):
        _write_pages(options)
        page = write_overview(overview, folder, notes=left_out(folder, runs))
    print(_("Report: {path}", path=page))
    _look(options, values)


def _look(options: sweep.Options, values: flags.FlagValues) -> None:
    """Print where to see the answer; with --open_browser serve the board and open it."""
    words = f"study={options.study}"
    study = STUDIES.get(study_in(options.study))
    address = depth_tab(words, local(values.port), **(study.view if study else {}))
    print(output.where_to_look(options.logdir, address, output.terminal_width()), flush=True)
    if values.open_browser:
        from mnist_depth.board.server import serve

        serve(options.logdir, values.port, open_browser=True, words=words, language=values.language or "")


def _write_pages(options: sweep.Options) -> None:
    from mnist_depth.summaries.write import write_study

    write_study(options.logdir / options.study)


def _dry_run(configs: Sequence[RunConfig], options: sweep.Options) -> int:
    from mnist_depth.sweeps.cost import plan_text

    print(plan_text(configs, options))
    return 0


def _dry_search(typical: RunConfig, settings: search.SearchSettings, options: sweep.Options) -> int:
    """The cost of a search whose trials are as large as this one; their names are not drawn yet."""
    from mnist_depth.sweeps.cost import megabytes, minutes, minutes_text

    time = minutes_text(settings.rounds * minutes([typical] * settings.trials, options.workers))
    disk = settings.rounds * settings.trials * megabytes([typical], options)
    amount = f"{settings.rounds} rounds of {settings.trials} runs such as {options.folder_of(typical).parent.name}"
    print(f"{options.logdir / options.study}: {amount}, about {time} and {disk:.0f} MB; nothing was written.")
    return 0


def _dataset(values: flags.FlagValues) -> str:
    """The dataset of runs that do not name their own; prints one line about what `auto` resolves to."""
    if values.dataset not in (None, "auto"):
        return values.dataset
    name, line = datasets.resolve_auto(values.data_dir)
    print(line, flush=True)
    return name


def _options(study_name: str, values: flags.FlagValues) -> sweep.Options:
    """Fill every option field from the flag of the same name; later stages pass this object on unchanged."""
    given = {spec.name: values[spec.name].value for spec in fields(sweep.Options) if spec.name in values}
    logdir = Path(values.logdir)
    folder = folder_name(study_name, logdir) if study_name in STUDIES else study_name
    slug = functools.partial(run_slug, folder)
    command = shell.join(["python", "-m", "mnist_depth", *sys.argv[1:]])
    return sweep.Options(**{**given, "logdir": logdir, "study": folder, "slug": slug, "command": command})


def _sweep(configs: Sequence[RunConfig], options: sweep.Options, values: flags.FlagValues) -> sweep.Result:
    for name, examples in {(config.dataset, config.train_examples) for config in configs}:
        datasets.load(name, options.data_dir, examples)
    folders = [options.folder_of(config) for config in configs]
    if reused := sum((folder / records.DONE).exists() for folder in folders) * (not options.overwrite):
        print(f"{reused} of {len(folders)} runs are finished already and are used as they are.", flush=True)
    return sweep.run(configs, options, None if values.quiet else progress.watch)


def _read(configs: Sequence[RunConfig], options: sweep.Options) -> list[RunRecord]:
    folders = [options.folder_of(config) for config in configs]
    return [read_run(folder) for folder in folders if (folder / records.DONE).exists()]


@contextlib.contextmanager
def _tolerating_write_errors(*results: sweep.Result) -> Iterator[None]:
    """Still report failed runs when the report itself cannot be written (for example, disk full)."""
    try:
        yield
    except (UserError, OSError) as error:
        if all(result.complete for result in results):
            raise
        print(f"mnist_depth: {error}", file=sys.stderr)


def _ending(result: sweep.Result, options: sweep.Options) -> int:
    """Print what failed or was stopped and the command that resumes it; return the exit code."""
    for outcome in result.of("failed"):
        print(f"failed: {outcome.folder}: {outcome.error}", file=sys.stderr)
    if result.complete:
        return 0
    what = "stopped" if result.of("stopped") else "some runs failed (see above)"
    again = shell.join([*output.python(), *sys.argv[1:]])
    print(f"mnist_depth: {what}; to go on where it stopped, run: {again}", file=sys.stderr)
    return INCOMPLETE
