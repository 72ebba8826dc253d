"""Leave everything that a measurement would change as it was: variables of the model and streams of random numbers."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

READS = {"ReadVariableOp", "VariableShape", "VarIsInitializedOp", "ResourceGather", "ResourceGatherNd"}
"""Operations that leave a variable as it is."""

CALLS = {"PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf", "While", "StatelessWhile", "Case"}


@contextlib.contextmanager
def random_streams() -> Iterator[None]:
    """Python's, NumPy's and eager TensorFlow's random streams go on afterwards as if nothing had been drawn."""
    python, numpy = random.getstate(), np.random.get_state()
    eager = getattr(context.context(), "_rng", None)
    state = eager.getstate() if isinstance(eager, random.Random) else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        if eager is not None and state is not None:
            eager.setstate(state)


@contextlib.contextmanager
def unchanged(resources: Iterable[tuple[Any, Any]]) -> Iterator[None]:
    """The variables behind some (handle, dtype) have their values again afterwards."""
    pairs = list(resources)
    kept = [
        (handle, tf.raw_ops.DeepCopy(x=tf.raw_ops.ReadVariableOp(resource=handle, dtype=dtype)))
        for handle, dtype in pairs
    ]
    try:
        yield
    finally:
        for handle, value in kept:
            tf.raw_ops.AssignVariableOp(resource=handle, value=value)


def written_variables(graph: Any) -> list[tuple[Any, Any]]:
    """(handle, dtype) of the variables outside of a graph that it may change when it runs."""
    found = []
    for outer, inner in graph.captures:
        data: Any = getattr(outer, "_handle_data", None)
        types = [] if inner.dtype != tf.resource or data is None or not data.is_set else list(data.shape_and_type)
        if len(types) == 1 and _may_write(inner, graph):
            found.append((outer, tf.as_dtype(types[0].dtype)))
    return found


def _may_write(tensor: Any, graph: Any) -> bool:
    return any(_writes(consumer, tensor, graph) for consumer in tensor.consumers())


def _writes(operation: Any, tensor: Any, graph: Any) -> bool:
    if operation.type in READS:
        return False
    if operation.type not in CALLS:
        return True
    return operation.op_def.is_stateful and _function_writes(operation, graph)


def _function_writes(operation: Any, graph: Any) -> bool:
    """Whether anything that an operation calls writes a variable; the library holds what the called functions call."""
    functions = {function.signature.name: function for function in graph.as_graph_def().library.function}
    waiting = list(operation.node_def.attr.values())
    seen: set[str] = set()
    while waiting:
        attr = waiting.pop()
        for called in [attr.func, *attr.list.func]:
            if called.name and called.name in functions and called.name not in seen:
                seen.add(called.name)
                for node in functions[called.name].node_def:
                    if "Assign" in node.op or "Rng" in node.op or node.op.startswith("ResourceScatter"):
                        return True
                    waiting.extend(node.attr.values())
    return False


def plain_variables(model: keras.Model) -> list[tuple[Any, Any]]:
    """(handle, dtype) of the TensorFlow variables and generators that the layers hold past Keras.

    For models that run eagerly, where no graph says what is written.
    """
    found: dict[int, Any] = {}
    for layer in (model, *model._flatten_layers(include_self=False)):
        for value in tf.nest.flatten([_plain(item) for item in vars(layer).values()]):
            if isinstance(value, tf.random.Generator):
                value = value.state
            if isinstance(value, tf.Variable):
                found[id(value)] = value
    known = {id(variable.value) for variable in model.variables}
    return [(variable.handle, variable.dtype) for key, variable in found.items() if key not in known]


def _plain(value: Any) -> Any:
    """Lists and dictionaries as such, whatever Keras tracks them with."""
    if isinstance(value, dict):
        return [_plain(item) for item in value.values()]
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else [value]
