"""RunConfig: one network and its training, complete, validated, written into the run folder."""

from __future__ import annotations

import html
import json
import math
import numbers
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from typing import Any

from mnist_depth import naming
from mnist_depth.config import rules
from mnist_depth.datasets import DATASETS
from mnist_depth.errors import TYPE_NAMES, UserError, unknown
from mnist_depth.networks import activations, initializers
from mnist_depth.networks.activations import ACTIVATIONS
from mnist_depth.networks.initializers import INITIALIZERS
from mnist_depth.networks.optimizers import OPTIMIZERS
from mnist_depth.networks.pretraining import PRETRAININGS
from mnist_depth.networks.wirings import WIRINGS
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
            self._set("learning_rate", OPTIMIZERS[split_name(self.optimizer)[0]].learning_rate)
        if self.epochs is None:
            self._set("epochs", DATASETS[self.dataset].epochs)
        if self.pretraining_epochs is None:
            self._set("pretraining_epochs", _usual_pretraining_epochs(self.dataset))
        rules.check(self)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_types(self) -> None:
        for spec in fields(self):
            value, wanted = getattr(self, spec.name), spec.type
            if value is None and spec.name in DERIVED:
                continue
            # A number of NumPy, as in np.logspace(-3, -1, 5), becomes Python's.
            if isinstance(value, numbers.Number) and (to_python := getattr(value, "item", None)):
                value = to_python()
                self._set(spec.name, value)
            if wanted == "float" and isinstance(value, int) and not isinstance(value, bool):
                value = float(value) if abs(value) < 2**1023 else math.inf
                self._set(spec.name, value)
            if type(value).__name__ != wanted:
                raise UserError(
                    "{name} must be {type}, not {value}",
                    name=spec.name,
                    type=TYPE_NAMES[str(wanted)],
                    value=rules.shown(value),
                )

    def named(self, name: str) -> tuple[str, tuple[Any, ...]]:
        """The name of a registry's entry in field `name`, and all its arguments."""
        value = getattr(self, name)
        return split_name(value)[0], lookup(REGISTRIES[name], value, name, ALIASES.get(name, ()))[1]

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
            "learning_rate": OPTIMIZERS[split_name(self.optimizer)[0]].learning_rate,
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
        for name in values:
            if name not in FIELDS:
                raise unknown("field", name, FIELDS)
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
    entry, arguments = lookup(registry, value, field_name, ALIASES.get(field_name, ()))
    while arguments and arguments[-1] == entry.arguments[len(arguments) - 1]:
        arguments = arguments[:-1]
    base = split_name(value)[0]
    return f"{base}:{','.join(map(_exact, arguments))}" if arguments else base


def full_name(field_name: str, value: str) -> str:
    """The spelling that a config has of a name in this field; the value itself where it names nothing.

    >>> full_name("initializer", "he"), full_name("activation", "maxout:2"), full_name("loss", "mse")
    ('he_normal', 'maxout', 'mse')
    """
    if field_name not in REGISTRIES:
        return value
    try:
        return _canonical(field_name, value)
    except UserError:
        return value


def _exact(value: float | str) -> str:
    """The shortest text that reads back as `value`."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _usual_pretraining_epochs(dataset: str) -> int:
    return DATASETS[dataset].epochs // 3
