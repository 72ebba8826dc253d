"""Any JSON for a config: a run's settings or one line that says what is wrong, and a name that stays in its folder."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_depth import records
from mnist_depth.cli import output, progress
from mnist_depth.config import FIELDS, RunConfig
from mnist_depth.errors import UserError
from mnist_depth.results import provenance
from mnist_depth.summaries import text

from .hostile import FLOATS, INTEGERS, NASTY, NOT_FINITE, is_one_line, reproducible, texts, tried, typed, usual

pytestmark = pytest.mark.slow

DEEP: Any = json.loads("[" * 400 + "]" * 400)
ODD = [None, True, False, [], {}, [1, [2]], {"a": {"b": None}}, DEEP, *INTEGERS, *FLOATS, *NOT_FINITE, *NASTY]
odd = st.sampled_from(ODD)
anything = st.recursive(odd, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))

usual_values = st.sampled_from([(name, value) for name in FIELDS for value in usual(name)])
right_types = st.sampled_from([(name, value) for name in FIELDS for value in typed(name)])
wrong_types = st.sampled_from([(name, value) for name in (*FIELDS, "epoch", "__class__", "") for value in ODD])
configs = st.one_of(
    st.lists(usual_values, max_size=4).map(dict),
    st.lists(right_types, max_size=2).map(dict),
    st.lists(st.one_of(usual_values, right_types, wrong_types), max_size=5).map(dict),
)


@reproducible(1_000)
@given(values=configs)
def test_fields_make_a_config_with_a_harmless_name_or_one_line(values: dict[str, Any]) -> None:
    config = tried(lambda: RunConfig.from_dict(values))
    if isinstance(config, UserError):
        assert is_one_line(config)
        return
    assert RunConfig.from_json(config.to_json()) == config
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+=-]{0,24}", config.slug)
    folder = records.run_folder(Path("/nowhere/logs"), "study", config)
    assert folder.resolve().parts[3:] == ("study", config.slug, f"seed_{config.seed}")


def test_numbers_that_python_does_not_spell_out_are_refused() -> None:
    for field in ("depth", "learning_rate", "activation"):
        with pytest.raises(UserError, match=f"^{field}"):
            RunConfig.from_dict({field: 10**5_000})


rests = st.dictionaries(
    st.sampled_from(["dataset", "environment", "command", "format", "config"]), anything, max_size=2
)
whole = st.builds(lambda config, rest: json.dumps({"format": 1, "config": config, **rest}), configs, rests)
JUNK = ["{", "}", ",", '"', "\0", "NaN", '"depth": 1, ', '"config": {}, ', json.dumps(DEEP), "9" * 5_000, "\udc80"]
damaged = st.builds(
    lambda text, at, junk: text[:at] + junk + text[at:], whole, st.integers(0, 300), st.sampled_from(JUNK)
)
TEXTS = ["", "NaN", "{" * 100_000, "\ufeff{}", '{"format": 1, "config": {"depth": 3, "depth": "x"}}']
documents = st.one_of(whole, whole.map(str), damaged, anything.map(json.dumps), st.sampled_from(TEXTS))
markers = st.one_of(
    st.none(),
    st.dictionaries(st.sampled_from(["status", "metrics", "seconds", "steps", "confusion"]), anything, max_size=4),
    st.dictionaries(texts, odd, max_size=3).map(lambda metrics: {"status": "finished", "metrics": metrics}),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder to write into again and again."""
    folder = tmp_path_factory.mktemp("json") / "study" / "slug" / "seed_0"
    folder.mkdir(parents=True)
    return folder


@reproducible(1_000)
@given(document=documents, marker=markers)
def test_files_make_a_record_that_can_be_shown_or_one_line_that_names_the_file(
    folder: Path, document: str, marker: Any
) -> None:
    (folder / records.CONFIG).write_bytes(document.encode("utf-8", "surrogatepass"))
    (folder / records.DONE).unlink(missing_ok=True)
    if marker is not None:
        (folder / records.DONE).write_text(json.dumps(marker))
    progress.read(folder)
    found = records.find_runs(folder.parents[2])
    run = tried(lambda: records.read_run(folder))
    if isinstance(run, UserError):
        assert found == []
        assert is_one_line(run)
        assert str(run).startswith((str(folder / records.CONFIG), str(folder / records.DONE)))
        return
    assert [one.config for one in found] == [run.config]
    _show(run)
    state = tried(lambda: records.state(folder, run.config))
    if isinstance(state, UserError):
        assert str(state).startswith(str(folder / records.CONFIG))
    else:
        assert state == ("complete" if run.done else "unfinished")


def _show(run: records.RunRecord) -> None:
    """Everything that is printed or drawn of these two files alone."""
    text.config_table(run.config)
    text.reproduce(run)
    output.scores_of(run)
    provenance.environment([run])
    provenance.commands([run])
