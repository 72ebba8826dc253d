"""Names of runs: what differs within their study comes first, and all of it fits TensorBoard's list."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnist_depth.config import RunConfig

Configs = tuple["RunConfig", ...]

MAX_NAME = 39
"""Characters of `<study>/<slug>/seed_<k>`, the name that TensorBoard shows."""

MIN_ROOM, HASH = 16, 3
"""Characters of a slug that every study has, however long its own name, and of a hash in a slug."""

ORDER = (
    "activation",
    "initializer",
    "batch_norm",
    "pretraining",
    "wiring",
    "dropout",
    "logits_activation",
    "optimizer",
    "depth",
    "learning_rate",
    "weight_decay",
    "dataset",
    "width",
)
"""The fields that a name shows first; the others follow in the order of the class."""

ABBREVIATIONS = {
    "very_leaky_relu": "very_leaky",
    "orthogonal": "ortho",
    "mean_field": "mf",
    "rmsprop_tiny_epsilon": "rmsprop_eps",
    "adagrad_from_zero": "adagrad_zero",
    "relu_scored": "scored",
    "glorot_normal": "glorot_n",
    "glorot_uniform": "glorot_u",
    "lecun_normal": "lecun_n",
    "he_normal": "he_n",
    "he_uniform": "he_u",
    "fashion_mnist": "fashion",
}
"""Short forms for names that would be too long."""


def max_length(study: str) -> int:
    """How many characters the slugs in a study's folder may have, with seeds of two digits.

    >>> max_length("depth9"), max_length("depth9/" * 9)
    (24, 16)
    """
    return max(MIN_ROOM, MAX_NAME - len(f"{study}//seed_00"))


DEFAULT_LENGTH = max_length("train")


def slug(
    config: RunConfig,
    variants: Configs = (),
    length: int = DEFAULT_LENGTH,
    short: Mapping[str, str] = ABBREVIATIONS,
) -> str:
    """A name for everything but the seed, different for every config, of at most `length` characters.

    `variants` are the configs of the study. The name leaves out what the most similar of them shares with the config,
    and defaults. Without variants it shows the activation and what is not the default. Names that are too long are
    abbreviated; what does not fit even so is left to a hash of the whole config at the end.
    """
    shown = _shown_fields(config, variants)
    is_exact = all(float(f"{value:g}") == value for value in _values(config, shown) if isinstance(value, float))
    for abbreviations in ({}, short):
        name = "-".join(_word(config, field, abbreviations, digits=6) for field in shown)
        if len(name) <= length and is_exact:
            return name
    return _hashed(config, [_word(config, field, short, digits=3) for field in shown], length)


def slug_0_2(config: RunConfig) -> str:
    """The name that early versions of 0.2 gave, under which their finished runs are found again."""
    return slug(config, length=32, short={})


def slug_0_1(config: RunConfig) -> str:
    """The name that version 0.1 gave, under which its finished runs are found again."""
    core = f"{config.dataset}-d{config.depth:02d}-{config.activation}-{config.initializer}"
    always = ("dataset", "depth", "activation", "initializer", "optimizer", "learning_rate", "seed")
    rest = [f"{config.optimizer}{config.learning_rate:g}"] + [
        _tag(config, name) + _text(getattr(config, name), digits=6)
        for name in _names(config)
        if name not in always and not config.is_default(name)
    ]
    found = "-".join([core, *rest]).replace(":", "_").replace(",", "_")
    exact = [value for value in config.to_dict().values() if isinstance(value, float)]
    if len(found) > 120 or any(float(f"{value:g}") != value for value in exact):
        digest = hashlib.sha256(f"{found}{exact}".encode()).hexdigest()[:8]
        found = f"{found[:111]}-{digest}"
    return found


def _shown_fields(config: RunConfig, variants: Configs) -> list[str]:
    """The fields that the name shows. A reader can work out the others from them, so the name is unambiguous."""
    telling = _telling_fields(variants) if variants else ("activation",)
    # The telling fields alone identify a variant; its other fields are then the usual ones.
    twin = next((one for one in variants if _values(one, telling) == _values(config, telling)), None)

    def is_usual(name: str) -> bool:
        value, common = getattr(config, name), _majority(variants, name)
        if name in telling:
            return value == common if common is not None or name == "activation" else config.is_default(name)
        reference = getattr(twin, name) if twin else common
        if reference is None or (name == "learning_rate" and twin and twin.optimizer != config.optimizer):
            return config.is_default(name)
        return value == reference

    shown = [name for name in _in_order(config) if not is_usual(name)]
    if shown and (not telling or not {*telling}.isdisjoint(shown)):
        return shown
    first = next((name for name in telling if getattr(config, name) != "none"), "activation")
    return [first, *shown]


@lru_cache(maxsize=256)
def _telling_fields(variants: Configs) -> tuple[str, ...]:
    """The first fields, in the order of names, that tell all variants apart."""
    found: list[str] = []
    for name in _in_order(variants[0]):
        if _distinct(variants, [*found, name]) > _distinct(variants, found):
            found.append(name)
    return tuple(found)


def _distinct(variants: Configs, names: Sequence[str]) -> int:
    return len({tuple(_values(one, names)) for one in variants})


@lru_cache(maxsize=4096)
def _majority(variants: Configs, name: str) -> Any:
    """The value of a field that more than half of the variants have; None where no value is so common."""
    counts = Counter(getattr(one, name) for one in variants)
    return next((value for value, count in counts.items() if 2 * count > len(variants)), None)


def _in_order(config: RunConfig) -> list[str]:
    """All fields but the seed, the most informative first."""
    return [*ORDER, *(name for name in _names(config) if name not in (*ORDER, "seed"))]


def _names(config: RunConfig) -> list[str]:
    return [spec.name for spec in fields(config)]


def _values(config: RunConfig, names: Sequence[str]) -> list[Any]:
    return [getattr(config, name) for name in names]


def _tag(config: RunConfig, name: str) -> str:
    return next(spec.metadata["tag"] for spec in fields(config) if spec.name == name)


def _text(value: Any, digits: int) -> str:
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def _word(config: RunConfig, name: str, short: Mapping[str, str], digits: int) -> str:
    """One field of the slug, numbers rounded to `digits` digits; `=` and `+` replace unsafe characters."""
    value = getattr(config, name)
    text = _text(value, digits)
    if isinstance(value, str):
        base, colon, arguments = value.partition(":")
        if digits < 6:
            arguments = re.sub(r"\d+\.\d+", lambda found: f"{float(found[0]):.{digits}g}", arguments)
        text = f"{short.get(base, base)}{colon}{arguments}"
    return _tag(config, name) + text.replace(":", "=").replace(",", "+")


def _hashed(config: RunConfig, words: Sequence[str], length: int) -> str:
    """The words that fit, in their order, and a hash of all fields but the seed."""
    values = {name: value for name, value in config.to_dict().items() if name != "seed"}
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).digest()
    kept = [base64.b32encode(digest).decode().lower()[:HASH]]
    for word in words:
        if len("-".join([*kept, word])) <= length:
            kept.insert(-1, word)
    return "-".join(kept)
