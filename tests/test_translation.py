"""The catalogs: complete, with every placeholder, compiled; and texts in the language that was asked for."""

from __future__ import annotations

import ast
import io
import os
import re
import string
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.mofile import write_mo
from rich.cells import cell_len

from mnist_depth import translation
from mnist_depth.cli.usage import usage
from mnist_depth.config import RunConfig
from mnist_depth.records import read_run
from mnist_depth.results.diagnosis import diagnose_run, render_pair
from mnist_depth.results.groups import read_runs
from mnist_depth.results.overview import Overview, Story
from mnist_depth.results.page import render
from mnist_depth.results.pictures import draw_figures
from mnist_depth.tensorboard_plugin.texts import TEXTS
from scripts import translations
from tests.results.fabricated_runs import headline, write_run

FOREIGN = [language for language in translation.LANGUAGES if language != "en"]


def texts(message: Message) -> list[tuple[str, str]]:
    """(English, translation) of a message, of both of its numbers where it counts."""
    ids = message.id if isinstance(message.id, (list, tuple)) else [message.id]
    found = message.string if isinstance(message.string, (list, tuple)) else [message.string]
    return [(ids[min(place, len(ids) - 1)], text or "") for place, text in enumerate(found)]


def placeholders(text: str) -> set[tuple[str, str]]:
    """(name, format) of everything in braces."""
    return {(name, form or "") for _, name, form, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", FOREIGN)
def test_every_message_of_the_package_is_translated(language: str) -> None:
    catalog, wanted = translations.read_catalog(language), translations.messages()
    known = {str(message.id): message for message in catalog if message.id}
    needed = {str(message.id) for message in wanted if message.id}
    assert needed == set(known)
    assert not [message.id for message in known.values() if not all(text for _, text in texts(message))]
    assert not [message.id for message in known.values() if message.fuzzy], "left out when the catalog is compiled"
    assert len(needed) > 300


def calls_of(source: str, *functions: str) -> list[ast.Call]:
    """The calls of functions with these names."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call for call in calls if ast.unparse(call.func).rpartition(".")[2] in functions]


def is_collected(call: ast.Call) -> bool:
    """Whether a UserError gets its sentence as a literal, which no value has been put into, and all of its values."""
    if ast.unparse(call) in COLLECTED_ELSEWHERE:
        return True
    text, given = call.args[0] if call.args else None, {keyword.arg for keyword in call.keywords}
    if not isinstance(text, ast.Constant):
        return False
    return None in given or given == {name for name, _ in placeholders(str(text.value)) if given}


def prints_a_sentence(call: ast.Call) -> bool:
    """Whether words in a row are printed that no function translates."""
    texts = [argument.values if isinstance(argument, ast.JoinedStr) else [argument] for argument in call.args]
    words = [part.value for parts in texts for part in parts if isinstance(part, ast.Constant)]
    return any(re.search(r"[A-Za-z]{2,},? [a-z]{2,}", str(text)) for text in words)


COLLECTED_ELSEWHERE = ("UserError(kind)", "UserError(unknown)")
"""Calls whose texts are arguments of `unknown`, and messages of `why_unknown`."""

UNTRANSLATED = ("__main__.py", "runtime", "instrument", "board/launcher.py")
"""Where no catalog is at hand: before the command line is imported, in any Keras training, on another machine."""


def test_every_error_and_every_printed_sentence_is_collected_for_translation() -> None:
    """A text that is put together before it is looked up would be in no catalog."""
    uncollected = []
    for path in sorted(translations.PACKAGE.rglob("*.py")):
        source, place = path.read_text(encoding="utf-8"), path.relative_to(translations.PACKAGE).as_posix()
        found = [call for call in calls_of(source, "UserError", "Busy") if not is_collected(call)]
        if not place.startswith(UNTRANSLATED):
            found += filter(prints_a_sentence, calls_of(source, "print", "print_error"))
        uncollected += [f"{place}:{call.lineno}: {ast.unparse(call)}" for call in found]
    assert not uncollected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ('UserError(f"no file {x}")', False),
        ('UserError("no file {x}", y=x)', False),
        ('UserError("no file {x}", x=x)', True),
        ('UserError("no file")', True),
    ],
)
def test_an_error_that_is_not_collected_would_be_found(code: str, expected: bool) -> None:
    assert [is_collected(call) for call in calls_of(code, "UserError")] == [expected]


def test_a_printed_sentence_that_is_not_collected_would_be_found() -> None:
    calls = calls_of('print(f"Note: no file {x}"); print(f"{x}: {y}"); print(_("no file"))', "print")
    assert [prints_a_sentence(call) for call in calls] == [True, False, False]


@pytest.mark.parametrize("language", FOREIGN)
def test_every_placeholder_survives_with_its_format(language: str) -> None:
    for message in translations.read_catalog(language):
        for english, text in texts(message) if message.id else []:
            assert placeholders(english) == placeholders(text), english


def test_a_lost_placeholder_would_be_found() -> None:
    assert placeholders("{best:.2%} of {count}") != placeholders("{best} of {count}")
    assert placeholders("{best:.2%} of {count}") == placeholders("{count}: {best:.2%}")


@pytest.mark.parametrize("language", FOREIGN)
def test_the_compiled_catalog_is_that_of_its_source(language: str) -> None:
    compiled = io.BytesIO()
    write_mo(compiled, translations.read_catalog(language))
    assert translations.catalog_path(language).with_suffix(".mo").read_bytes() == compiled.getvalue()


def test_texts_are_in_the_active_language() -> None:
    translation.activate("ko")
    assert translation.translate("reproduced") == "재현됨"
    assert translation.translate("best test accuracy {best:.2%}, bar {bar:.0%}", best=0.5, bar=0.9).endswith("90%")
    assert all(translation.translate(text) for text in TEXTS.values())
    translation.activate("en")
    assert translation.translate("reproduced") == "reproduced"


def test_the_locale_chooses_the_language_and_a_variable_of_our_own_wins() -> None:
    assert translation.from_environment({"LANG": "ko_KR.UTF-8"}) == "ko"
    assert translation.from_environment({"LANG": "de_DE.UTF-8"}) == "en"
    assert translation.from_environment({"LC_ALL": "", "LC_MESSAGES": "ko", "LANG": "C"}) == "ko"
    assert translation.from_environment({"MNIST_DEPTH_LANGUAGE": "en", "LC_ALL": "ko_KR"}) == "en"
    assert translation.from_environment({}) == "en"


def test_a_report_is_korean_throughout(tmp_path: Path) -> None:
    root = headline(tmp_path, seeds=[0], depth=3)
    write_run(tmp_path, RunConfig(activation="tanh", depth=3), status="diverged")
    translation.activate("ko")
    overview = Overview(read_runs(root)[0], Story("depth9", answers=[("x", "not comparable", "y")]))
    text = render(overview, draw_figures(overview), [], 0, "")
    assert '<html lang="ko">' in text
    for part in ("결과", "비교할 수 없음", "테스트 정확도", "에포크", "층별 기울기", "발산", "학습 전"):
        assert part in text
    for part in ("Results", "not comparable", "test accuracy", "epochs<", "diverged", "before training"):
        assert part not in text.split("</style>", 1)[1]


def test_help_is_korean_where_it_is_asked_for() -> None:
    for words in ([], ["all"], ["search"], ["report"]):
        lines = usage([*words, "--language", "ko"]).splitlines()
        assert lines[0].startswith("사용법:")
        flags_of = [line for line in lines if line.startswith("  --")]
        assert len(flags_of) >= 5
        assert all(re.search("[가-힣]", line) for line in flags_of)
    assert usage(["--language=en"]).startswith("usage:")


def test_a_diagnosis_in_the_terminal_is_korean_and_fits(tmp_path: Path) -> None:
    folder = write_run(tmp_path, RunConfig(activation="sigmoid"), gain=0.236)
    translation.activate("ko")
    record = read_run(folder)
    lines = render_pair(diagnose_run(record, "start"), diagnose_run(record, "end")).splitlines()
    assert lines[0] == "학습 전"
    assert max(map(cell_len, lines)) <= 100
    words = [line for line in lines if line and not line.startswith("layer_")]
    assert len(words) > 10
    assert not [line for line in words if re.search(r"[a-z]{3,} [a-z]{3,}", line)], "English words in a row"


def test_python_code_follows_the_variable_and_not_the_locale() -> None:
    code = "from mnist_depth.translation import translate; print(translate('test accuracy'))"
    for variables, text in (
        ({"MNIST_DEPTH_LANGUAGE": "ko"}, "테스트 정확도"),
        ({"LANG": "ko_KR.UTF-8"}, "test accuracy"),
    ):
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8", **variables}
        command = [sys.executable, "-c", code]
        ended = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=True)
        assert ended.stdout.strip() == text


def test_what_python_code_prints_for_a_person_follows_the_locale_unless_a_language_was_chosen() -> None:
    code = (
        "from mnist_depth.translation import activate, of_terminal, translate\n"
        "with of_terminal(): print(translate('nothing'))\n"
        "print(translate('nothing'))\n"
        "activate('en')\n"
        "with of_terminal(): print(translate('nothing'))\n"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "LC_ALL": "ko_KR.UTF-8"}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, encoding="utf-8")
    assert ended.stdout.split("\n") == ["바뀐 것 없음", "nothing", "nothing", ""]
