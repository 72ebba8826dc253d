"""Map spelling variants to valid names: `ReLU`, `he-normal`, `--learning-rate`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from mnist_depth.config import ALIASES, REGISTRIES


def plain(text: str) -> str:
    """The letters and digits of a name, in lower case.

    >>> plain("He-Normal"), plain("Leaky ReLU")
    ('henormal', 'leakyrelu')
    """
    return re.sub(r"[-_ ]", "", text).lower()


def known(name: str, valid: Iterable[str]) -> str:
    """The valid name that equals `name` up to case, hyphens and underscores; otherwise `name` unchanged.

    >>> known("ReLU", ["tanh", "relu"]), known("swosh", ["swish"])
    ('relu', 'swosh')
    """
    names = list(valid)
    found = [one for one in names if plain(one) == plain(name)]
    return name if name in names or len(found) != 1 else found[0]


def value(field: str, text: str) -> str:
    """A field's value with the registry's spelling, what follows a colon left as it is: `Maxout:3` is `maxout:3`."""
    if field not in REGISTRIES:
        return text
    base, colon, arguments = text.partition(":")
    return f"{known(base, [*REGISTRIES[field], *ALIASES.get(field, {})])}{colon}{arguments}"


def is_known(field: str, text: str) -> bool:
    """Whether this is a value of the field's registry, in any spelling."""
    return value(field, text).partition(":")[0] in {*REGISTRIES[field], *ALIASES.get(field, {})}


def choices(text: str) -> str:
    """The text of --choose with the registries' spelling of fields and values."""
    parts = []
    for part in text.split(";"):
        name, equals, values = part.partition("=")
        field = name.strip().replace("-", "_")
        parts.append(f"{field}{equals}{','.join(value(field, one.strip()) for one in values.split(','))}")
    return ";".join(parts)


def flag_names(argv: Sequence[str], flags: Collection[str]) -> list[str]:
    """The command line with `--learning-rate` written as the flag `--learning_rate`."""
    return [_flag_name(word, flags) for word in argv]


def _flag_name(word: str, flags: Collection[str]) -> str:
    match = re.fullmatch(r"(--?)(no[-_]?)?([A-Za-z][\w-]*)(=.*)?", word, re.DOTALL)
    if not match:
        return word
    dashes, no, name, rest = (part or "" for part in match.groups())
    for prefix, candidate in (("", no + name), ("no" if no else "", name)):
        found = known(candidate, flags)
        if found in flags:
            return f"{dashes}{prefix}{found}{rest}"
    return word
