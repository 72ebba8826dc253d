"""What the pages for readers say is true: every command in them runs, every link leads somewhere, every diff applies.

A command is run in a scratch folder on the small digits, with words behind it that make it short. For one that needs
another machine, or that another test runs already, that test is named. A command of an unknown kind fails.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from mnist_depth.cli import flags
from tests.board.boards import write_run as write_events
from tests.results.fabricated_runs import headline

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "README.ko.md", "docs/studies.md", "CONTRIBUTING.md")
PROGRAM = ("python", "-m", "mnist_depth")
TINY = ("--dataset=digits", "--epochs=1", "--quiet", "--workers=1")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of one language on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    """Every command line of a page, without its comment."""
    lines = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    return [shlex.join(words) for line in lines if (words := shlex.split(line, comments=True))]


class Known(NamedTuple):
    """A kind of command, by its first words: what shortens it, what it prints, what it needs; or the tests that do."""

    start: tuple[str, ...]
    more: tuple[str, ...] = ()
    prints: str = ""
    needs: Callable[[Path, Sequence[str]], None] | None = None
    tests: tuple[str, ...] = ()


def _runs(folder: Path, words: Sequence[str]) -> None:
    """A study's folder to report on."""
    wanted = folder / words[-1]
    headline(wanted.parent, seeds=(0,))
    assert wanted.is_dir(), f"the test makes up runs of depth9 only, not {wanted}"


def _events(folder: Path, words: Sequence[str]) -> None:
    write_events(folder / "logs")


def _saved_model(folder: Path, words: Sequence[str]) -> None:
    """A saved sigmoid network and a batch, under the names that the command gives them."""
    import keras

    model = keras.Sequential(
        [keras.Input((64,)), *[keras.layers.Dense(16, "sigmoid") for _ in range(8)], keras.layers.Dense(10)]
    )
    model.save(folder / words[4])
    x = np.random.default_rng(0).random((32, 64), np.float32)
    np.savez(folder / words[words.index("--data") + 1], x=x, y=np.arange(32) % 10)


KNOWN = (
    Known(("scripts/run",), ("--dry_run", "--dataset=digits"), "logs/depth9:"),
    Known(("scripts/check",)),
    Known(("scripts/test",), ("-n0", "--no-header", "-p", "no:cacheprovider"), " passed"),
    Known((*PROGRAM, "study"), ("--dataset=digits", "--dry_run"), " runs, "),
    Known((*PROGRAM, "train"), (*TINY, "--width=16", "--instruments=none"), "finished, test loss"),
    Known((*PROGRAM, "theory"), (), "first / last gradient"),
    Known((*PROGRAM, "list"), (), ":\n  "),
    Known((*PROGRAM, "report"), (), ".html", _runs),
    Known(
        (*PROGRAM, "search"), tests=("tests/cli/test_main.py::test_search_prints_the_best_and_scores_the_winner_once",)
    ),
    Known((*PROGRAM, "diagnose"), (), "VANISHING", _saved_model),
    Known((*PROGRAM, "board"), ("--port=16006",), "http://127.0.0.1:", _events),
    Known(
        (*PROGRAM, "board", "--remote"),
        tests=(
            "tests/board/test_remote.py::test_the_runs_of_the_other_side_are_listed_through_the_tunnel",
            "tests/board/test_remote.py::test_nothing_is_left_on_either_side",
        ),
    ),
    Known(
        ("tensorboard", "--logdir", "logs"),
        tests=("tests/board/test_server.py::test_two_boards_get_two_ports_and_each_shows_its_own_runs",),
    ),
)


def kind_of(command: str) -> Known | None:
    """The kind that fits best; None for a command that no kind fits."""
    words = tuple(shlex.split(command))
    fitting = [kind for kind in KNOWN if words[: len(kind.start)] == kind.start]
    return max(fitting, key=lambda kind: len(kind.start), default=None)


COMMANDS = {command: page for page in reversed(PAGES) for command in commands(page)}
"""Each command once, and the first page that has it."""

ELSEWHERE = {command: kind for command in COMMANDS if (kind := kind_of(command)) and kind.tests}


# The folder where commands run


STUB = '#!/bin/sh\necho "$0 $*" >>"$(dirname "$0")/calls.txt"\n'


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with the diffs of CONTRIBUTING.md in it, and a `.venv` that need not be installed.

    Its `python` is the one that runs the tests; the static checks only note that they were called.
    """
    folder = tmp_path_factory.mktemp("copy") / "checkout"
    ignored = shutil.ignore_patterns("__pycache__", "images")
    for name in ("mnist_depth", "tests", "scripts", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    for diff in blocks("CONTRIBUTING.md", "diff"):
        done = subprocess.run(
            ["git", "apply", "-"], input=diff, capture_output=True, text=True, cwd=folder, check=False
        )
        assert done.returncode == 0, f"a diff of CONTRIBUTING.md is out of date: {done.stderr}"
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    _script(programs / "python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    for name in ("ruff", "basedpyright", "lint-imports", "deptry"):
        _script(programs / name, STUB)
    for extras in ("base", "test", "test,docs"):  # else scripts/bootstrap installs the copy for the running tests
        (folder / ".venv" / f".installed-{extras}").touch()
    return folder


def _script(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def run(words: Sequence[str], cwd: Path, **variables: str) -> str:
    """The standard output of a command that must succeed; `python` is the interpreter of the tests."""
    program = sys.executable if words[0] == "python" else words[0]
    done = subprocess.run(
        [program, *words[1:]],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **variables},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


# Commands


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in ELSEWHERE])
def test_every_command_in_the_pages_runs(command: str, checkout: Path, tmp_path: Path) -> None:
    kind, words = kind_of(command), shlex.split(command)
    assert kind, f"{COMMANDS[command]} says `{command}`, and nobody tries it: enter its kind into KNOWN"
    # Scripts, and what CONTRIBUTING.md adds, are in the copy; the rest runs as with an installed package.
    at_home = words[0].startswith("scripts/") or COMMANDS[command] == "CONTRIBUTING.md"
    folder = checkout if at_home else tmp_path
    if kind.needs:
        kind.needs(folder, words)
    files = words[0] == "scripts/test" and any(word.startswith("tests/") for word in words)
    whole = words[0] == "scripts/test" and not files
    more = [*kind.more, "tests/test_config.py"] if whole else kind.more
    found = (_until_interrupted if "board" in words else run)([*words, *more], folder)
    assert kind.prints in found
    if words[0] in ("scripts/test", "scripts/check") and not files:
        assert _checks(checkout) == ["ruff", "ruff", "basedpyright", "lint-imports", "deptry"]


def _checks(checkout: Path) -> list[str]:
    """The fake programs that were called since the last call."""
    calls = checkout / ".venv" / "bin" / "calls.txt"
    lines = calls.read_text(encoding="utf-8").splitlines()
    calls.unlink()
    return [Path(line.split()[0]).name for line in lines]


@pytest.mark.parametrize("command", ELSEWHERE)
def test_what_is_run_elsewhere_is_run_by_a_test_that_exists(command: str) -> None:
    for test in ELSEWHERE[command].tests:
        path, _, name = test.partition("::")
        assert f"\ndef {name}(" in text_of(path), f"{test}, which runs `{command}`, is no more"
    words = shlex.split(command)
    if tuple(words[:3]) == PROGRAM:
        assert flags.parse(words[2:])[1] == [words[3]]


def _until_interrupted(words: Sequence[str], folder: Path) -> str:
    """What a command that serves until Ctrl-C prints first; it must end by it."""
    with subprocess.Popen(
        [sys.executable, *words[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=60)[0]
    assert "Traceback" not in rest
    return first


def test_an_unknown_command_fits_no_kind() -> None:
    assert kind_of("python -m mnist_depth frobnicate") is None
    assert kind_of("make all") is None


def test_the_pages_are_read() -> None:
    for page in PAGES:
        assert len(commands(page)) >= 5, page
        assert set(commands(page)) <= set(COMMANDS)


def test_the_first_call_installs_and_the_second_does_not(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    _script(programs / "python", STUB)
    for _ in range(2):
        run(["scripts/run", "list"], tmp_path, PYTHON=sys.executable)
    install, first, second = (programs / "calls.txt").read_text().splitlines()
    assert "-m pip install" in install
    assert first == second
    assert first.endswith("-m mnist_depth list")


# Code, diffs and links


BLOCKS = sorted({block for page in PAGES for block in blocks(page, "python")})


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: "block")
def test_the_lines_for_a_model_of_your_own_work(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras
    from sklearn.datasets import load_digits
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.chdir(tmp_path)
    x, y = load_digits(return_X_y=True)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(16, "sigmoid"), keras.layers.Dense(10)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    names: dict[str, Any] = {"model": model, "x": x / 16, "y": y}
    exec(block, names)
    (train,) = tmp_path.rglob("train")
    assert train.parent == tmp_path / "logs" / "mine"
    tags = EventAccumulator(str(train)).Reload().Tags()
    assert any(tag.startswith("probe_gradient_norm/") for tag in tags["scalars"])
    assert tags["graph"]


def test_the_page_for_python_runs_from_top_to_bottom(tmp_path: Path) -> None:
    """In a process of its own, guarded as the page says."""
    lines = "\n".join(blocks("docs/python.md", "python")).splitlines()
    program = tmp_path / "mine.py"
    program.write_text("\n".join(['if __name__ == "__main__":', *(f"    {line}" for line in lines)]), encoding="utf-8")
    program.write_text(program.read_text() + "\n    print(table.to_csv(), page)\n", encoding="utf-8")
    done = subprocess.run([sys.executable, str(program)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^tanh,6,2,0\.\d+,0\.\d+,2,", done.stdout, re.MULTILINE)
    assert "paired t-test over 2 seeds" in done.stdout
    assert "findings: vanishing (error)" in done.stdout
    assert "After:  HEALTHY" in done.stdout
    assert (tmp_path / "gradient_by_layer.pdf").read_bytes().startswith(b"%PDF")
    beside = tmp_path / "logs" / "mine" / "report"
    for name in re.findall(r"`((?:runs|metrics|table)\.\w+)`", text_of("docs/python.md")):
        assert (beside / name).stat().st_size > 0


def _headings(text: str) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _links(text: str) -> list[str]:
    """The targets of a page's links and images, those in code left out."""
    prose = re.sub(r"^```.*?^```$|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", prose)


MARKDOWN = sorted(
    str(path.relative_to(ROOT)) for folder in (ROOT, ROOT / "docs", ROOT / "logs") for path in folder.glob("*.md")
)


@pytest.mark.parametrize("page", MARKDOWN)
def test_every_link_leads_somewhere(page: str) -> None:
    for target in _links(text_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert found.exists(), f"{page}: {target}"
        assert found.is_relative_to(ROOT), f"{page}: {target}"
        if anchor:
            assert anchor in _headings(found.read_text(encoding="utf-8")), f"{page}: {target}"


def test_broken_links_would_be_found() -> None:
    assert _links("[a\nb](docs/x.md) ![c](y.png) `[no](z)`\n```\n[no](z)\n```\n") == ["docs/x.md", "y.png"]
    assert _headings("# What is *not* supported?\n```\n# no\n```\n") == {"what-is-not-supported"}
