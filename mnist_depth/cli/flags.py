"""Every flag of the command line: what it takes, what its help says, which commands take it. absl flags live here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from absl import flags

from mnist_depth import translation
from mnist_depth.cli import spelling
from mnist_depth.config import FIELDS, REGISTRIES, default_of
from mnist_depth.errors import TYPE_NAMES, UserError
from mnist_depth.files import local_path
from mnist_depth.sweeps.backends import BACKENDS
from mnist_depth.sweeps.search import RANGES, SAMPLERS
from mnist_depth.training.options import INSTRUMENTS
from mnist_depth.translation import LANGUAGES

FlagValues = flags.FlagValues

MAX_SEEDS = 1_000


class Flag(NamedTuple):
    """How a flag is defined: absl's function, the default, the help, and what else the function takes."""

    define: Callable[..., Any]
    default: Any
    help: str
    more: Mapping[str, Any] = MappingProxyType({})


def _text(help: str, default: str | None = None) -> Flag:
    return Flag(flags.DEFINE_string, default, help)


def _whole(help: str, default: int | None = None, **bounds: int) -> Flag:
    return Flag(flags.DEFINE_integer, default, help, bounds)


def _switch(help: str) -> Flag:
    return Flag(flags.DEFINE_bool, False, help)


def _choice(help: str, valid: Sequence[str], default: str | None) -> Flag:
    return Flag(flags.DEFINE_enum, default, help, {"enum_values": list(valid)})


def _field(name: str) -> Flag:
    """The flag of a RunConfig field: None where it is not given, so that a study's default counts."""
    spec, default = FIELDS[name], default_of(name)
    help = spec.metadata["help"]
    if name == "dataset":
        help, default = f"{help}; auto is mnist where it is prepared or can be fetched, else digits", "auto"
    if name in REGISTRIES:
        help = f"{help}; see `list {name}s`"
    kinds = {"str": flags.DEFINE_string, "int": flags.DEFINE_integer, "float": flags.DEFINE_float}
    return Flag(kinds[str(spec.type)], None, help if default is None else f"{help} (default: {default})")


FLAGS: dict[str, Flag] = {
    **{name: _field(name) for name in FIELDS},
    "logdir": _text("folder of all runs", "logs"),
    "data_dir": _text("folder of datasets prepared by tensorflow-datasets"),
    "seeds": _whole("number of seeds per configuration, counted from --seed", lower_bound=1, upper_bound=MAX_SEEDS),
    "quick": _switch("the study's small version"),
    "dry_run": _switch("print the runs, their time and disk; write nothing"),
    "workers": _whole("worker processes (default: one per core)"),
    "engine": _choice("where workers run", [*BACKENDS], "local"),
    "engine_address": _text("address of the Ray or Dask cluster"),
    "instruments": _choice("how much is measured", INSTRUMENTS, "standard"),
    "overwrite": _switch("train again and replace runs that are there"),
    "deterministic": _switch("bit-identical for any number of threads; the weights differ from those without it"),
    "keep_going": _switch("train on after a loss that is not finite; the run still ends as diverged"),
    "save_weights": _switch("keep the final weights in weights.weights.h5, 2.7 MB by default"),
    "quiet": _switch("no progress lines"),
    "language": _choice("language of answers, tables and reports (default: that of the locale)", [*LANGUAGES], None),
    "port": _whole("port of the board; the next free one when it is taken", 6006),
    "remote": _text("user@host:/path of logs on another machine, reached through SSH"),
    "attach": _whole("port of a board that already runs on the other machine"),
    "remote_python": _text("interpreter to use on the other machine (default: found there)", ""),
    "ssh_config": _text("configuration file for ssh, as ssh -F takes it"),
    "open_browser": _switch("open the board in a browser; study and train serve it until Ctrl-C"),
    "bind_all": _switch("serve the board to the whole network"),
    "i_know_this_board_has_no_password": _switch("needed by --bind_all"),
    "data": _text("diagnose: .npz file with the arrays x and y of some hundred examples, drawn at random"),
    "repair": _text("diagnose: write a repaired model to this .keras file"),
    "exit_code": _switch("diagnose: exit with status 1 if there is an error, for CI"),
    "trials": _whole("configurations per round of a search", 100),
    "rounds": _whole("rounds of a search; each narrows the range around the best fifth", 2),
    "sampler": _choice("who proposes; tpe is Optuna's", [*SAMPLERS], "random"),
    "halving": _switch("successive halving through Optuna: weak trials get fewer epochs"),
    "choose": _text("FIELD=VALUE,VALUE;FIELD=...: train takes every combination, search draws from them", ""),
    **{
        f"{name}_range": _text(f"LOW,HIGH of the {name.replace('_', ' ')} that search draws, log-uniformly", usual)
        for name, usual in RANGES.items()
    },
    "best": _whole("lines of the best trials to print", 10, lower_bound=0),
    "out": _text("report: a folder for the page, or a file that ends in .html"),
    "columns": _text("report: final figures of the table, separated by commas, such as best_test_accuracy,train_loss"),
    "caption": _text("report: caption of the LaTeX table"),
    "label": _text("report: label of the LaTeX table, such as tab:depth"),
}

FOLDERS = ("logdir", "data_dir")
PATHS = (*FOLDERS, "out", "data", "repair", "ssh_config")

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
    SEARCHING: ("choose", *(f"{name}_range" for name in RANGES), "trials", "rounds", "sampler", "halving", "best"),
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


def define() -> FlagValues:
    """A fresh set of all flags."""
    values = FlagValues()
    for name, flag in FLAGS.items():
        flag.define(name, flag.default, help=flag.help, flag_values=values, **flag.more)
    return values


def parse(argv: Sequence[str]) -> tuple[FlagValues, list[str]]:
    """Return the flags and the remaining words. Raises UserError for a flag or value that is not valid."""
    values = define()
    try:
        words = values(spelling.flag_names(argv, list(values)))
    except flags.UnrecognizedFlagError as error:
        raise _unknown_flag(error.flagname, list(values)) from None
    except (flags.Error, ValueError) as error:  # the latter for a --flagfile that is not text, and --noquick=1
        raise _refused(str(error)) from None
    except RecursionError:  # absl-py looks for similar names, recursively in their length
        raise UserError("unknown flag with a very long name; see python -m mnist_depth --help") from None
    for name in FOLDERS:
        if values[name].value == "":
            raise UserError("--{name} is empty; name a folder", name=name)
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
            _check_is_one(name, text)
    values["choose"].value = spelling.choices(values.choose)


def _check_is_one(name: str, text: str) -> None:
    """Raise UserError for several names where the flag takes one."""
    names = text.split(",")
    if len(names) > 1 and all(spelling.is_known(name, one) for one in names):
        raise UserError(
            '--{name} takes one value; for several use: train --choose "{name}={text}"', name=name, text=text
        )


def _unknown_flag(name: str, valid: Sequence[str]) -> UserError:
    """The error about a flag that does not exist, with one that may have been meant."""
    near = difflib.get_close_matches(name, valid, 1)
    if near:
        return UserError("unknown flag --{name}; did you mean --{near}?", name=name, near=near[0])
    return UserError("unknown flag --{name}; see python -m mnist_depth --help", name=name)


def _refused(text: str) -> UserError:
    """The error for what absl's `text` says about a flag; other texts, such as those about --flagfile, stay."""
    if found := re.match(r"flag --(\w+)=(.*?): ", text, re.DOTALL):
        return _invalid(*found.groups())
    if found := re.fullmatch(r"Missing value for flag -*(\w+)", text):
        return UserError("--{name} needs a value; see python -m mnist_depth --help", name=found[1])
    if found := re.fullmatch(r"-*(\w+)=.* does not take an argument", text, re.DOTALL):
        return UserError("--{name} takes no value; see python -m mnist_depth --help", name=found[1])
    return UserError("{problem}; see python -m mnist_depth --help", problem=text)


def _invalid(name: str, value: str) -> UserError:
    """The error about a value that a flag does not take."""
    flag = FLAGS[name]
    about = {"name": f"--{name}", "value": repr(value), **flag.more}
    if flag.define is flags.DEFINE_enum:
        return UserError("{name} must be one of {valid}, not {value}", **about, valid=", ".join(about["enum_values"]))
    if flag.define is flags.DEFINE_bool:
        return UserError("{name} takes no value, or true or false, not {value}", **about)
    if "upper_bound" in about:
        return UserError(
            "{name} must be a whole number from {low} to {high}, not {value}",
            **about,
            low=about["lower_bound"],
            high=about["upper_bound"],
        )
    if "lower_bound" in about:
        return UserError("{name} must be a whole number of at least {lower_bound}, not {value}", **about)
    kind = TYPE_NAMES["int" if flag.define is flags.DEFINE_integer else "float"]
    return UserError("{name} must be {type}, not {value}", **about, type=kind)


def given(values: FlagValues) -> list[str]:
    """The names of the flags that were given on the command line."""
    return [name for name in values if values[name].present]


def config_overrides(values: FlagValues) -> dict[str, Any]:
    """The RunConfig fields that were given as flags; `--dataset=auto` is not one."""
    given = {name: values[name].value for name in FIELDS if values[name].value is not None}
    if given.get("dataset") == "auto":
        del given["dataset"]
    return given
