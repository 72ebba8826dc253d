"""The picture of a model: one box per layer, variables by name, every edge from a node that exists."""

from __future__ import annotations

import json
import re
from typing import Any

import keras
import numpy as np
import pytest

from mnist_depth.instrument.graph import conceptual_graph, op_graph
from mnist_depth.instrument.names import outer_layers, variables
from tests.instrument.zoo import ZOO, specimen

pytestmark = pytest.mark.slow


def _boxes(graph: Any) -> set[str]:
    return {node.name.rpartition("/")[0] for node in graph.node}


@pytest.mark.parametrize("kind", ZOO)
def test_every_kind_of_model(kind: str) -> None:
    s = specimen(kind)
    graph = op_graph(s.model, (s.x, s.y, s.sample_weight))
    names = [node.name for node in graph.node]
    assert len(names) == len(set(names))
    for node in graph.node:
        assert {edge.partition(":")[0] for edge in node.input} <= set(names)
        assert not any(edge.startswith("^") for edge in node.input)
    shown = {node.name for node in graph.node if node.op == "VarHandleOp"}
    assert shown <= set(variables(s.model))
    trained = {name for name, variable in variables(s.model).items() if variable.trainable}
    assert trained <= shown
    # A box of a layer that computes something; dropout does nothing in inference.
    boxes = {name.partition("/")[0] for name in names if "/" in name}
    outer = {name.partition("/")[0] for name in outer_layers(s.model)}
    assert {name for name in outer if not name.startswith("drop")} <= boxes
    assert {name for name in boxes if not re.search(r"_\d+$", name)} <= {*outer, "loss"}


def test_nine_layers_node_by_node() -> None:
    inputs = keras.Input((784,), dtype="uint8")
    x: Any = keras.layers.Rescaling(1 / 255, name="scaling")(inputs)
    for index in range(1, 9):
        x = keras.layers.Dense(4, "relu", name=f"layer_{index:02d}")(x)
    model = keras.Model(inputs, keras.layers.Dense(10, name="layer_09")(x), name="network")
    graph = op_graph(model, (np.zeros((3, 784), np.uint8),))
    assert len(graph.node) == 50
    third = {node.name: (node.op, sorted(node.input)) for node in graph.node if node.name.startswith("layer_03/")}
    assert third == {
        "layer_03/kernel": ("VarHandleOp", []),
        "layer_03/bias": ("VarHandleOp", []),
        "layer_03/MatMul": ("MatMul", ["layer_02/Relu", "layer_03/kernel"]),
        "layer_03/BiasAdd": ("BiasAdd", ["layer_03/MatMul", "layer_03/bias"]),
        "layer_03/Relu": ("Relu", ["layer_03/BiasAdd"]),
    }


def test_nothing_of_the_model_changes() -> None:
    s = specimen("compound")
    before = [np.asarray(variable.value) for variable in s.model.variables]
    op_graph(s.model, (s.x, s.y))
    for old, variable in zip(before, s.model.variables, strict=True):
        np.testing.assert_array_equal(old, np.asarray(variable.value))
    assert not any("call" in vars(layer) for layer in s.model._flatten_layers())


@pytest.mark.parametrize("kind", ["sequential", "functional", "nested", "compound"])
def test_the_conceptual_graph_of_models_that_tensorboard_can_draw(kind: str) -> None:
    text = conceptual_graph(specimen(kind).model)
    assert text is not None
    assert json.loads(text)["config"]["layers"]


def test_a_subclassed_model_has_no_conceptual_graph() -> None:
    assert conceptual_graph(specimen("subclassed").model) is None
