"""Damaged files of run folders and caches: used anyway, or named in one line."""

from __future__ import annotations

import json
import random
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_depth import datasets, records
from mnist_depth.board.server import start_board
from mnist_depth.cli import output, progress
from mnist_depth.config import RunConfig
from mnist_depth.datasets.cache import cache_dir
from mnist_depth.errors import UserError
from mnist_depth.instrument import EventWriter, Histogram, JsonLinesWriter
from mnist_depth.results import rendering
from mnist_depth.results.rendering import Picture
from mnist_depth.summaries import pictures
from mnist_depth.summaries.write import write_run, write_study
from mnist_depth.training import loop
from mnist_depth.training.options import RunOptions
from mnist_depth.training.run import train_run

from ..board.boards import eventually
from .hostile import call, is_one_line, reproducible, tried

pytestmark = pytest.mark.slow

FLAGS = ("--dataset=xor", "--depth=2", "--width=4", "--epochs=3", "--weight_decay=1e-4")
CONFIG = RunConfig(dataset="xor", depth=2, width=4, epochs=3, weight_decay=1e-4)
UNFINISHED = replace(CONFIG, seed=1)

BYTES = 64
"""Maximum number of bytes that are lost or replaced in one place."""

TOKEN = re.compile(rb'-?\d+(?:\.\d+)?(?:e[-+]?\d+)?|"[^"]*"')
"""A number or a string of JSON."""

TOKENS = (
    b"null", b"true", b"-1", b"0", b"1.5", b"1e308", b"-1e308", b"5e-324", b"1e999", b"NaN", b"9" * 400, b"9" * 5_000,
    b"9007199254740991", b"9223372036854775808", b'"x"', b'"nan"', b'"\\ud800"', b'"\\u001b[2J"', b'"$x^{$"', b"[]",
    b"{}", b'"layer_01"', b'{"a": [1, {"b": 2}]}', b"[" * 300 + b"]" * 300,
)  # fmt: skip


class Damage(NamedTuple):
    """What happens to which file, and where in it."""

    kind: str
    pattern: str
    place: float
    """From 0, the start of the file, to 1."""
    seed: int

    def apply(self, folder: Path) -> None:
        chance = random.Random(self.seed)
        path = chance.choice([path for path in sorted(folder.glob(self.pattern)) if path.is_file()])
        content = path.read_bytes()
        path.write_bytes(DAMAGES[self.kind](content, int(self.place * len(content)), chance))


def _token(content: bytes, at: int, chance: random.Random) -> bytes:
    found = TOKEN.search(content, at) or TOKEN.search(content)
    if found is None:
        return content
    return content[: found.start()] + chance.choice(TOKENS) + content[found.end() :]


def _flip(content: bytes, at: int, chance: random.Random) -> bytes:
    return content[:at] + bytes(byte ^ 1 << chance.randrange(8) for byte in content[at : at + 1]) + content[at + 1 :]


def _size(chance: random.Random) -> int:
    return chance.randint(1, BYTES)


DAMAGES: dict[str, Callable[[bytes, int, random.Random], bytes]] = {
    "emptied": lambda content, at, chance: b"",
    "cut": lambda content, at, chance: content[:at],
    "zeros at the end": lambda content, at, chance: content[:at] + bytes(len(content) - at),
    "a bit flipped": _flip,
    "bytes lost": lambda content, at, chance: content[:at] + content[at + _size(chance) :],
    "bytes put in": lambda content, at, chance: content[:at] + chance.randbytes(_size(chance)) + content[at:],
    "bytes replaced": lambda content, at, chance: content[:at] + chance.randbytes(BYTES) + content[at + BYTES :],
    "only noise": lambda content, at, chance: chance.randbytes(len(content)),
    "a huge line": lambda content, at, chance: content[:at] + b"\n" + b"a" * 300_000 + b"\n" + content[at:],
    "depth": lambda content, at, chance: content[:at] + b"\n" + b"[" * 100_000 + b"\n" + content[at:],
    "another value": _token,
}

kinds = st.sampled_from([*DAMAGES, *["another value"] * 5, *["a bit flipped"] * 3])


def damages(*patterns: str) -> st.SearchStrategy[Damage]:
    """What may happen to a file that one of the patterns fits."""
    places = st.integers(0, 1_000).map(lambda number: number / 1_000)
    return st.builds(Damage, kinds, st.sampled_from(patterns), places, st.integers(0, 2**32))


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A logdir with a finished run and one that was stopped after an epoch."""
    logdir = tmp_path_factory.mktemp("seeds")
    finished, unfinished = (records.run_folder(logdir, "train", config) for config in (CONFIG, UNFINISHED))
    assert train_run(CONFIG, finished, RunOptions(instruments="light", save_weights=True)) == "finished"
    checkpoint = unfinished / "checkpoint" / "state.npz"
    assert train_run(UNFINISHED, unfinished, RunOptions(instruments="light"), stop=checkpoint.exists) == "stopped"
    tags = ("gradient_log10/layer_01/kernel", "activation/layer_01")
    for writer in (EventWriter(finished), JsonLinesWriter(unfinished)):  # the second as in a folder of version 0.1
        for step in (1, 2):
            bars = Histogram(np.array([-2.5, -1.0, 0.5]), np.array([3.0, 1.0]))
            writer.write_histograms(step, dict.fromkeys(tags, bars))
        writer.close()
    return logdir


@pytest.fixture
def undrawn() -> Iterator[None]:
    """Without writing figures, which takes most of the time."""
    blank = np.zeros((2, 2, 3), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("heat_map", "confusion"):
            patch.setattr(pictures, name, lambda *_: blank)
        patch.setattr(Picture, "svg", "<svg></svg>")
        patch.setattr(rendering, "save", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where copies of the runs are damaged, one after another."""
    return tmp_path_factory.mktemp("damaged") / "logs"


def copy_run(seeds: Path, logdir: Path, config: RunConfig) -> Path:
    """A fresh copy of one of the runs, alone in the logdir."""
    shutil.rmtree(logdir, ignore_errors=True)
    folder = records.run_folder(logdir, "train", config)
    shutil.copytree(records.run_folder(seeds, "train", config), folder)
    return folder


def check_commands(folder: Path, logdir: Path) -> None:
    """`report`, `diagnose` and `train` on a run that has ended: they work, or name the folder or a file in it."""
    for line in (["report", str(logdir)], ["diagnose", str(folder)], ["train", *FLAGS, f"--logdir={logdir}"]):
        ended = call(*line)
        assert ended.code in (0, 2), line
        assert (ended.code, ended.err) == (0, "") or (str(folder) in ended.err and ended.err.count("\n") == 1)


def check_named(result: object, folder: Path) -> None:
    """Every error is one line that names the folder or a file in it."""
    if isinstance(result, UserError):
        assert is_one_line(result)
        assert str(folder) in str(result)


FILES = ("config.json", "done.json", "metrics.jsonl", "weights.weights.h5")
EVENTS = ("events*",)


@pytest.mark.usefixtures("undrawn")
@reproducible(320)
@given(damage=damages(*FILES, *EVENTS))
def test_a_finished_run_is_used_or_named(seeds: Path, logdir: Path, damage: Damage) -> None:
    folder = copy_run(seeds, logdir, CONFIG)
    damage.apply(folder)
    progress.read(folder)
    check_commands(folder, logdir)
    write_study(folder.parents[1])
    check_named(tried(lambda: write_run(records.read_run(folder))), folder)


@reproducible(3)
@given(all_damages=st.lists(damages("metrics.jsonl", "events*.gauge"), min_size=6, max_size=6))
def test_odd_numbers_are_drawn(seeds: Path, logdir: Path, all_damages: list[Damage]) -> None:
    folder = copy_run(seeds, logdir, CONFIG)
    for damage in all_damages:
        damage._replace(kind="another value").apply(folder)
    assert call("report", str(logdir)).code in (0, 2)
    check_named(tried(lambda: write_run(records.read_run(folder))), folder)


STATE = ("config.json", "metrics.jsonl", "histograms.jsonl", "checkpoint/state.npz", "events*.gauge")


def go_on(folder: Path) -> None:
    """Resume an unfinished run and read its state afterwards."""
    assert train_run(UNFINISHED, folder, RunOptions(instruments="light")) == "finished"
    output.scores_of(records.read_run(folder))


@pytest.mark.usefixtures("undrawn")
@reproducible(70)
@given(damage=damages(*STATE))
def test_an_unfinished_run_is_taken_up_or_named(seeds: Path, logdir: Path, damage: Damage) -> None:
    folder = copy_run(seeds, logdir, UNFINISHED)
    damage.apply(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "fit", lambda *_, **__: None)
        check_named(tried(lambda: go_on(folder)), folder)


@pytest.mark.usefixtures("undrawn")
@reproducible(5)
@given(damage=damages(*STATE[1:]))
def test_an_unfinished_run_is_trained_or_named(seeds: Path, logdir: Path, damage: Damage) -> None:
    folder = copy_run(seeds, logdir, UNFINISHED)
    damage.apply(folder)
    check_named(tried(lambda: go_on(folder)), folder)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of our own with the decoded digits in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        datasets.load("digits")
        folder = cache_dir()
        assert folder
        yield folder


@reproducible(60)
@given(damage=damages("batch.npz"))
def test_a_batch_to_diagnose_with_is_read_or_named(tmp_path_factory: pytest.TempPathFactory, damage: Damage) -> None:
    path = tmp_path_factory.mktemp("batch") / "batch.npz"
    np.savez(path, x=np.zeros((4, 2), np.float32), y=np.zeros(4, np.int32))
    damage.apply(path.parent)
    ended = call("diagnose", f"{path.parent}/nowhere.keras", f"--data={path}")
    assert ended.code == 2
    assert str(path.parent) in ended.err
    assert ended.err.count("\n") == 1


@reproducible(100)
@given(damage=damages("digits*.npz"))
def test_cached_data_are_intact_or_named(cache: Path, damage: Damage) -> None:
    (path,) = cache.glob("digits*.npz")
    content, checksum = path.read_bytes(), datasets.load("digits").checksum
    damage.apply(cache)
    found = tried(lambda: datasets.load("digits"))
    path.write_bytes(content)
    check_named(found, path)
    assert isinstance(found, UserError) or found.checksum == checksum


def test_the_board_serves_an_intact_run_among_damaged_ones(seeds: Path, tmp_path: Path) -> None:
    intact = records.run_folder(seeds, "train", CONFIG)
    shutil.copytree(intact, tmp_path / "intact")
    chance = random.Random(0)
    for number, kind in enumerate([*DAMAGES] * 3):
        shutil.copytree(intact, tmp_path / f"damaged_{number}")
        for pattern in EVENTS:
            Damage(kind, pattern, chance.random(), number).apply(tmp_path / f"damaged_{number}")
    steps, losses = records.read_run(intact).series("test", "loss")

    def served() -> list[Any]:
        address = f"{board.url}data/plugin/scalars/scalars?run=intact&tag=loss/test"
        try:
            with urllib.request.urlopen(address, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError:
            return []

    with start_board(tmp_path, reload_interval=1) as board:
        assert eventually(lambda: [step for _, step, _ in served()] == steps)
        assert [value for _, _, value in served()] == pytest.approx(losses)


def swap_kind(path: Path) -> None:
    """Put a folder in the place of a file, or a file in the place of a folder."""
    if path.is_dir():
        shutil.rmtree(path)
        path.write_text("a file")
    else:
        path.unlink()
        path.mkdir()


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", [*FILES, "events*.gauge", "events*.hparams"])
def test_a_folder_for_a_file_of_a_finished_run(seeds: Path, logdir: Path, name: str) -> None:
    folder = copy_run(seeds, logdir, CONFIG)
    write_study(folder.parents[1])
    swap_kind(min(folder.glob(name)))
    progress.read(folder)
    check_commands(folder, logdir)
    check_named(tried(lambda: write_study(folder.parents[1])), folder)
    check_named(tried(lambda: write_run(records.read_run(folder))), folder)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", [*STATE[:-1], "checkpoint"])
def test_a_folder_for_a_file_of_an_unfinished_run(seeds: Path, logdir: Path, name: str) -> None:
    folder = copy_run(seeds, logdir, UNFINISHED)
    (path,) = folder.glob(name)
    swap_kind(path)
    check_named(tried(lambda: go_on(folder)), folder)
