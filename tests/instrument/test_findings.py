"""What a gauge says about the training that it has measured."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_depth import records, translation
from mnist_depth.cli import flags
from mnist_depth.cli.analyze import diagnose
from mnist_depth.diagnosis import Diagnosis
from mnist_depth.instrument import DepthGauge, MemoryWriter
from mnist_depth.model_diagnosis.diagnose import diagnose as diagnose_model
from mnist_depth.results.diagnosis import diagnose_run

keras: Any = importlib.import_module("keras")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 8)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int32)


def fit(activation: str, epochs: int, gauge: Any, rate: float = 0.1) -> int:
    """Train nine layers; the number of epochs that were trained."""
    hidden = [keras.layers.Dense(8, activation, name=f"dense_{index}") for index in range(8)]
    model = keras.Sequential([keras.Input((8,)), *hidden, keras.layers.Dense(2, name="logits")])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate), loss, jit_compile=False)
    return len(model.fit(X, Y, epochs=epochs, verbose=0, callbacks=gauge).history["loss"])


def test_a_gauge_prints_its_verdict_and_the_command_that_shows_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gauge = DepthGauge(tmp_path / "mine", (X, Y), graph=False)
    fit("sigmoid", 2, gauge)
    line = capsys.readouterr().out.strip()
    assert line.startswith("VANISHING: the first layer's gradient is ")
    assert line.endswith(f"python -m mnist_depth diagnose {tmp_path / 'mine'}")
    assert gauge.diagnosis is not None
    assert gauge.diagnosis.verdict == "vanishing"
    values, (_, word) = flags.parse(["", "--exit_code", "diagnose"]), ("", "diagnose")
    assert word == "diagnose"
    assert diagnose([str(tmp_path / "mine")], values[0]) == 1
    assert "AFTER TRAINING\nVANISHING" in capsys.readouterr().out


def test_the_line_is_in_the_language_that_was_chosen_and_the_file_in_english(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in translation._active.items():
        monkeypatch.setitem(translation._active, name, value)
    translation.activate("ko")
    writer = MemoryWriter()
    fit("sigmoid", 1, DepthGauge(writer, (X, Y), graph=False))
    assert re.match(r"소실: .*첫 층까지 층을 8번 거슬러", capsys.readouterr().out)
    assert any("VANISHING: the first" in text for texts in writer.texts.values() for text in texts.values())


def test_stop_ends_a_training_that_does_not_learn() -> None:
    assert fit("sigmoid", 9, DepthGauge(MemoryWriter(), (X, Y), graph=False, on_finding="stop")) == 4


def test_a_function_gets_every_new_kind_of_error_once() -> None:
    found: list[Diagnosis] = []
    fit("sigmoid", 3, DepthGauge(MemoryWriter(), (X, Y), graph=False, on_finding=found.append))
    assert [diagnosis.verdict for diagnosis in found] == ["vanishing"]


def test_a_function_that_fails_does_not_end_training() -> None:
    def fail(diagnosis: Diagnosis) -> None:
        raise RuntimeError("on purpose")

    with pytest.warns(UserWarning, match="on purpose"):
        assert fit("sigmoid", 2, DepthGauge(MemoryWriter(), (X, Y), graph=False, on_finding=fail)) == 2


def test_ignore_prints_nothing_and_holds_the_diagnosis(capsys: pytest.CaptureFixture[str]) -> None:
    gauge = DepthGauge(MemoryWriter(), (X, Y), graph=False, on_finding="ignore")
    assert gauge.diagnosis is None
    fit("sigmoid", 1, gauge)
    assert capsys.readouterr().out == ""
    assert gauge.diagnosis is not None
    assert gauge.diagnosis.verdict == "vanishing"


class Interrupts(keras.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        raise KeyboardInterrupt


def test_a_training_that_was_interrupted_has_a_diagnosis() -> None:
    gauge = DepthGauge(MemoryWriter(), (X, Y), graph=False)
    with pytest.raises(KeyboardInterrupt):
        fit("sigmoid", 1, [gauge, Interrupts()])
    assert gauge.diagnosis is not None
    assert gauge.diagnosis.verdict == "vanishing"


def test_the_whole_diagnosis_is_a_text_for_the_board() -> None:
    writer = MemoryWriter()
    fit("elu", 2, DepthGauge(writer, (X, Y), graph=False))
    assert any("HEALTHY" in text for texts in writer.texts.values() for text in texts.values())


@pytest.mark.parametrize("probe", [(X, Y), None])
def test_a_network_that_died_in_its_first_updates_is_not_called_slow(tmp_path: Path, probe: Any) -> None:
    gauge = DepthGauge(tmp_path / "dead", probe, graph=False, on_finding="ignore")
    fit("relu", 5, gauge, rate=100.0)
    in_folder = diagnose_run(records.read_gauge(tmp_path / "dead"), "end")
    for found in (gauge.diagnosis, in_folder):
        assert found is not None
        assert found.verdict == "learning rate too high"
        assert not any("learning rate is low" in finding.sentence for finding in found.findings)


@pytest.mark.parametrize("loss", ["mse", ["mse"]])
def test_the_scale_of_the_probe_is_named_in_the_words_of_diagnose(
    loss: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = 100 * X, (1000.0 * X[:, :1])
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.1), loss, jit_compile=False)
    before = {finding.kind: finding for finding in diagnose_model(model, x, y).findings}
    model.fit(x, y, epochs=2, verbose=0, callbacks=[DepthGauge(MemoryWriter(), (x, y), graph=False)])
    line = capsys.readouterr().out
    for kind in ("input scale", "target scale"):
        assert f"{kind}: {before[kind].sentence}" in line or line.startswith(f"{kind.upper()}: {before[kind].sentence}")


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown on_finding='shout'; valid: warn, stop, ignore"):
        DepthGauge(MemoryWriter(), (X, Y), on_finding="shout")  # type: ignore[arg-type]


def test_the_gradient_of_frozen_layers_is_not_judged() -> None:
    """A deep frozen sigmoid network whose outputs go to a head beside the input itself."""
    keras.utils.set_random_seed(0)
    features = inputs = keras.Input((4,))
    for _ in range(8):
        features = keras.layers.Dense(8, "sigmoid", trainable=False)(features)
    outputs = keras.layers.Dense(1, "sigmoid")(keras.layers.Concatenate()([inputs, features]))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy")
    x = np.random.default_rng(0).normal(size=(256, 4)).astype(np.float32)
    y = (x[:, :1] > 0).astype(np.float32)
    gauge = DepthGauge(MemoryWriter(), probe=(x, y))
    model.fit(x, y, epochs=20, verbose=0, callbacks=[gauge])
    diagnosis = gauge.diagnosis
    assert diagnosis is not None
    kinds = {finding.kind for finding in diagnosis.findings}
    assert diagnosis.verdict == "healthy"
    assert "frozen" in kinds
    assert not kinds & {"vanishing", "slow first layers", "cut"}
