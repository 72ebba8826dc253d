"""The commands study and train."""

from __future__ import annotations

from mnist_depth.cli import flags, output, spelling
from mnist_depth.cli.search import search_study
from mnist_depth.cli.session import ANY_DATASET, Session
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError, unknown
from mnist_depth.studies import STUDIES
from mnist_depth.sweeps.grid import grid, parse_choices
from mnist_depth.translation import translate as _

MAX_LISTED = 5
"""`train` prints up to this many runs one by one; for more it prints only the table."""


def study(words: list[str], values: flags.FlagValues) -> int:
    """Train a study's runs, print its table and its verdicts, write its report."""
    name = spelling.known(words[0], STUDIES) if words else "depth9"
    if name not in STUDIES:
        raise unknown("study", name, STUDIES)
    if len(words) > 1:
        raise UserError("study takes one name, not {words}", words=repr(" ".join(words)))
    chosen, overrides = STUDIES[name], flags.config_overrides(values)
    if chosen.search:
        if values.seeds is not None:
            raise UserError("the search draws all its trials from one --seed; it takes no --seeds")
        return search_study(name, (chosen.quick.search if values.quick else None) or chosen.search, values)

    def configs_on(dataset: str) -> list[RunConfig]:
        return chosen.configs(dataset, seeds=values.seeds, quick=values.quick, overrides=overrides)

    configs_on(ANY_DATASET)
    session = Session(name, values, save_weights=values.save_weights or chosen.save_weights)
    configs = configs_on(session.dataset() if chosen.needs_dataset else ANY_DATASET)
    if values.dry_run:
        return session.show_plan(configs)
    title = _("Study {name}: {question}", name=name, question=_(chosen.question))
    print(output.paragraph(title, output.terminal_width()), flush=True)
    runs = session.train(configs)
    with session.tolerating_write_errors():
        session.conclude(chosen, runs)
    return session.end()


def train(words: list[str], values: flags.FlagValues) -> int:
    """Train one run from flags, or every combination of --choose with every seed."""
    if words:
        raise UserError("{command} takes flags only, not {word}", command="train", word=repr(words[0]))
    overrides = flags.config_overrides(values)
    choices = parse_choices(values.choose)
    grid({"dataset": ANY_DATASET, **overrides}, choices)
    session = Session("train", values)
    dataset = ANY_DATASET if "dataset" in choices else session.dataset()
    configs = grid({"dataset": dataset, **overrides}, choices, values.seeds or 1)
    if values.dry_run:
        return session.show_plan(configs)
    runs = session.train(configs)
    with session.tolerating_write_errors():
        session.list_runs(runs, MAX_LISTED)
    return session.end()
