"""What a gauge finds about labels, output and loss, as `diagnose` does for a model and a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import mnist_depth
from mnist_depth import records
from mnist_depth.cli import flags
from mnist_depth.cli.analyze import diagnose
from mnist_depth.diagnosis import Data, Output
from mnist_depth.diagnosis.stored import from_plain, to_plain
from mnist_depth.errors import UserError
from mnist_depth.instrument import DepthGauge, MemoryWriter
from mnist_depth.results.diagnosis import diagnose_run
from tests.instrument.twins import messages_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 8)).astype(np.float32)
Y = RNG.integers(0, 4, 64).astype(np.int32)


class Subclassed(keras.Model):
    """Its output layer is not its last attribute."""

    def __init__(self, activation: str | None) -> None:
        super().__init__()
        self.out, self.hidden = keras.layers.Dense(4, activation), keras.layers.Dense(8, "relu")

    def call(self, inputs: Any) -> Any:
        return self.out(self.hidden(inputs))


def sequential(activation: str | None) -> Any:
    hidden = keras.layers.Dense(8, "relu")
    return keras.Sequential([keras.Input((8,)), hidden, keras.layers.Dense(4, activation)])


def compiled(model: Any, from_logits: bool = False) -> Any:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    model.compile(keras.optimizers.SGD(0.01), loss, jit_compile=False)
    return model


@pytest.mark.parametrize("make", [sequential, Subclassed])
@pytest.mark.parametrize(("activation", "from_logits"), [(None, False), ("softmax", True)])
def test_output_and_loss_are_judged_as_by_diagnose(
    tmp_path: Path, make: Any, activation: str | None, from_logits: bool
) -> None:
    keras.utils.set_random_seed(1)
    model = compiled(make(activation), from_logits)
    model(X[:1])
    expected = next(one for one in mnist_depth.diagnose(model, X, Y).findings if one.kind == "output and loss")
    gauge = DepthGauge(tmp_path / "mine", (X, Y), graph=False)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[gauge])
    assert gauge.diagnosis is not None
    record = records.read_gauge(tmp_path / "mine")
    for found in (gauge.diagnosis, diagnose_run(record, "start"), diagnose_run(record, "end")):
        assert found.has_errors == (expected.severity == "error")
        assert expected.sentence in {finding.sentence for finding in found.findings}
        assert not (found.has_errors and found.remedies)


def test_labels_that_no_output_has_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gauge = DepthGauge(tmp_path / "mine", (X, Y + 1), graph=False)

    def fit() -> None:
        with pytest.raises(Exception, match="valid range"):
            compiled(sequential("softmax")).fit(X, Y + 1, epochs=1, verbose=0, callbacks=[gauge])

    sentence = "the labels reach from 1 to 4, the output has 4 units: valid are 0 to 3"
    assert [text.partition("; ")[0] for text in messages_of(fit)] == [f"the probe is not measured: {sentence}"]
    assert gauge.diagnosis is not None
    assert gauge.diagnosis.sentence == sentence
    assert diagnose([str(tmp_path / "mine")], flags.parse(["", "diagnose"])[0]) == 0
    assert f"LABELS: {sentence}" in " ".join(capsys.readouterr().out.split())


def test_a_probe_of_one_class_is_no_finding() -> None:
    gauge = DepthGauge(MemoryWriter(), (X, np.zeros(64, np.int32)), graph=False)
    compiled(sequential("softmax")).fit(X, Y, epochs=1, verbose=0, callbacks=[gauge])
    assert gauge.diagnosis is not None
    assert gauge.diagnosis.verdict == "healthy"


def test_a_probe_of_another_shape_costs_one_warning_and_is_named_by_diagnose(tmp_path: Path) -> None:
    model = compiled(sequential("softmax"))
    gauge = DepthGauge(tmp_path / "mine", (X[:, :3], Y), gradients="applied", variables="nothing", graph=True)
    found = messages_of(lambda: model.fit(X, Y, epochs=1, verbose=0, callbacks=[gauge]))
    assert sum("the probe is not measured" in text for text in found) == 1
    with pytest.raises(UserError, match=r"its probe was not measured: .*shape"):
        diagnose_run(records.read_gauge(tmp_path / "mine"), "end")


def test_a_loss_that_the_probe_cannot_compute_costs_one_warning(tmp_path: Path) -> None:
    one_hot = np.eye(4, dtype=np.float32)[Y]
    gauge = DepthGauge(tmp_path / "mine", (X, one_hot), graph=True)
    found = messages_of(lambda: compiled(sequential("softmax")).fit(X, Y, epochs=1, verbose=0, callbacks=[gauge]))
    assert sum("no gradients on the probe" in text for text in found) == 1


@pytest.mark.parametrize(
    "facts",
    [Data(3), Data(5, 1.5, -2.0, 3.0, label_shape=(5, 1), label_classes=2), Output(3, "softmax", "poisson", True)],
)
def test_facts_survive_a_file(facts: Any) -> None:
    assert from_plain(type(facts), to_plain(facts)) == facts


@pytest.mark.parametrize("damaged", [None, 3, [], {}, {"examples": "many"}, {"examples": None}])
def test_damaged_facts_are_none(damaged: Any) -> None:
    assert from_plain(Data, damaged) is None


def test_numbers_that_json_does_not_know_are_left_out() -> None:
    assert from_plain(Data, to_plain(Data(2, input_rms=float("inf")))) == Data(2)


@pytest.mark.parametrize(("training", "verdict"), [(None, "healthy"), (False, "vanishing")])
def test_batch_normalization_is_judged_as_training_computes_it(
    tmp_path: Path, training: bool | None, verdict: str
) -> None:
    """Before its averages are known, an inference pass leaves signals of a small initial scale as they are."""
    keras.utils.set_random_seed(1)
    layers: list[Any] = []
    for _ in range(6):
        small: Any = keras.initializers.RandomNormal(stddev=0.05, seed=len(layers))
        layers += [keras.layers.Dense(8, kernel_initializer=small), keras.layers.BatchNormalization()]
        layers += [keras.layers.Activation("tanh")]
    model = compiled(keras.Sequential([keras.Input((8,)), *layers, keras.layers.Dense(4)]), from_logits=True)
    gauge = DepthGauge(tmp_path / "mine", (X, Y), graph=False, training=training)
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[gauge])
    start = diagnose_run(records.read_gauge(tmp_path / "mine"), "start")
    assert start.verdict == verdict
    assert not any("batch normalization" in one.remedy for one in start.findings)
