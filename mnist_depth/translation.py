"""Translations of user-facing texts: gettext catalogs in `locale/`, one folder per language.

The message in the code is the whole English sentence, with named placeholders that are filled after translation, so
that a translator can reorder them. `scripts/translations` collects the messages and compiles the catalogs.
"""

from __future__ import annotations

import contextlib
import gettext
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mnist_depth.errors import unknown

LANGUAGES = {"en": "English", "ko": "한국어"}
"""Code -> name in the language itself. English is the language of the messages and has no catalog."""

DOMAIN, FOLDER = "mnist_depth", Path(__file__).parent / "locale"

VARIABLES = ("MNIST_DEPTH_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
"""Environment variables that name the language of messages, the strongest first: our own, then those of POSIX."""

_active: dict[str, Any] = {"language": "en", "catalog": gettext.NullTranslations(), "chosen": False}


def activate(language: str) -> None:
    """Translate everything from here on. Raises UserError for a language that is not in LANGUAGES."""
    if language not in LANGUAGES:
        raise unknown("language", language, LANGUAGES)
    catalog = gettext.translation(DOMAIN, FOLDER, [language], fallback=True)
    _active.update(language=language, catalog=catalog, chosen=True)


def language() -> str:
    """The code of the active language."""
    return _active["language"]


def from_environment(variables: Mapping[str, str] = os.environ) -> str:
    """The language that the locale asks for, English where there is no catalog of it.

    >>> from_environment({"LANG": "ko_KR.UTF-8"}), from_environment({"LC_ALL": "C", "LANG": "ko_KR.UTF-8"})
    ('ko', 'en')
    """
    chosen = next((variables[name] for name in VARIABLES if variables.get(name)), "")
    code = chosen.partition("_")[0].partition(".")[0]
    return code if code in LANGUAGES else "en"


if os.environ.get(VARIABLES[0]) in LANGUAGES:
    activate(os.environ[VARIABLES[0]])  # also where no command runs: figures and tables from Python and in notebooks


@contextlib.contextmanager
def of_terminal() -> Iterator[None]:
    """Within the context texts are in the language of the locale, unless another one was chosen.

    For sentences that Python code prints for a person; figures and tables need fonts, and follow the variable alone.
    """
    before = dict(_active)
    if not before["chosen"]:
        activate(from_environment())
    try:
        yield
    finally:
        _active.update(before)


def translate(message: str, **values: Any) -> str:
    """The message in the active language, its placeholders filled with `values`.

    >>> translate("best test accuracy {best:.2%}", best=0.9712)
    'best test accuracy 97.12%'
    """
    text = _active["catalog"].gettext(message) if message else ""
    return text.format(**values) if values else text


def plural(one: str, many: str, count: int, **values: Any) -> str:
    """`one` or `many` by the rules of the active language; `{count}` is filled as well.

    >>> plural("{count} run", "{count} runs", 3)
    '3 runs'
    """
    return _active["catalog"].ngettext(one, many, count).format(count=count, **values)


def mark(message: str) -> str:
    """Mark a text in data for collection and return it unchanged; it is translated where it is shown."""
    return message
