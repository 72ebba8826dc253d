"""Collect the messages of the package into its catalogs and compile them: `python scripts/translations.py`.

Messages come from the code (KEYWORDS), from the report's template, and from data:
the texts of studies, remedies and figures. A message that is new or has changed is left empty in the catalogs;
translate it there and run this again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from mnist_depth.cli import flags
from mnist_depth.cli.commands import COMMANDS
from mnist_depth.cli.list_names import LISTS
from mnist_depth.diagnosis import HEALTHY, KINDS
from mnist_depth.diagnosis.remedies import RULES
from mnist_depth.figures.data import CURVES, QUANTITIES, SPLITS, SUBJECTS
from mnist_depth.networks.optimizers import OPTIMIZERS
from mnist_depth.studies import STUDIES
from mnist_depth.studies.names import WORDS
from mnist_depth.tensorboard_plugin.texts import TEXTS
from mnist_depth.translation import DOMAIN, FOLDER, LANGUAGES

PACKAGE = FOLDER.parent
KEYWORDS = {
    **dict.fromkeys(("_", "translate", "mark", "Message", "UserError", "Busy")),
    "plural": (1, 2),
    "unknown": (1,),
    "lookup": (3,),
}
"""Function -> which of its arguments are messages; None: the first one."""

METHODS = [("**/templates/**.j2", "jinja2"), ("**.py", "python")]


def messages() -> Catalog:
    """Every message of the package, untranslated."""
    catalog = Catalog(project=DOMAIN)
    found = extract_from_dir(PACKAGE, METHODS, keywords=KEYWORDS, comment_tags=("Translators:",))
    for file, _line, message, _comments, _context in found:
        catalog.add(message, locations=[(file, 0)])
    for message, where in data():
        catalog.add(message, locations=[(where, 0)])
    return catalog


def data() -> Iterator[tuple[str, str]]:
    """(message, where) of the texts in registries that are translated where they are shown."""
    for name, study in STUDIES.items():
        why = [study.why] if isinstance(study.why, str) else [part.text for part in study.why]
        texts = [study.question, study.answer, *why]
        for text in [*texts, *(expectation.statement for expectation in study.expectations)]:
            if text:
                yield text, f"studies: {name}"
    for text in WORDS:
        yield text, "studies: names"
    for verdict, rules in RULES.items():
        yield verdict, "diagnosis: verdict"
        for rule in rules:
            yield rule.remedy.action, "diagnosis: remedies"
            yield rule.remedy.evidence, "diagnosis: remedies"
    for kind in (HEALTHY, *KINDS):
        yield kind, "diagnosis: kinds"
    for text in {text for kind in KINDS.values() for text in (kind.severity, kind.source, kind.remedy)}:
        yield text, "diagnosis: kinds"
    titles = [*(one.title for one in QUANTITIES.values()), *(title for title, _ in SUBJECTS.values()), *CURVES, *SPLITS]
    for text in [*TEXTS.values(), *titles]:
        yield text, "Depth tab"
    for kind, entries in LISTS.items():
        for text in ({} if kind == "studies" else entries()).values():
            if not text.startswith("= ") and "; learning rate" not in text:
                yield text, "list"
    for text in [entry.summary for entry in OPTIMIZERS.values()]:
        yield text, "list"
    for text in [
        *(flag.help for flag in flags.FLAGS.values()),
        *flags.GROUPS,
        *(command.summary for command in COMMANDS.values()),
    ]:
        yield text, "help"


def catalog_path(language: str) -> Path:
    return FOLDER / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def read_catalog(language: str) -> Catalog:
    """The catalog of a language; an empty one where there is none yet."""
    path = catalog_path(language)
    if not path.exists():
        return Catalog(locale=language, project=DOMAIN)
    with path.open("rb") as file:
        return read_po(file, locale=language, domain=DOMAIN)


def update(language: str) -> list[str]:
    """Bring a language's catalog up to date and compile it; the messages that it does not translate."""
    catalog = read_catalog(language)
    created = catalog.creation_date
    catalog.update(messages(), no_fuzzy_matching=True)
    catalog.creation_date = created  # so that a catalog without changes stays as it is
    catalog.obsolete.clear()
    path = catalog_path(language)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, catalog, width=120, sort_output=True, omit_header=False, include_lineno=False)
    with path.with_suffix(".mo").open("wb") as file:
        write_mo(file, catalog)
    return [str(message.id) for message in catalog if message.id and not _is_translated(message)]


def _is_translated(message: Message) -> bool:
    """Whether it has a text, in every plural form."""
    return all(message.string if isinstance(message.string, (list, tuple)) else [message.string])


def main() -> int:
    """Update all catalogs; 1 where a message is not translated."""
    missing = {language: update(language) for language in LANGUAGES if language != "en"}
    for language, found in missing.items():
        print(f"{language}: {len(found)} messages without translation")
        for message in found:
            print(f"  {message}")
    return int(any(missing.values()))


if __name__ == "__main__":
    sys.exit(main())
