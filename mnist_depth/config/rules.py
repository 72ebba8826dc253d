"""Which configs are valid: ranges of fields, arguments of names, and fields that exclude each other."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from mnist_depth.datasets import DATASETS
from mnist_depth.errors import UserError, unknown
from mnist_depth.networks.activations import ACTIVATIONS
from mnist_depth.networks.options import BATCH_NORMS, LOGITS_ACTIVATIONS
from mnist_depth.networks.pretraining import SCOPES
from mnist_depth.networks.wirings import CELL_KINDS, MERGES

if TYPE_CHECKING:
    from mnist_depth.config import RunConfig

MAX_NUMBER = 1e38
"""Largest float value of a field: networks compute in float32, whose maximum is 3.4e38."""


def check(config: RunConfig) -> None:
    """Raise UserError, which names the field and its valid values, unless the config is valid."""
    _check_choice("batch_norm", config.batch_norm, BATCH_NORMS)
    _check_choice("logits_activation", config.logits_activation, LOGITS_ACTIVATIONS)
    _check_ranges(config)
    _check_arguments(config)
    _check_hidden(config)
    _check_recurrent(config)
    _check_pretraining(config)


def _check_ranges(config: RunConfig) -> None:
    for name in ("width", "batch_size", "epochs", "pretraining_epochs"):
        _check_range(name, getattr(config, name), 1, 10_000_000)
    _check_range("depth", config.depth, 1, 999)
    for name in ("learning_rate", "pretraining_learning_rate"):
        if not 0 < getattr(config, name) < math.inf:
            raise UserError("{name} must be a positive number, not {value}", name=name, value=getattr(config, name))
    for name in ("bias_std", "weight_decay", "clip_norm"):
        if not 0 <= getattr(config, name) < math.inf:
            raise UserError(
                "{name} must be zero or a positive number, not {value}", name=name, value=getattr(config, name)
            )
    for spec in fields(config):
        if spec.type == "float":
            _check_largest(spec.name, getattr(config, spec.name))
    if not 0 <= config.dropout < 1:
        raise UserError("dropout must be at least 0 and below 1, not {value}", value=config.dropout)
    _check_range("seed", config.seed, 0, 2**31 - 1)
    _check_range("train_examples", config.train_examples, 0, 10_000_000)


def _check_arguments(config: RunConfig) -> None:
    """Check the arguments of names (`maxout:3`), including against depth and width."""
    base, arguments = config.named("activation")
    if base == "maxout":
        _check_range(UserError("activation maxout: the number of pieces"), arguments[0], 2, 100)
    base, arguments = config.named("initializer")
    if arguments and not 0 <= arguments[0] < math.inf:
        raise UserError(
            "initializer {base}: the number after the colon must be 0 or positive, not {value}",
            base=base,
            value=arguments[0],
        )
    if arguments:
        _check_largest(UserError("initializer {base}: the number after the colon", base=base), arguments[0])
    if base == "mean_field" and arguments[0] < 1 / MAX_NUMBER:
        raise UserError(
            "initializer {base}: the number after the colon must be positive, not {value}",
            base=base,
            value=arguments[0],
        )
    base, arguments = config.named("wiring")
    if base == "residual":
        _check_residual(config, arguments[0])
    elif base == "split_merge":
        _check_split(config, *arguments)
    elif base == "recurrent" and arguments[0] not in CELL_KINDS:
        raise UserError(
            "unknown wiring {wiring!r}; valid after the colon: {valid}",
            wiring=config.wiring,
            valid=", ".join(CELL_KINDS),
        )


def _check_residual(config: RunConfig, every: int) -> None:
    hidden = config.depth - 1
    if hidden < 1:
        raise UserError("wiring residual needs a hidden layer: depth must be at least 2")
    what = UserError("wiring residual at depth {depth}: the number after the colon", depth=config.depth)
    _check_range(what, every, 1, hidden)


def _check_split(config: RunConfig, branches: int, merge: str) -> None:
    if merge not in MERGES:
        raise UserError(
            "unknown wiring {wiring!r}; valid after the comma: {valid}", wiring=config.wiring, valid=", ".join(MERGES)
        )
    if config.depth < 3:
        raise UserError("wiring split_merge needs a shared layer and one in the branches: depth must be at least 3")
    _check_range(UserError("wiring split_merge: the number of branches"), branches, 2, 100)
    if merge == "concat" and config.width % branches:
        raise UserError(
            "width must be a multiple of the {branches} branches of {wiring}, not {width}",
            branches=branches,
            wiring=config.wiring,
            width=config.width,
        )


def _check_hidden(config: RunConfig) -> None:
    """Raise UserError if a field acts on hidden layers and there are none."""
    if config.depth > 1:
        return
    for name, idle in (("batch_norm", "none"), ("dropout", 0.0)):
        if getattr(config, name) != idle:
            raise UserError(
                "{name} needs a hidden layer: depth must be at least 2, or {name} {idle}", name=name, idle=idle
            )


def _check_recurrent(config: RunConfig) -> None:
    if config.named("wiring")[0] != "recurrent":
        return
    if not DATASETS[config.dataset].is_image:
        raise UserError(
            "dataset must be one of {valid} with recurrent wiring, not {dataset}",
            valid=_image_datasets(),
            dataset=config.dataset,
        )
    if config.depth < 2:
        raise UserError("wiring recurrent needs a hidden layer: depth must be at least 2")
    if config.named("activation")[0] == "maxout":
        choices = ", ".join(name for name in ACTIVATIONS if name != "maxout")
        raise UserError("activation maxout does not work with recurrent wiring; valid: {valid}", valid=choices)
    for name in ("batch_norm", "pretraining"):
        if getattr(config, name) != "none":
            raise UserError(
                "{name} must be none with recurrent wiring, not {value!r}", name=name, value=getattr(config, name)
            )


def _check_pretraining(config: RunConfig) -> None:
    base, arguments = config.named("pretraining")
    if base == "lsuv" and arguments[0] not in SCOPES:
        raise UserError(
            "unknown pretraining {pretraining!r}; valid after the colon: {valid}",
            pretraining=config.pretraining,
            valid=", ".join(SCOPES),
        )
    if base == "dbn":
        _check_dbn(config, *arguments)


def _check_dbn(config: RunConfig, gibbs_steps: int) -> None:
    _check_range(UserError("pretraining dbn: the number of Gibbs steps after the colon"), gibbs_steps, 1, 1000)
    if not DATASETS[config.dataset].is_image:
        raise UserError(
            "dataset must be one of {valid} with pretraining dbn, not {dataset}",
            valid=_image_datasets(),
            dataset=config.dataset,
        )
    if config.depth < 2:
        raise UserError("pretraining dbn needs a hidden layer: depth must be at least 2")
    for name, valid in (("activation", "sigmoid"), ("wiring", "plain"), ("batch_norm", "none"), ("bias_std", 0.0)):
        if getattr(config, name) != valid:
            raise UserError(
                "{name} must be {valid} with pretraining dbn, not {value}",
                name=name,
                valid=valid,
                value=getattr(config, name),
            )


def _image_datasets() -> str:
    return ", ".join(name for name, entry in DATASETS.items() if entry.is_image)


def _check_choice(name: str, value: str, choices: Mapping[str, str]) -> None:
    if value not in choices:
        raise unknown(name, value, choices)


def _check_range(name: UserError | str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise UserError(
            "{name} must be a whole number from {low} to {high}, not {value}",
            name=name,
            low=low,
            high=high,
            value=shown(value),
        )


def _check_largest(name: UserError | str, value: float) -> None:
    if value > MAX_NUMBER:
        raise UserError("{name} must be at most {high:g}, not {value:g}", name=name, high=MAX_NUMBER, value=value)


def shown(value: Any) -> UserError | str:
    """A value for an error, cut where it is long or deep."""
    try:
        return reprlib.repr(value)
    except ValueError:
        return UserError("a number of thousands of digits")  # more digits than Python converts to text
