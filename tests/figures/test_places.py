"""Layers lie by name where models share names, else each model at 1, 2, ... of its own."""

from __future__ import annotations

import json
from pathlib import Path

from mnist_depth.figures.places import are_variants, nested, places_of
from mnist_depth.figures.trainings import from_record
from mnist_depth.records import read_gauge


def study(depth: int) -> list[str]:
    return [f"layer_{place:02d}" for place in range(1, depth + 1)]


def test_depths_of_a_study_share_their_names() -> None:
    found = places_of([study(3), study(20), study(9)])
    assert (found.names, found.is_shared) == (study(20), True)
    assert found.layers[0] == [*study(3), *[""] * 17]


def test_a_layer_of_a_variant_lies_where_it_is_in_its_model() -> None:
    found = places_of([["in", "a", "b", "out"], ["in", "norm", "out"], ["stem", "in", "out"]])
    assert found.names == ["stem", "in", "norm", "a", "b", "out"]
    assert found.layers[1] == ["", "in", "norm", "", "", "out"]


def test_models_with_other_names_begin_at_one_each() -> None:
    lstm, deep = ["embedding", "lstm", "dense"], [f"dense_{place}" for place in range(5)]
    found = places_of([lstm, [], deep])
    assert (found.names, found.is_shared) == (["1", "2", "3", "4", "5"], False)
    assert found.layers == [[*lstm, "", ""], [""] * 5, deep]
    assert places_of([lstm]).names == lstm
    assert places_of([]).names == []


def test_layers_of_studies_whose_numbers_have_other_widths_lie_at_their_depth() -> None:
    found = places_of([study(2), [f"layer_{place:03d}" for place in range(1, 101)]])
    assert found.layers[0][:3] == ["layer_01", "layer_02", ""]


def test_models_that_keras_numbered_on_are_variants_of_one() -> None:
    assert are_variants([["flatten", "dense", "dense_1"], ["flatten_4", "dense_9", "dropout_2", "dense_10"]])
    assert are_variants([study(3), study(9)])
    assert not are_variants([["conv2d", "conv2d_1", "dense"], ["embedding_3", "lstm_3", "dense_5"]])


def test_layers_inside_others_follow_them() -> None:
    known = ["embedding", "bidirectional", "lstm", "dense"]
    inner = ["bidirectional/forward/cell", "bidirectional/backward/cell", "lstm/cell", "elsewhere/cell", "lstm"]
    assert nested(known, inner) == [
        "embedding", "bidirectional", "bidirectional/forward/cell", "bidirectional/backward/cell", "lstm", "lstm/cell",
        "dense", "elsewhere/cell",
    ]  # fmt: skip


def test_a_gauges_inner_layers_keep_the_order_of_its_variables(tmp_path: Path) -> None:
    """Not that of their names: `query` is called before `attend`."""
    about = {"format": 1, "layers": [{"name": "stem"}, {"name": "block"}, {"name": "head"}]}
    (tmp_path / "gauge.json").write_text(json.dumps(about))
    variables = ["scale", "stem/kernel", "head/kernel", "block/query/kernel", "block/query/bias", "block/attend/kernel"]
    scalars = {"activation_std/block": 1.0} | {f"gradient_norm/{variable}": 1.0 for variable in variables}
    line = {"run": "train", "step": 0, "wall_time": 1.0, "scalars": scalars}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    assert from_record(read_gauge(tmp_path)).layers == ["stem", "block", "block/query", "block/attend", "head"]
    (tmp_path / "metrics.jsonl").write_text("[]\n")
    assert read_gauge(tmp_path).first_tags == [], "damaged measurements are reported by those who read them"
