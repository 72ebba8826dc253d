"""The command search, and studies that search."""

from __future__ import annotations

from collections.abc import Sequence

from mnist_depth.cli import flags, output
from mnist_depth.cli.session import Session
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.records import read_run
from mnist_depth.results.tables import heading
from mnist_depth.runtime.stderr import silenced
from mnist_depth.studies import STUDIES
from mnist_depth.sweeps import search as searches
from mnist_depth.sweeps.grid import parse_choices
from mnist_depth.sweeps.sweep import Result
from mnist_depth.translation import translate as _


def search(words: list[str], values: flags.FlagValues) -> int:
    """Search learning rate, weight decay and chosen fields; print the best trials."""
    if words:
        raise UserError("{command} takes flags only, not {word}", command="search", word=repr(words[0]))
    seed = flags.config_overrides(values).get("seed", 0)
    settings = searches.SearchSettings(values.trials, values.rounds, values.sampler, values.halving, seed)
    return search_study("search", settings, values)


def search_study(name: str, settings: searches.SearchSettings, values: flags.FlagValues) -> int:
    """Train the rounds of a search, print the best trials, score the winner on the test split."""
    chosen = STUDIES[name]
    overrides = {key: value for key, value in flags.config_overrides(values).items() if key != "seed"}
    choices = parse_choices(values.choose)
    fixed = {**choices, **overrides}
    ranges = {field: searches.parse_range(field, str(values[f"{field}_range"].value)) for field in searches.RANGES}
    drawn = {field: span for field, span in ranges.items() if field not in fixed}
    session = Session(name, values, score_test=False)
    base = {"dataset": session.dataset(), **chosen.variants[0].fields, **overrides}
    typical = RunConfig(**{**base, "seed": settings.seed, **{field: listed[0] for field, listed in choices.items()}})
    if values.dry_run:
        return _show_plan(typical, settings, session)

    def train_round(configs: Sequence[RunConfig]) -> Result:
        number = len(session.results) + 1
        print(
            _("Round {number} of {count}: {trials} trials", number=number, count=settings.rounds, trials=len(configs))
        )
        scores = [run.figures.get("validation_accuracy", 0.0) for run in session.train(configs)]
        if scores:
            print(_("Best validation accuracy of this round: {best:.2%}", best=max(scores)), flush=True)
        return session.results[-1]

    title = _("Study {name}: {question}", name=name, question=_(chosen.question))
    print(output.paragraph(title, output.terminal_width()), flush=True)
    trials = searches.search(base, searches.Space(drawn, choices), settings, session.options, train_round)
    for place, trial in enumerate(trials[: values.best], 1):
        print(trial.line(place, [name for name in choices if name not in searches.ALWAYS_SHOWN]))
    for field in searches.at_the_edge(trials[0], drawn) if trials else ():
        low, high = (f"{10**exponent:g}" for exponent in drawn[field])
        text = _(
            "The best {name} lies at the edge of the range {low} to {high}; another one: --{field}_range=LOW,HIGH",
            name=heading(field),
            low=low,
            high=high,
            field=field,
        )
        print(output.paragraph(text, output.terminal_width()))
    if session.complete:
        print(_winner(trials[0].config, session))
    with session.tolerating_write_errors():
        session.conclude(chosen, session.read([trial.config for trial in trials]))
    return session.end()


def _winner(config: RunConfig, session: Session) -> str:
    """Score the best trial on the test split, once; one line about the result."""
    folder = session.options.folder_of(config)
    with silenced():
        from mnist_depth.training.evaluate import score_on_test

        score_on_test(folder, session.options.data_dir)
    accuracy = float(read_run(folder).done["metrics"]["test_accuracy"])
    return _("Winner on the test split: {accuracy:.2%} ({folder})", accuracy=accuracy, folder=folder)


def _show_plan(typical: RunConfig, settings: searches.SearchSettings, session: Session) -> int:
    """The cost of a search whose trials are as large as this one; their names are not drawn yet."""
    from mnist_depth.sweeps.cost import megabytes, minutes, minutes_text

    time = minutes_text(settings.rounds * minutes([typical] * settings.trials, session.options.workers))
    disk = settings.rounds * settings.trials * megabytes([typical], session.options)
    text = _(
        "{folder}: {rounds} rounds of {trials} runs such as {name}, {time}, {disk:.0f} MB; nothing was written.",
        folder=session.folder,
        rounds=settings.rounds,
        trials=settings.trials,
        name=session.options.folder_of(typical).parent.name,
        time=time,
        disk=disk,
    )
    print(text)
    return 0
