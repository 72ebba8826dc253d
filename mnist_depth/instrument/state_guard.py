"""Restore the state that a measurement changes: variables of the model and random number streams."""

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
"""Operations that only read a variable."""

# Operations that run functions of the graph's library: whether they write depends on the bodies of these functions.
CALLS = {"PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf", "While", "StatelessWhile", "Case"}


@contextlib.contextmanager
def random_streams() -> Iterator[None]:
    """Restore the random states of Python, NumPy and eager TensorFlow at the end of the block."""
    python, numpy = random.getstate(), np.random.get_state()
    # Eager operations without a seed draw theirs from this generator; it exists only after a global seed was set.
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
    """Restore the variables behind these (handle, dtype) pairs at the end of the block."""
    pairs = list(resources)
    # ReadVariableOp may return the variable's own buffer, which an in-place update would change: copy it.
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
    # `outer` is the resource handle in the caller, `inner` its placeholder in the graph. Only a handle with exactly one
    # (shape, dtype) can be saved and restored as a variable.
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
    # An unknown operation counts as a write: the cost of a mistake is a needless copy, not a changed variable.
    if operation.type not in CALLS:
        return True
    return operation.op_def.is_stateful and _function_writes(operation, graph)


def _function_writes(operation: Any, graph: Any) -> bool:
    """Whether any function that an operation calls, directly or indirectly, writes a variable."""
    functions = {function.signature.name: function for function in graph.as_graph_def().library.function}
    # `seen` ends the search where functions call one another. Which argument a function writes is not followed: any
    # write in it counts for every variable that is passed in.
    waiting = list(operation.node_def.attr.values())
    seen: set[str] = set()
    while waiting:
        attr = waiting.pop()
        for called in [attr.func, *attr.list.func]:  # `list` holds the branches of a Case
            if called.name and called.name in functions and called.name not in seen:
                seen.add(called.name)
                for node in functions[called.name].node_def:
                    if "Assign" in node.op or "Rng" in node.op or node.op.startswith("ResourceScatter"):
                        return True
                    waiting.extend(node.attr.values())
    return False


def plain_variables(model: keras.Model) -> list[tuple[Any, Any]]:
    """(handle, dtype) of TensorFlow variables and generators in layer attributes that Keras does not track.

    For models that run eagerly, where no graph shows which variables are written.
    """
    found: dict[int, Any] = {}
    for layer in (model, *model._flatten_layers(include_self=False)):
        for value in tf.nest.flatten([_plain(item) for item in vars(layer).values()]):
            if isinstance(value, tf.random.Generator):
                value = value.state
            if isinstance(value, tf.Variable):
                found[id(value)] = value
    # Keras' own variables wrap a tf.Variable in `value`; a StatelessScope already protects these.
    known = {id(variable.value) for variable in model.variables}
    return [(variable.handle, variable.dtype) for key, variable in found.items() if key not in known]


def _plain(value: Any) -> Any:
    """Convert Keras' tracked lists and dictionaries to plain lists."""
    if isinstance(value, dict):
        return [_plain(item) for item in value.values()]
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else [value]
