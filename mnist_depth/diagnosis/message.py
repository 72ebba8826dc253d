"""Sentences of a diagnosis: English text that keeps its template and values, so that it can be shown translated."""

from __future__ import annotations

from typing import Any

from mnist_depth.translation import translate


class Message(str):
    """An English sentence, filled in; `template` and `values` are what a translation needs.

    `localized` translates where a message is shown. A value that is a Message is translated with it.

    >>> Message("the loss is {loss:.3g}", loss=2.30259)
    'the loss is 2.3'
    """

    template: str
    values: dict[str, Any]

    def __new__(cls, template: str, /, **values: Any) -> Message:
        message = super().__new__(cls, template.format(**values) if values else template)
        message.template, message.values = template, values
        return message


def localized(text: str) -> str:
    """A text of a diagnosis in the active language: a sentence, a note, a source, a verdict, a remedy."""
    if not isinstance(text, Message):
        return translate(text)
    values = {name: localized(value) if isinstance(value, Message) else value for name, value in text.values.items()}
    return translate(text.template, **values)
