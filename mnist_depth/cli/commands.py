"""The commands: each takes the remaining words and the flags, and returns an exit code."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from mnist_depth import datasets, sweep
from mnist_depth.cli import flags, progress, terminal
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.records import RunRecord, read_run, run_folder
from mnist_depth.studies import STUDIES

INCOMPLETE = 1


class Command(NamedTuple):
    """One line of the usage text, and what the command does."""

    summary: str
    run: Callable[[list[str], flags.FlagValues], int]


def study(words: list[str], values: flags.FlagValues) -> int:
    """Train a study's runs, print its table and its verdicts."""
    name = words[0] if words else "depth9"
    if name not in STUDIES:
        raise UserError(f"unknown study {name!r}; valid: {', '.join(STUDIES)}")
    chosen = STUDIES[name]
    overrides = flags.config_overrides(values)
    dataset = _dataset(values)
    configs = chosen.configs(dataset, seeds=values.seeds, quick=values.quick, overrides=overrides)
    print(f"Study {name}: {chosen.question}")
    options = _options(name, values)
    result = _sweep(configs, options, values)
    runs = _read(configs, options)
    if runs:
        print(f"\n{terminal.study_table(chosen, runs)}\n")
        print(terminal.answers_text(chosen.answers(runs, overrides)))
        print(terminal.where_to_look(options.logdir))
    return _ending(result, options)


def train(words: list[str], values: flags.FlagValues) -> int:
    """Train one run from flags."""
    if words:
        raise UserError(f"train takes flags only, not {words[0]!r}")
    overrides = flags.config_overrides(values)
    configs = [
        RunConfig(**{"dataset": _dataset(values), **overrides, "seed": seed})
        for seed in range(overrides.get("seed", 0), overrides.get("seed", 0) + (values.seeds or 1))
    ]
    options = _options("train", values)
    result = _sweep(configs, options, values)
    for run in _read(configs, options):
        test = run.done["metrics"]
        print(
            f"{run.folder}: {run.status}, loss {float(test['test_loss']):.4f}, "
            f"test accuracy {float(test['test_accuracy']):.2%} (best {float(test['best_test_accuracy']):.2%})"
        )
    print(terminal.where_to_look(options.logdir))
    return _ending(result, options)


def search(words: list[str], values: flags.FlagValues) -> int:
    """Search learning rate, weight decay and chosen fields; print the best trials."""
    from mnist_depth import search as searching

    if words:
        raise UserError(f"search takes flags only, not {words[0]!r}")
    overrides = flags.config_overrides(values)
    plan = searching.Plan(values.trials, values.rounds, values.sampler, values.halving, overrides.pop("seed", 0))
    space = replace(searching.DEFAULT_SPACE, choices=searching.parse_choices(values.choose))
    options = replace(_options("search", values), score_test=False)
    results: list[sweep.Result] = []

    def train_round(configs: Sequence[RunConfig]) -> sweep.Result:
        results.append(_sweep(configs, options, values))
        return results[-1]

    base = {"dataset": _dataset(values), **searching.BASE, **overrides}
    trials = searching.search(base, space, plan, options, train_round)
    for place, trial in enumerate(trials[: values.best], 1):
        print(trial.line(place))
    if all(result.complete for result in results):
        print(_winner(trials[0].config, options))
    print(terminal.where_to_look(options.logdir))
    return max(_ending(result, options) for result in results)


def _winner(config: RunConfig, options: sweep.Options) -> str:
    """Score the best trial on the test split, once, and say how it did."""
    from mnist_depth.experiment import score_on_test

    folder = run_folder(options.logdir, options.study, config)
    score_on_test(folder, options.data_dir)
    return f"Winner on the test split: {float(read_run(folder).done['metrics']['test_accuracy']):.2%} ({folder})"


def list_names(words: list[str], values: flags.FlagValues) -> int:
    """Print the registries: a line for every name that a flag takes."""
    from mnist_depth.cli.listing import LISTS, text

    if words and words[0] not in LISTS:
        raise UserError(f"nothing called {words[0]!r} to list; valid: {', '.join(LISTS)}")
    print(text(words or list(LISTS)))
    return 0


def theory(words: list[str], values: flags.FlagValues) -> int:
    """Print what mean-field theory predicts for a network, without training."""
    from mnist_depth.theory import describe

    overrides = flags.config_overrides(values)
    print(describe(RunConfig(**{"dataset": "mnist", **overrides})))
    return 0


def board(words: list[str], values: flags.FlagValues) -> int:
    """Serve TensorBoard on loopback, here or on another machine."""
    if values.remote:
        from mnist_depth.board.remote import remote

        return remote(values.remote, attach=values.attach, port=values.port, open_browser=values.open_browser) or 0
    from mnist_depth.board.server import serve

    serve(
        values.logdir,
        values.port,
        open_browser=values.open_browser,
        bind_all=values.bind_all,
        acknowledged=values.i_know_this_board_has_no_password,
    )
    return 0


COMMANDS: dict[str, Command] = {
    "study": Command("NAME  train a study's runs and answer its question (alone: depth9)", study),
    "train": Command("      train one run from flags", train),
    "search": Command("      random search of learning rate, weight decay and --choose fields", search),
    "list": Command("[WHAT] every study, dataset, activation, ... by name", list_names),
    "theory": Command("      what mean-field theory predicts for a network", theory),
    "board": Command("      TensorBoard on loopback, here or on another machine", board),
}


def usage() -> str:
    """The first lines of the help."""
    lines = [f"  {name:<9} {command.summary}" for name, command in COMMANDS.items()]
    return "usage: python -m mnist_depth [COMMAND] [--flags]\n\nCommands:\n" + "\n".join(lines)


def _dataset(values: flags.FlagValues) -> str:
    """The dataset that runs use when they do not name their own; what `auto` came to is said in one line."""
    if values.dataset not in (None, "auto"):
        return values.dataset
    name, line = datasets.resolve_auto(values.data_dir)
    print(line, flush=True)
    return name


def _options(study_name: str, values: flags.FlagValues) -> sweep.Options:
    return sweep.Options(
        logdir=Path(values.logdir),
        study=study_name,
        workers=values.workers,
        engine=values.engine,
        engine_address=values.engine_address,
        instruments=values.instruments,
        data_dir=values.data_dir,
        overwrite=values.overwrite,
        deterministic=values.deterministic,
        command=shlex.join(["python", "-m", "mnist_depth", *sys.argv[1:]]),
    )


def _sweep(configs: Sequence[RunConfig], options: sweep.Options, values: flags.FlagValues) -> sweep.Result:
    for config in configs:
        datasets.load(config.dataset, options.data_dir, config.train_examples)
    folders = [run_folder(options.logdir, options.study, config) for config in configs]
    if reused := sum((folder / "done.json").exists() for folder in folders) * (not options.overwrite):
        print(f"{reused} of {len(folders)} runs are finished already and are used as they are.", flush=True)
    return sweep.run(configs, options, None if values.quiet else progress.watch)


def _read(configs: Sequence[RunConfig], options: sweep.Options) -> list[RunRecord]:
    folders = [run_folder(options.logdir, options.study, config) for config in configs]
    return [read_run(folder) for folder in folders if (folder / "done.json").exists()]


def _ending(result: sweep.Result, options: sweep.Options) -> int:
    """Say what failed or was stopped and how to go on; the exit code."""
    for outcome in result.of("failed"):
        print(f"failed: {outcome.folder}: {outcome.error}", file=sys.stderr)
    if result.complete:
        return 0
    what = "stopped" if result.of("stopped") else "some runs failed"
    print(f"mnist_depth: {what}; to go on where it stopped, run: {options.command}", file=sys.stderr)
    return INCOMPLETE
