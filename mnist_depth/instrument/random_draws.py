"""Find out whether a traced training step draws from `tf.random`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any


def draws_random_numbers(train_function: Any) -> bool:
    """Whether a traced train function draws from `tf.random`, whose state lives in the trace."""
    return any(_is_random(node) for graph in _traced_graphs(train_function) for node in _nodes(graph))


def _traced_graphs(function: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """The graphs of the tf.functions that a train function of Keras holds in its closure."""
    seen = set() if seen is None else seen
    if function is None or id(function) in seen:
        return
    seen.add(id(function))
    # Keras wraps its tf.functions in several closures, depending on `jit_compile` and `steps_per_execution`.
    listed: Callable[[], Any] | None = getattr(function, "_list_all_concrete_functions", None)
    if listed is not None:
        yield from (concrete.graph for concrete in listed())
    for part in (function, getattr(function, "__wrapped__", None), getattr(function, "python_function", None)):
        for cell in getattr(part, "__closure__", None) or ():
            with contextlib.suppress(ValueError):  # an empty cell
                if callable(cell.cell_contents):
                    yield from _traced_graphs(cell.cell_contents, seen)


def _nodes(graph: Any) -> Iterator[Any]:
    definition = graph.as_graph_def()
    yield from definition.node
    for function in definition.library.function:
        yield from function.node_def


def _is_random(node: Any) -> bool:
    """Whether an operation has a second seed: such operations keep their stream's state in the kernel."""
    return "seed2" in node.attr
