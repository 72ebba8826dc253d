"""Look up names in the registries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from mnist_depth.errors import TYPE_NAMES, UserError, unknown


@dataclass(frozen=True)
class Entry:
    """One line of a registry.

    `summary` is what `python -m mnist_depth list` prints. `build` makes the thing and imports Keras only when called.
    `arguments` are the defaults of the values that may follow the name after a colon (`maxout:3`); their types are the
    types that the values must have.
    """

    summary: str
    build: Callable[..., Any]
    arguments: tuple[int | float | str, ...] = ()


AnyEntry = TypeVar("AnyEntry", bound=Entry)


def split_name(name: str) -> tuple[str, list[str]]:
    """Split a name from its arguments.

    >>> split_name("normal:0.5")
    ('normal', ['0.5'])
    >>> split_name("split_merge:2,add")
    ('split_merge', ['2', 'add'])
    """
    base, colon, rest = name.partition(":")
    return base, rest.split(",") if colon else []


def lookup(
    registry: Mapping[str, AnyEntry], name: str, kind: str, also: Iterable[str] = ()
) -> tuple[AnyEntry, tuple[int | float | str, ...]]:
    """Return the entry called `name` and its arguments, given ones first, then defaults.

    Raises UserError that lists the valid names and may suggest one of them or of the aliases in `also`, or says what
    the arguments must be.

    >>> registry = {"maxout": Entry("largest of k pieces", int, (2,)), "relu": Entry("max(0, z)", int)}
    >>> lookup(registry, "maxout:3", "activation")[1]
    (3,)
    >>> lookup(registry, "maxout", "activation")[1]
    (2,)
    >>> lookup(registry, "rely", "activation")
    Traceback (most recent call last):
    mnist_depth.errors.UserError: unknown activation 'rely'; valid: maxout, relu; did you mean relu?
    """
    base, given = split_name(name)
    if base not in registry:
        raise unknown(kind, name, registry, also)
    entry = registry[base]
    if len(given) > len(entry.arguments):
        raise UserError(
            "{kind} {name!r} takes at most {count} argument(s) after the colon",
            kind=kind,
            name=name,
            count=len(entry.arguments),
        )
    return entry, tuple(
        _convert(text, default, name, kind) for text, default in zip(given, entry.arguments, strict=False)
    ) + entry.arguments[len(given) :]


def _convert(text: str, default: int | float | str, name: str, kind: str) -> int | float | str:
    try:
        return type(default)(text)
    except ValueError:
        raise UserError(
            "{kind} {name!r}: {text!r} is not {type}",
            kind=kind,
            name=name,
            text=text,
            type=TYPE_NAMES[type(default).__name__],
        ) from None
