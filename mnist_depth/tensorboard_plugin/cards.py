"""A card per configuration: an entry of the legend with its verdict; their order, and which are drawn at first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mnist_depth.diagnosis import HEALTHY, localized
from mnist_depth.figures.data import Training
from mnist_depth.figures.places import are_variants
from mnist_depth.figures.style import Line, lines, plain
from mnist_depth.summaries.tags import VERDICT
from mnist_depth.tensorboard_plugin.data import Found, Source
from mnist_depth.translation import language

MAX_DIFFERENT = 12
"""Lines of different models that are all drawn at first."""

MAX_AT_FIRST = 6
"""Lines that are drawn at first where there are more: the newest and those with the worst verdicts."""


@dataclass(frozen=True)
class Card:
    """One configuration."""

    line: Line
    run: str
    """The run of TensorBoard's list that its links open."""
    verdict: str
    created: str
    """When its training began, as ISO 8601; empty where that is not known."""

    @property
    def key(self) -> str:
        """What the page calls its lines."""
        return plain(self.line.label)

    @property
    def severity(self) -> int:
        """0 for a problem, 1 where there is no verdict, 2 for a healthy network."""
        if not self.verdict.startswith("**"):
            return 1
        return 2 if self.verdict.startswith(tuple(f"**{say(HEALTHY).upper()}**" for say in (str, localized))) else 0

    def as_json(self) -> dict[str, Any]:
        line = self.line
        look = {"label": line.label, "key": self.key, "color": line.color, "marker": line.marker}
        return look | {"seeds": len(line.members), "run": self.run, "verdict": self.verdict}


def cards_of(
    source: Source, found: Sequence[Found], trainings: Sequence[Training], color_by: str, where: tuple[Any, str]
) -> list[Card]:
    """Those of a study in the order of its trainings; otherwise the newest first, then the worst."""
    written = source.texts(found, VERDICT, *where) if found else {}
    groups = lines(trainings, color_by)
    cards = [_card(source, line, [found[place] for place in line.members], written) for line in groups]
    if all(line.study for line in groups):
        return cards
    newest = max(card.created for card in cards)
    return sorted(cards, key=lambda card: (not newest or card.created != newest, card.severity))


def _card(source: Source, line: Line, members: Sequence[Found], written: Mapping[str, str]) -> Card:
    def verdict(one: Found) -> str:
        """That of the event files, which is in English, or one judged here in the active language."""
        known = written.get(one.name, "")
        return known if known and language() == "en" else source.verdict(one) or known

    return Card(
        line,
        run=members[0].home,
        verdict=next((text for one in members if (text := verdict(one))), ""),
        created=max(map(source.created, members)),
    )


def hidden_at_first(cards: Sequence[Card], trainings: Sequence[Training]) -> list[str]:
    """Keys of the lines that are not drawn until the user asks for them: none in a study or of variants of a model."""
    if len(cards) <= MAX_DIFFERENT or all(card.line.study for card in cards):
        return []
    if are_variants([training.layers for training in trainings]):
        return []
    return [card.key for card in cards[MAX_AT_FIRST:]]
