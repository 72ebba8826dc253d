"""The example to copy runs and leaves what it promises."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mnist_depth.examples import keras_fit

pytestmark = pytest.mark.slow


def test_the_example_to_copy(tmp_path: Path) -> None:
    keras.utils.clear_session()  # so that the first layer is named `dense`
    folder = tmp_path / "mine"
    keras_fit.main(str(folder), epochs=2)
    assert {path.name for path in folder.iterdir()} == {
        "train",
        "validation",
        "gauge.json",
        "metrics.jsonl",
    }
    train = EventAccumulator(str(folder / "train")).Reload()
    validation = EventAccumulator(str(folder / "validation")).Reload()
    assert set(validation.Tags()["scalars"]) == {"loss", "accuracy"}
    assert {"loss", "accuracy", "probe_gradient_norm/dense/kernel"} <= set(train.Tags()["scalars"])
    assert train.Tags()["graph"]
    assert len((Path(keras_fit.__file__)).read_text().splitlines()) < 35
