"""The graph of a model for the Graphs tab: one box per layer, with the layer's name.

A plain trace puts the whole model into one closed box and buries it under variable reads, identities and control edges.
Here every layer's `call` opens its own scope, variables have their own names, and nodes that only serve execution are
dropped.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from tensorboard.plugins.graph import keras_util

from mnist_depth.instrument import names
from mnist_depth.instrument.capture import shadowed, untraced
from mnist_depth.instrument.forward import Loss, loss_of, predict
from mnist_depth.instrument.probe_batch import as_tensors

OUTSIDE = "outside_of_layers/"
"""Scope of what the model computes between its layers; such nodes are shown without a box."""

TRANSPARENT = ("Identity", "ReadVariableOp")
"""Operations that only pass their input on."""


def op_graph(model: keras.Model, batch: Sequence[Any], loss: Loss | None = None) -> tf.compat.v1.GraphDef:
    """The forward pass and the loss of a model, from a batch (x,), (x, y) or (x, y, sample_weight), fit for reading.

    Variables become nodes named after their paths. The model is not changed.
    """
    parts = dict(zip(("input", "label", "sample_weight"), as_tensors(batch), strict=True))
    specs = [tf.nest.map_structure(lambda t, n=name: _spec(t, n), part) for name, part in parts.items()]

    def forward(x: Any, y: Any, sample_weight: Any) -> Any:
        state = [(variable, tf.convert_to_tensor(variable.value)) for variable in model.trainable_variables]
        with keras.StatelessScope(state, collect_losses=True):
            with tf.name_scope(OUTSIDE):
                predicted = predict(model, x, training=False)
            if y is None:
                return predicted
            with tf.name_scope("loss/"):
                return predicted, loss_of(model, loss, x, y, predicted, sample_weight, training=False)

    scopes = {f"layer{place}": (name, layer) for place, (name, layer) in enumerate(names.all_layers(model).items())}
    with _scoped({scope: layer for scope, (_, layer) in scopes.items()}):
        traced = tf.function(forward, autograph=False).get_concrete_function(*specs)
    definition = traced.graph.as_graph_def()
    outputs = [output.op.name for output in traced.outputs]
    renamed = {node.name: _bare(node.name) for node in definition.node if node.name.startswith(OUTSIDE)}
    paths = {scope: name for scope, (name, _) in scopes.items()}
    renamed |= {node.name: _in_layer(node.name, paths) for node in definition.node if _scope(node.name) in paths}
    readable = _readable(definition, outputs, renamed | _variable_names(model, traced.graph))
    readable.library.CopyFrom(definition.library)
    return readable


def _scope(name: str) -> str:
    return name.partition("/")[0]


def _in_layer(name: str, paths: Mapping[str, str]) -> str:
    """Put a node under its layer's own name, which may contain characters that TensorFlow scopes forbid."""
    scope, _, rest = name.partition("/")
    return f"{paths[scope]}/{rest}"


def _bare(name: str) -> str:
    """The last part of a name; a numbered one in a box of its own, or TensorBoard folds `Add_1`, `Add_2` into one."""
    return re.sub(r"^(.+)_(\d+)$", r"\1_\2/\1", name.rpartition("/")[2])


def _spec(tensor: Any, name: str) -> Any:
    return None if tensor is None else tf.TensorSpec(tensor.shape, tensor.dtype, name=name)


def conceptual_graph(model: keras.Model) -> str | None:
    """The model's configuration as JSON if TensorBoard can draw it: that of most Sequential and functional models."""
    try:
        config = _with_plain_types(json.loads(model.to_json()))
        with contextlib.redirect_stderr(io.StringIO()):  # two lines for every type that the parser does not know
            drawn = keras_util.keras_model_to_graph_def(config)
    except Exception:  # layers without a configuration, or one that TensorBoard's parser does not understand
        return None
    return json.dumps(config) if drawn.node else None


def _with_plain_types(config: Any) -> Any:
    """A model's configuration with the types that layers compute in, for a parser that knows no policies."""
    if isinstance(config, list):
        return [_with_plain_types(item) for item in config]
    if not isinstance(config, dict):
        return config
    if str(config.get("class_name", "")).endswith("DTypePolicy"):
        return str(config["config"].get("name", "float32")).rpartition("_")[2]
    return {key: _with_plain_types(value) for key, value in config.items()}


@contextlib.contextmanager
def _scoped(layers: Mapping[str, keras.Layer]) -> Iterator[None]:
    """Every layer's operations in a scope of its own, wherever it is called from."""

    def scoped(scope: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def inside(*args: Any, **kwargs: Any) -> Any:
            # A trailing slash makes the scope absolute; Keras' own scopes around it stay empty.
            with tf.name_scope(f"{scope}/"):
                return call(*args, **kwargs)

        return inside

    with contextlib.ExitStack() as stack:
        for scope, layer in layers.items():
            stack.enter_context(shadowed(layer, "call", scoped(scope, untraced(layer.call))))
        yield


def _variable_names(model: keras.Model, graph: Any) -> dict[str, str]:
    """The placeholder of each captured variable -> the variable's path."""
    paths = {id(variable.value.handle): path for path, variable in names.variables(model).items()}
    return {inner.op.name: paths[id(outer)] for outer, inner in graph.captures if id(outer) in paths}


def _source(edge: str) -> str:
    """The node that an edge comes from: `name`, `name:1` -> `name`."""
    return edge.partition(":")[0]


def _readable(
    definition: tf.compat.v1.GraphDef, outputs: list[str], renamed: Mapping[str, str]
) -> tf.compat.v1.GraphDef:
    """Keep only what the outputs depend on, without control edges and pass-through nodes, with readable names."""
    renamed = _without_clashes(definition, renamed)
    nodes = {node.name: node for node in definition.node}

    # Pass-through nodes (Identity, reads) are skipped by following their first input to a node that computes.
    def resolved(edge: str) -> str:
        while nodes[_source(edge)].op in TRANSPARENT:
            edge = nodes[_source(edge)].input[0]
        return edge

    result, seen = tf.compat.v1.GraphDef(versions=definition.versions), set()
    waiting = [_source(resolved(output)) for output in outputs]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        edges = [resolved(edge) for edge in nodes[name].input if not edge.startswith("^")]
        waiting.extend(_source(edge) for edge in edges)
        _add(result, nodes[name], edges, renamed)
    return result


def _add(
    graph: tf.compat.v1.GraphDef, node: tf.compat.v1.NodeDef, edges: list[str], renamed: Mapping[str, str]
) -> None:
    copy = graph.node.add()
    copy.CopyFrom(node)
    copy.name = renamed.get(node.name, node.name)
    if node.op == "Placeholder" and node.attr["dtype"].type == tf.resource.as_datatype_enum:
        copy.op = "VarHandleOp"
    del copy.input[:]
    for edge in edges:
        source, colon, port = edge.partition(":")
        copy.input.append(renamed.get(source, source) + colon + port)


def _without_clashes(definition: tf.compat.v1.GraphDef, renamed: Mapping[str, str]) -> dict[str, str]:
    """Number the new names that two nodes want; a name may also not be the path of a box."""
    taken = {part for node in definition.node if node.name not in renamed for part in _paths(node.name)}
    result = {}
    for old, new in renamed.items():
        free, count = new, 1
        while free in taken:
            free, count = f"{new}-{count}", count + 1
        taken.add(free)
        result[old] = free
    return result


def _paths(name: str) -> list[str]:
    """`a/b/c` -> `a`, `a/b`, `a/b/c`."""
    parts = name.split("/")
    return ["/".join(parts[: end + 1]) for end in range(len(parts))]
