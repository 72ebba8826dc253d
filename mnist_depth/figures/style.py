"""Assign trainings to lines, with a color, a marker and a label."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mnist_depth.figures.data import Training
from mnist_depth.translation import translate as _

COLOR_OF: dict[str, str] = {
    "sigmoid": "#d1495b",
    "relu": "#1b73b3",
    "tanh": "#2a9d5c",
    "leaky_relu": "#6f5fb5",
    "very_leaky_relu": "#a06cc4",
    "elu": "#e08e2b",
    "selu": "#8c6d3f",
    "softplus": "#d977ad",
    "gelu": "#14a3a3",
    "swish": "#7f8c2a",
    "maxout": "#6b7280",
    "linear": "#444b57",
}
"""The same activation has the same color in every figure."""

COLORS = (
    "#1b73b3", "#d1495b", "#2a9d5c", "#e08e2b", "#6f5fb5", "#14a3a3", "#d977ad", "#8c6d3f", "#7f8c2a", "#6b7280",
)  # fmt: skip

MARKERS = (
    "circle", "square", "diamond", "triangle-up", "x", "cross", "star", "triangle-down", "pentagon", "hexagon",
    "triangle-left", "triangle-right",
)  # fmt: skip
"""Markers by plotly's names."""

SELF_EXPLAINING = ("name", "activation", "initializer", "optimizer", "dataset", "wiring", "pretraining")
"""Fields whose values need no name before them."""


@dataclass(frozen=True)
class Line:
    """One configuration: its trainings differ only in the seed."""

    label: str
    color: str
    marker: str
    members: tuple[int, ...]
    """Places in the list of trainings."""
    study: str = ""
    color_text: str = ""
    """What the color means."""
    marker_text: str = ""
    """What the marker means."""


def lines(trainings: Sequence[Training], color_by: str = "activation") -> list[Line]:
    """One line per configuration: its color shows one field, its marker all others that vary.

    Trainings without fields are lines of their own.
    """
    groups: dict[str, list[int]] = {}
    for place, training in enumerate(trainings):
        config = {name: value for name, value in training.fields.items() if name != "seed"}
        key = json.dumps(config, sort_keys=True, default=str) if config else training.name
        groups.setdefault(key, []).append(place)
    firsts = [trainings[places[0]] for places in groups.values()]
    rest = [name for name in telling_fields(firsts) if name != color_by]
    looks = looks_of(
        [str(one.fields.get(color_by, one.name)) for one in firsts],
        [" ".join(f"{name}={one.fields.get(name)}" for name in rest) for one in firsts],
    )
    return [
        Line(
            label,
            color,
            marker,
            tuple(places),
            str(first.fields.get("study", "")),
            _word(color_by, first.fields[color_by]) if color_by in first.fields else first.name,
            ", ".join(_word(name, first.fields.get(name)) for name in rest),
        )
        for label, (color, marker), places, first in zip(_labels(firsts), looks, groups.values(), firsts, strict=True)
    ]


def distinct(
    trainings: Sequence[Training], color_by: str, *, markers: bool = True
) -> tuple[list[Training], list[Line], str]:
    """As many lines as look different, evenly spaced among all, their trainings, and a note if these are not all.

    Without `markers` only colors distinguish lines.
    """
    groups = lines(trainings, color_by)
    firsts = list({line.color_text: line for line in groups}.values())
    rests = {line.marker_text for line in groups}
    if not markers:
        chosen = _spaced(firsts, len(COLORS))
    elif len(firsts) <= len(COLORS) and len(rests) <= len(MARKERS):
        chosen = groups
    else:
        chosen = _spaced(groups, len(MARKERS))
    if len(chosen) == len(groups):
        return list(trainings), groups, ""
    kept = [trainings[place] for line in chosen for place in line.members]
    named = [replace(line, label=whole.label) for line, whole in zip(lines(kept, color_by), chosen, strict=True)]
    return kept, named, _("{shown} of {count} configurations", shown=len(chosen), count=len(groups))


def _spaced(groups: Sequence[Line], count: int) -> list[Line]:
    """At most `count` of these, evenly spaced, the first and the last among them."""
    last = len(groups) - 1
    return [groups[round(place * last / max(1, count - 1))] for place in range(count)] if last >= count else [*groups]


def drawn(
    trainings: Sequence[Training], color_by: str, has: Callable[[Training], bool], hidden: Collection[str] = ()
) -> tuple[list[Training], list[Line]]:
    """The trainings that have what a figure shows, and their lines, which look as they do among all trainings.

    `hidden` holds labels, as `plain` returns them, of lines to leave out.
    """
    groups = [line for line in lines(trainings, color_by) if plain(line.label) not in hidden]
    kept = [place for line in groups for place in line.members if has(trainings[place])]
    places = {place: new for new, place in enumerate(kept)}
    groups = [
        replace(line, members=tuple(places[place] for place in line.members if place in places)) for line in groups
    ]
    return [trainings[place] for place in kept], [line for line in groups if line.members]


def looks_of(firsts: Sequence[str], rests: Sequence[str]) -> list[tuple[str, str]]:
    """(color, marker) of every line: a color per value of its first field, a marker per value of all others.

    Where only the first field varies, each line has a marker of its own too, for print in black and white. With more
    values than markers, lines of one color have different ones as far as there are enough.
    """
    shapes = {rest: place for place, rest in enumerate(dict.fromkeys(rests))}
    places = [shapes[rest] for rest in rests]
    colors = _colors(firsts)
    if len(shapes) == 1:
        places = list(range(len(firsts)))
    elif len(shapes) > len(MARKERS):
        places = [colors[:place].count(color) for place, color in enumerate(colors)]
    return [(color, MARKERS[place % len(MARKERS)]) for color, place in zip(colors, places, strict=True)]


def _colors(values: Sequence[str]) -> list[str]:
    """A color per value: the usual one of an activation, the next free one otherwise."""
    chosen: dict[str, str] = {value: COLOR_OF[value] for value in values if value in COLOR_OF}
    free = [color for color in COLORS if color not in chosen.values()] or list(COLORS)
    for value in values:
        if value not in chosen:
            chosen[value] = free[(len(chosen)) % len(free)]
    return [chosen[value] for value in values]


def _labels(firsts: Sequence[Training]) -> list[str]:
    """A label of the fields that distinguish each configuration; the training's name if it has no fields."""
    telling = telling_fields(firsts)
    labels = []
    for training in firsts:
        words = [
            _word(name, training.fields[name]) for name in telling if training.fields.get(name) not in (None, "none")
        ]
        labels.append(", ".join(words) or training.name)
    return [
        label if labels.count(label) == 1 else f"{label} ({one.name})"
        for label, one in zip(labels, firsts, strict=True)
    ]


def telling_fields(trainings: Sequence[Training]) -> list[str]:
    """The fields in which trainings differ, the activation first, without the seed and what follows from another one.

    A field follows from one before it where equal values of that one come with equal values of it, as a usual learning
    rate comes with an optimizer.
    """
    names = list(dict.fromkeys(name for training in trainings for name in training.fields if name != "seed"))
    names.sort(key=lambda name: name != "activation")
    columns = {name: [str(one.fields.get(name)) for one in trainings] for name in names}
    kept: list[str] = []
    for name in names:
        differs = len(set(columns[name])) > 1
        if differs and not any(_follows(columns[name], columns[earlier]) for earlier in kept):
            kept.append(name)
    return kept


def _follows(effect: Sequence[str], cause: Sequence[str]) -> bool:
    pairs = set(zip(cause, effect, strict=True))
    return len(pairs) == len({one for one, _effect in pairs})


def _word(name: str, value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if name in SELF_EXPLAINING else f"{name.replace('_', ' ')} {text}"


def plain(text: str) -> str:
    """Escape text for plotly, which interprets `<b>` and links as markup."""
    return html.escape(text, quote=False)


def matches(training: Training, words: str) -> bool:
    """Whether every word of a filter is in the name or in a field; `field=value` must be equal, `-word` must not match.

    >>> training = Training("depth9/relu/seed_0", {}, {"activation": "relu", "depth": 9})
    >>> [matches(training, words) for words in ("relu", "depth=9 seed_0", "-relu", "tanh")]
    [True, True, False, False]
    """
    return all(_matches_word(training, word) for word in words.split())


def _matches_word(training: Training, word: str) -> bool:
    if word.startswith("-") and len(word) > 1:
        return not _matches_word(training, word[1:])
    name, equals, value = word.partition("=")
    if equals and name in training.fields:
        return _as_text(training.fields, name) == value
    texts = [training.name, *(_as_text(training.fields, one) for one in training.fields)]
    return any(word.lower() in text.lower() for text in texts)


def _as_text(fields: Mapping[str, Any], name: str) -> str:
    value = fields[name]
    return f"{value:g}" if isinstance(value, float) else str(value)
