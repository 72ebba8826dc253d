"""RunConfig: one network and its training, complete, validated, written into the run folder."""

from __future__ import annotations

import html
import json
import math
import reprlib
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from typing import Any

from mnist_depth import naming
from mnist_depth.datasets import DATASETS
from mnist_depth.errors import UserError, unknown
from mnist_depth.networks import activations, initializers
from mnist_depth.networks.activations import ACTIVATIONS
from mnist_depth.networks.initializers import INITIALIZERS
from mnist_depth.networks.optimizers import LEARNING_RATES, OPTIMIZERS
from mnist_depth.networks.options import BATCH_NORMS, LOGITS_ACTIVATIONS
from mnist_depth.networks.pretraining import PRETRAININGS, SCOPES
from mnist_depth.networks.wirings import CELL_KINDS, MERGES, WIRINGS
from mnist_depth.registry import Entry, lookup, split_name

REGISTRIES: dict[str, Mapping[str, Entry]] = {
    "dataset": DATASETS,
    "activation": ACTIVATIONS,
    "initializer": INITIALIZERS,
    "optimizer": OPTIMIZERS,
    "wiring": WIRINGS,
    "pretraining": PRETRAININGS,
}
"""The fields that name an entry of a registry."""

ALIASES: dict[str, Mapping[str, str]] = {"activation": activations.ALIASES, "initializer": initializers.ALIASES}
"""Other names that a field accepts."""

DERIVED = ("learning_rate", "epochs", "pretraining_epochs")
"""Fields that may be None: their default then follows from the optimizer or the dataset."""

TYPE_NAMES = {"int": "a whole number", "float": "a number", "str": "a name"}

MAX_NUMBER = 1e38
"""Largest float value of a field: networks compute in float32, whose maximum is 3.4e38."""


def _option(default: Any, help_text: str, tag: str = "") -> Any:
    """A field with its help text; `tag` is what the slug puts before a value that is not the default."""
    return field(default=default, metadata={"help": help_text, "tag": tag})


@dataclass(frozen=True, kw_only=True, repr=False)
class RunConfig:
    """One network and its training.

    `learning_rate`, `epochs` and `pretraining_epochs` may be None: the optimizer's usual rate and the dataset's usual
    number of passes are filled in. Aliases (`xavier`) are replaced by the name they mean and arguments by their
    shortest spelling (`maxout:2` is `maxout`), so equal configs are equal objects. Raises UserError that names the
    field and its valid values, also where two fields exclude each other.

    >>> RunConfig(optimizer="adam").learning_rate
    0.001
    >>> RunConfig(activation="maxout:2") == RunConfig(activation="maxout")
    True
    >>> RunConfig(dropout=1.0)
    Traceback (most recent call last):
    mnist_depth.errors.UserError: dropout must be at least 0 and below 1, not 1.0
    """

    dataset: str = _option("mnist", "dataset to train on")
    depth: int = _option(9, "number of weight layers, the output layer included", "d")
    width: int = _option(256, "units per hidden layer", "w")
    activation: str = _option("relu", "activation of the hidden layers")
    initializer: str = _option("glorot_normal", "initializer of the kernels")
    bias_std: float = _option(0.0, "standard deviation of the initial biases; 0 is zero biases", "bias")
    optimizer: str = _option("sgd", "optimizer")
    learning_rate: float = _option(None, "step size of the optimizer; default: the optimizer's usual rate", "lr")
    batch_size: int = _option(100, "images per optimizer step", "b")
    epochs: int = _option(None, "passes over the training images; default: the dataset's usual number", "e")
    seed: int = _option(0, "seed of initialization, data order, dropout and sampling")
    wiring: str = _option("plain", "how the hidden layers are connected", "")
    batch_norm: str = _option("none", "batch normalization, before or after the activation", "bn_")
    dropout: float = _option(0.0, "share of hidden units dropped in training (keep = 1 - dropout)", "drop")
    weight_decay: float = _option(0.0, "L2 penalty: adds weight_decay / 2 * sum of squared kernels to the loss", "wd")
    clip_norm: float = _option(0.0, "global gradient norm above which gradients are scaled down; 0 is off", "clip")
    pretraining: str = _option("none", "what happens to the network before training", "")
    pretraining_epochs: int = _option(
        None, "passes over the training images for each pre-trained layer; default: a third of the usual epochs", "pe"
    )
    pretraining_learning_rate: float = _option(0.1, "step size of the pre-training", "plr")
    logits_activation: str = _option(
        "linear", "activation put on the logits; relu is the lecture notes' mistake", "logits_"
    )
    train_examples: int = _option(0, "training images used, from the start of the split; 0 is all", "n")

    def __post_init__(self) -> None:
        self._check_types()
        for name in REGISTRIES:
            self._set(name, _canonical(name, getattr(self, name)))
        if self.learning_rate is None:
            self._set("learning_rate", LEARNING_RATES[split_name(self.optimizer)[0]])
        if self.epochs is None:
            self._set("epochs", DATASETS[self.dataset].epochs)
        if self.pretraining_epochs is None:
            self._set("pretraining_epochs", _usual_pretraining_epochs(self.dataset))
        _check_choice("batch_norm", self.batch_norm, BATCH_NORMS)
        _check_choice("logits_activation", self.logits_activation, LOGITS_ACTIVATIONS)
        self._check_ranges()
        self._check_arguments()
        self._check_hidden()
        self._check_recurrent()
        self._check_pretraining()

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_types(self) -> None:
        for spec in fields(self):
            value, wanted = getattr(self, spec.name), spec.type
            if value is None and spec.name in DERIVED:
                continue
            if wanted == "float" and isinstance(value, int) and not isinstance(value, bool):
                value = float(value) if abs(value) < 2**1023 else math.inf
                self._set(spec.name, value)
            if type(value).__name__ != wanted:
                raise UserError(f"{spec.name} must be {TYPE_NAMES[str(wanted)]}, not {_shown(value)}")

    def _check_ranges(self) -> None:
        for name in ("width", "batch_size", "epochs", "pretraining_epochs"):
            _check_range(name, getattr(self, name), 1, 10_000_000)
        _check_range("depth", self.depth, 1, 999)
        for name in ("learning_rate", "pretraining_learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"{name} must be a positive number, not {getattr(self, name)}")
        for name in ("bias_std", "weight_decay", "clip_norm"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"{name} must be zero or a positive number, not {getattr(self, name)}")
        for spec in fields(self):
            if spec.type == "float":
                _check_largest(spec.name, getattr(self, spec.name))
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout must be at least 0 and below 1, not {self.dropout}")
        _check_range("seed", self.seed, 0, 2**31 - 1)
        _check_range("train_examples", self.train_examples, 0, 10_000_000)

    def _check_arguments(self) -> None:
        """Check the arguments of names (`maxout:3`), including against depth and width."""
        base, arguments = self._named("activation")
        if base == "maxout":
            _check_range("activation maxout: the number of pieces", arguments[0], 2, 100)
        base, arguments = self._named("initializer")
        if arguments and not 0 <= arguments[0] < math.inf:
            raise UserError(f"initializer {base}: the number after the colon must be 0 or positive, not {arguments[0]}")
        if arguments:
            _check_largest(f"initializer {base}: the number after the colon", arguments[0])
        if base == "mean_field" and arguments[0] < 1 / MAX_NUMBER:
            raise UserError(f"initializer {base}: the number after the colon must be positive, not {arguments[0]}")
        base, arguments = self._named("wiring")
        if base == "residual":
            self._check_residual(arguments[0])
        elif base == "split_merge":
            self._check_split(*arguments)
        elif base == "recurrent" and arguments[0] not in CELL_KINDS:
            raise UserError(f"unknown wiring {self.wiring!r}; valid after the colon: {', '.join(CELL_KINDS)}")

    def _check_residual(self, every: int) -> None:
        hidden = self.depth - 1
        if hidden < 1:
            raise UserError("wiring residual needs a hidden layer: depth must be at least 2")
        _check_range(f"wiring residual at depth {self.depth}: the number after the colon", every, 1, hidden)

    def _check_split(self, branches: int, merge: str) -> None:
        if merge not in MERGES:
            raise UserError(f"unknown wiring {self.wiring!r}; valid after the comma: {', '.join(MERGES)}")
        if self.depth < 3:
            raise UserError("wiring split_merge needs a shared layer and one in the branches: depth must be at least 3")
        _check_range("wiring split_merge: the number of branches", branches, 2, 100)
        if merge == "concat" and self.width % branches:
            raise UserError(f"width must be a multiple of the {branches} branches of {self.wiring}, not {self.width}")

    def _check_hidden(self) -> None:
        """Raise UserError if a field acts on hidden layers and there are none."""
        if self.depth > 1:
            return
        for name, idle in (("batch_norm", "none"), ("dropout", 0.0)):
            if getattr(self, name) != idle:
                raise UserError(f"{name} needs a hidden layer: depth must be at least 2, or {name} {idle}")

    def _check_recurrent(self) -> None:
        if self._named("wiring")[0] != "recurrent":
            return
        if not DATASETS[self.dataset].is_image:
            raise UserError(f"dataset must be one of {_image_datasets()} with recurrent wiring, not {self.dataset}")
        if self.depth < 2:
            raise UserError("wiring recurrent needs a hidden layer: depth must be at least 2")
        if self._named("activation")[0] == "maxout":
            choices = ", ".join(name for name in ACTIVATIONS if name != "maxout")
            raise UserError(f"activation maxout does not work with recurrent wiring; valid: {choices}")
        for name in ("batch_norm", "pretraining"):
            if getattr(self, name) != "none":
                raise UserError(f"{name} must be none with recurrent wiring, not {getattr(self, name)!r}")

    def _check_pretraining(self) -> None:
        base, arguments = self._named("pretraining")
        if base == "lsuv" and arguments[0] not in SCOPES:
            raise UserError(f"unknown pretraining {self.pretraining!r}; valid after the colon: {', '.join(SCOPES)}")
        if base == "dbn":
            self._check_dbn(*arguments)

    def _check_dbn(self, gibbs_steps: int) -> None:
        _check_range("pretraining dbn: the number of Gibbs steps after the colon", gibbs_steps, 1, 1000)
        if not DATASETS[self.dataset].is_image:
            raise UserError(f"dataset must be one of {_image_datasets()} with pretraining dbn, not {self.dataset}")
        if self.depth < 2:
            raise UserError("pretraining dbn needs a hidden layer: depth must be at least 2")
        for name, valid in (("activation", "sigmoid"), ("wiring", "plain"), ("batch_norm", "none"), ("bias_std", 0.0)):
            if getattr(self, name) != valid:
                raise UserError(f"{name} must be {valid} with pretraining dbn, not {getattr(self, name)}")

    def _named(self, name: str) -> tuple[str, tuple[Any, ...]]:
        """The name of a registry's entry in field `name`, and all its arguments."""
        value = getattr(self, name)
        return split_name(value)[0], lookup(REGISTRIES[name], value, name)[1]

    @property
    def slug(self) -> str:
        """A short name of everything but the seed: activation, then non-default fields, most informative first.

        >>> RunConfig(activation="sigmoid", seed=7).slug
        'sigmoid'
        >>> RunConfig(depth=5, initializer="he_normal", dropout=0.3).slug
        'relu-he_normal-drop0.3-d5'
        """
        return naming.slug(self)

    def is_default(self, name: str) -> bool:
        """Whether a field has its usual value; that of DERIVED fields follows from other fields."""
        usual = {
            "learning_rate": LEARNING_RATES[split_name(self.optimizer)[0]],
            "epochs": DATASETS[self.dataset].epochs,
            "pretraining_epochs": _usual_pretraining_epochs(self.dataset),
        }
        return getattr(self, name) == usual.get(name, FIELDS[name].default)

    def __repr__(self) -> str:
        """The call that makes this config, without fields that have their default.

        >>> RunConfig(activation="tanh", optimizer="adam")
        RunConfig(activation='tanh', optimizer='adam')
        """
        changed = [name for name in FIELDS if not self.is_default(name)]
        return f"RunConfig({', '.join(f'{name}={getattr(self, name)!r}' for name in changed)})"

    def _repr_html_(self) -> str:
        """Every field with its value and help, for a notebook."""
        rows = [
            f"<tr><th>{name}</th><td>{html.escape(str(getattr(self, name)))}</td><td>{spec.metadata['help']}</td></tr>"
            for name, spec in FIELDS.items()
        ]
        return f"<table>{''.join(rows)}</table>"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=1)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """The config of `values`; fields that are left out take their defaults. Raises UserError on unknown ones."""
        names = [spec.name for spec in fields(cls)]
        if foreign := sorted(set(values) - set(names)):
            raise UserError(f"unknown config field(s) {', '.join(map(repr, foreign))}; valid: {', '.join(names)}")
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> RunConfig:
        """The config written by `to_json`. Raises UserError when `text` is not a JSON object of config fields."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            raise UserError("the config is not valid JSON") from None
        if not isinstance(values, dict):
            raise UserError("the config must be a JSON object of field names and values")
        return cls.from_dict(values)


FIELDS: dict[str, Field[Any]] = {spec.name: spec for spec in fields(RunConfig)}


def layer_name(index: int, depth: int) -> str:
    """`layer_03` for the third of up to 99 weight layers, `layer_003` in deeper networks; `index` counts from 1.

    Names are zero-padded so that every tool sorts them in depth order.

    >>> layer_name(3, depth=9)
    'layer_03'
    >>> layer_name(3, depth=100)
    'layer_003'
    """
    return f"layer_{index:0{max(2, len(str(depth)))}d}"


def default_of(name: str) -> Any:
    """The default of a field; None where it depends on other fields."""
    default = FIELDS[name].default
    return None if default is MISSING else default


def _canonical(field_name: str, value: str) -> str:
    """The one spelling of a registry's name and arguments: no alias, no argument that is the default anyway."""
    registry = REGISTRIES[field_name]
    value = ALIASES.get(field_name, {}).get(value, value)
    entry, arguments = lookup(registry, value, field_name)
    while arguments and arguments[-1] == entry.arguments[len(arguments) - 1]:
        arguments = arguments[:-1]
    base = split_name(value)[0]
    return f"{base}:{','.join(map(_exact, arguments))}" if arguments else base


def _image_datasets() -> str:
    return ", ".join(name for name, entry in DATASETS.items() if entry.is_image)


def _exact(value: float | str) -> str:
    """The shortest text that reads back as `value`."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _usual_pretraining_epochs(dataset: str) -> int:
    return DATASETS[dataset].epochs // 3


def _check_choice(name: str, value: str, choices: Mapping[str, str]) -> None:
    if value not in choices:
        raise unknown(name, value, choices)


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise UserError(f"{name} must be a whole number from {low} to {high}, not {_shown(value)}")


def _check_largest(name: str, value: float) -> None:
    if value > MAX_NUMBER:
        raise UserError(f"{name} must be at most {MAX_NUMBER:g}, not {value:g}")


def _shown(value: Any) -> str:
    """A value for an error, cut where it is long or deep."""
    try:
        return reprlib.repr(value)
    except ValueError:
        return "a number of thousands of digits"  # more digits than Python converts to text
