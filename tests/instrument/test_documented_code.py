"""The programs in docs/instrument.md run as they are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mnist_depth import records

pytestmark = pytest.mark.slow

PAGE = Path(__file__).resolve().parents[2] / "docs/instrument.md"


def code(word: str) -> str:
    """The block of the page that holds a word."""
    (found,) = (one for one in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S) if word in one)
    return found


def test_the_training_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(1)
    names: dict[str, Any] = {}
    exec(code("CallbackList"), names)
    assert names["gauge"].diagnosis.verdict == "healthy"
    series = records.read_gauge(tmp_path / "logs/loop").series("train", "loss")
    assert series[0] == [8, 16, 24, 32, 40]
    assert series[1][-1] < series[1][0]


def test_the_parts_of_a_gan(capsys: pytest.CaptureFixture[str]) -> None:
    class Gan:
        generator = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu", name="first")])

    noise = np.ones((3, 4), np.float32)
    exec(code("measure(gan.generator"), {"gan": Gan, "noise": noise})
    dead = np.mean(np.asarray(Gan.generator(noise)) == 0)
    assert eval(capsys.readouterr().out) == {"first": pytest.approx(dead)}
