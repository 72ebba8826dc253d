"""Every flag of the command line, and the help that lists them; absl flags live here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from absl import flags

from mnist_depth import translation
from mnist_depth.cli import spelling
from mnist_depth.config import FIELDS, REGISTRIES, default_of
from mnist_depth.errors import UserError
from mnist_depth.files import local_path
from mnist_depth.sweeps.backends import BACKENDS
from mnist_depth.sweeps.search import SAMPLERS
from mnist_depth.training.options import INSTRUMENTS
from mnist_depth.translation import LANGUAGES

FlagValues = flags.FlagValues

DEFINERS: dict[str, Callable[..., Any]] = {
    "str": flags.DEFINE_string,
    "int": flags.DEFINE_integer,
    "float": flags.DEFINE_float,
}

MAX_SEEDS = 1_000

NETWORK = "Network and training (any of them overrides a study's default)"
RUNNING, STUDYING, CHOICES, SEARCHING = "Running", "Studies", "Several configurations", "Searching"
BOARD, PAGES, BATCH, SHOWING = "Board", "Reports", "Diagnosis", "Output"

GROUPS: dict[str, tuple[str, ...]] = {
    NETWORK: tuple(FIELDS),
    RUNNING: (
        "logdir",
        "data_dir",
        "dry_run",
        "workers",
        "engine",
        "engine_address",
        "instruments",
        "overwrite",
        "deterministic",
        "keep_going",
        "save_weights",
        "quiet",
        "port",
        "open_browser",
    ),
    STUDYING: ("seeds", "quick"),
    CHOICES: ("choose", "seeds"),
    SEARCHING: ("choose", "trials", "rounds", "sampler", "halving", "best"),
    BOARD: (
        "logdir",
        "port",
        "remote",
        "attach",
        "remote_python",
        "ssh_config",
        "open_browser",
        "bind_all",
        "i_know_this_board_has_no_password",
    ),
    PAGES: ("out", "columns", "caption", "label", "data_dir"),
    BATCH: ("data", "repair", "exit_code"),
    SHOWING: ("language",),
}
"""Every flag, under what it is about; a command takes the flags of some groups and refuses all others."""

WIDEST = 24

PATHS = ("logdir", "data_dir", "out", "data", "repair", "ssh_config")


def define() -> FlagValues:
    """A fresh set of flags; a RunConfig flag that is not given is None."""
    values = FlagValues()
    for name, spec in FIELDS.items():
        default, text = default_of(name), spec.metadata["help"]
        if name == "dataset":
            text += "; auto is mnist where it is prepared or can be fetched, else digits"
            default = "auto"
        if name in REGISTRIES:
            text += f"; see `list {name}s`"
        shown = text if default is None else f"{text} (default: {default})"
        DEFINERS[str(spec.type)](name, None, shown, flag_values=values)
    _define_running(values)
    _define_board(values)
    return values


def _define_running(values: FlagValues) -> None:
    text, whole, switch = flags.DEFINE_string, flags.DEFINE_integer, flags.DEFINE_bool
    text("logdir", "logs", "folder of all runs", flag_values=values)
    text("data_dir", None, "folder of datasets prepared by tensorflow-datasets", flag_values=values)
    seeds = "number of seeds per configuration, counted from --seed"
    whole("seeds", None, seeds, lower_bound=1, upper_bound=MAX_SEEDS, flag_values=values)
    switch("quick", False, "the study's small version", flag_values=values)
    switch("dry_run", False, "print the runs, their time and disk; write nothing", flag_values=values)
    whole("workers", None, "worker processes (default: one per core)", flag_values=values)
    flags.DEFINE_enum("engine", "local", list(BACKENDS), "where workers run", flag_values=values)
    text("engine_address", None, "address of the Ray or Dask cluster", flag_values=values)
    flags.DEFINE_enum("instruments", "standard", INSTRUMENTS, "how much is measured", flag_values=values)
    switch("overwrite", False, "train again and replace runs that are there", flag_values=values)
    switch(
        "deterministic",
        False,
        "bit-identical for any number of threads; the weights differ from those without it",
        flag_values=values,
    )
    switch(
        "keep_going",
        False,
        "train on after a loss that is not finite; the run still ends as diverged",
        flag_values=values,
    )
    switch("save_weights", False, "keep the final weights in weights.weights.h5, 2.7 MB by default", flag_values=values)
    switch("quiet", False, "no progress lines", flag_values=values)
    languages = "language of answers, tables and reports (default: that of the locale)"
    flags.DEFINE_enum("language", None, list(LANGUAGES), languages, flag_values=values)


def _define_board(values: FlagValues) -> None:
    text, whole, switch = flags.DEFINE_string, flags.DEFINE_integer, flags.DEFINE_bool
    whole("port", 6006, "port of the board; the next free one when it is taken", flag_values=values)
    text("remote", None, "user@host:/path of logs on another machine, reached through SSH", flag_values=values)
    whole("attach", None, "port of a board that already runs on the other machine", flag_values=values)
    text("remote_python", "", "interpreter to use on the other machine (default: found there)", flag_values=values)
    text("ssh_config", None, "configuration file for ssh, as ssh -F takes it", flag_values=values)
    switch(
        "open_browser", False, "open the board in a browser; study and train serve it until Ctrl-C", flag_values=values
    )
    switch("bind_all", False, "serve the board to the whole network", flag_values=values)
    switch("i_know_this_board_has_no_password", False, "needed by --bind_all", flag_values=values)
    text("data", None, "diagnose: .npz file with the arrays x and y of one batch", flag_values=values)
    text("repair", None, "diagnose: write a repaired model to this .keras file", flag_values=values)
    switch("exit_code", False, "diagnose: exit with status 1 if there is an error, for CI", flag_values=values)
    _define_search(values)
    text("out", None, "report: a folder for the page, or a file that ends in .html", flag_values=values)
    columns = "report: final figures of the table, separated by commas, such as best_test_accuracy,train_loss"
    text("columns", None, columns, flag_values=values)
    text("caption", None, "report: caption of the LaTeX table", flag_values=values)
    text("label", None, "report: label of the LaTeX table, such as tab:depth", flag_values=values)


def _define_search(values: FlagValues) -> None:
    text, whole, switch = flags.DEFINE_string, flags.DEFINE_integer, flags.DEFINE_bool
    whole("trials", 100, "configurations per round of a search", flag_values=values)
    whole("rounds", 2, "rounds of a search; each narrows the range around the best fifth", flag_values=values)
    flags.DEFINE_enum("sampler", "random", list(SAMPLERS), "who proposes; tpe is Optuna's", flag_values=values)
    switch("halving", False, "successive halving through Optuna: weak trials get fewer epochs", flag_values=values)
    choose = "FIELD=VALUE,VALUE;FIELD=...: train takes every combination, search draws from them"
    text("choose", "", choose, flag_values=values)
    whole("best", 10, "lines of the best trials to print", lower_bound=0, flag_values=values)


def parse(argv: Sequence[str]) -> tuple[FlagValues, list[str]]:
    """Return the flags and the remaining words. Raises UserError for a flag or value that is not valid."""
    values = define()
    try:
        words = values(spelling.flag_names(argv, list(values)))
    except (flags.Error, UnicodeDecodeError) as error:  # the latter for a --flagfile that is not text
        raise UserError(f"{_plain(str(error))}; see python -m mnist_depth --help") from None
    except RecursionError:  # absl-py looks for similar names, recursively in their length
        raise UserError("unknown flag with a very long name; see python -m mnist_depth --help") from None
    if not values.logdir:
        raise UserError("--logdir is empty; name a folder")
    for name in PATHS:
        local_path(values[name].value or "", f"--{name}")
    _correct_spelling(values)
    translation.activate(values.language or translation.from_environment())
    return values, words[1:]


def _correct_spelling(values: FlagValues) -> None:
    """Write the values of flags as the registries do."""
    for name in REGISTRIES:
        if isinstance(text := values[name].value, str):
            values[name].value = spelling.value(name, text)
    values["choose"].value = spelling.choices(values.choose)


def _plain(text: str) -> str:
    """Python's error about an invalid number, in plain English."""
    whole = text.replace("invalid literal for int() with base 10:", "not a whole number:")
    return whole.replace("could not convert string to float:", "not a number:")


def given(values: FlagValues) -> list[str]:
    """The names of the flags that were given on the command line."""
    return [name for name in values if values[name].present]


def config_overrides(values: FlagValues) -> dict[str, Any]:
    """The RunConfig fields that were given as flags; `--dataset=auto` is not one."""
    given = {name: values[name].value for name in FIELDS if values[name].value is not None}
    if given.get("dataset") == "auto":
        del given["dataset"]
    return given


def help_text(groups: Iterable[str]) -> str:
    """One line per flag of these groups; a flag of several groups is listed in the first one."""
    values = define()
    blocks, listed = [], set[str]()
    for title in groups:
        new = [name for name in GROUPS[title] if name not in listed]
        blocks.append("\n".join([f"\n{title}:", *(f"  --{name:<{WIDEST}} {_help_of(values[name])}" for name in new)]))
        listed |= {*new}
    return "\n".join(blocks)


def common_lines(names: Iterable[str]) -> list[str]:
    """One line for each of these flags, its help cut at the first semicolon."""
    values = define()
    return [f"  --{name:<12} {_help_of(values[name]).partition(';')[0]}" for name in names]


def _help_of(flag: Any) -> str:
    """The help of a flag, followed by its default unless the help already names it."""
    return flag.help if "default" in flag.help or not flag.default else f"{flag.help} (default: {flag.default})"
