"""Insert hooks into the training step of a model, and remove them.

A model's `train_function` is traced once. Hooks must be part of that trace, so a training with hooks uses a separate
train function from its first batch to its last. Alternating between two functions would restart the `tf.random` stream
in each of them and trace them at different times. A train function that is set in between (by a callback that compiles
the model) is never replaced by an older one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from mnist_depth.instrument.optimizer_hook import OptimizerHook

ATTRIBUTE = "_mnist_depth_hooks"
"""Attribute of a model that holds its HookedTraining."""


class HookedTraining:
    """The hooks of one model; several callbacks share it."""

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.hooks: list[OptimizerHook] = []
        self.fit: object = None
        """Any object that identifies one call of `fit`."""
        self._plain: Any = None
        self._hooked: Any = None
        self._traced: dict[tuple[OptimizerHook, ...], tuple[Any, Any]] = {}

    def add(self, hook: OptimizerHook) -> None:
        if hook not in self.hooks:
            self.hooks.append(hook)
            self._shadow(hook.optimizer)

    def remove(self, hook: OptimizerHook) -> None:
        if hook in self.hooks:
            self.hooks.remove(hook)
            if not any(other.optimizer is hook.optimizer for other in self.hooks):
                _restore(hook.optimizer)
            if not self.hooks:
                self._put_back()

    def install(self) -> None:
        """Make the model use a train function with these hooks; called before every batch.

        A train function that was replaced since the last batch becomes the model's original one.
        """
        current = self.model.train_function
        if current is None or current is self._hooked:
            return
        key = tuple(self.hooks)
        plain, hooked = self._traced.get(key, (None, None))
        if plain is not current:
            # No trace with these hooks yet, or a callback has compiled the model since: make a new train function,
            # which is traced with the shadowed `apply`.
            self.model.make_train_function(force=True)
            plain, hooked = current, self.model.train_function
            self._traced = {key: (plain, hooked)}
        self.model.train_function = hooked
        self._plain, self._hooked = plain, hooked

    def owns(self, train_function: Any) -> bool:
        """Whether a train function was traced with hooks."""
        return any(train_function is hooked for _, hooked in self._traced.values())

    def _put_back(self) -> None:
        """Restore the original train function after the last hook, unless training draws from `tf.random`."""
        # The state of a `tf.random` stream is part of the trace: the original function would draw the first numbers
        # again. The hooked function therefore stays; its hooks still write into their buffers, which are never read.
        installed = self._hooked is not None and self.model.train_function is self._hooked
        if installed and not draws_random_numbers(self._hooked):
            self.model.train_function = self._plain
        self._plain = self._hooked = None

    def _shadow(self, optimizer: Any) -> None:
        if is_hooked(optimizer):
            return
        original = optimizer.apply

        def apply(grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> Any:
            gradients = list(grads)
            given = optimizer._trainable_variables if trainable_variables is None else trainable_variables
            variables = list(given)
            # This body runs while the step is traced, so that the hooks become part of the graph. `gradients[i]` has
            # the shape of `variables[i]`; it is an IndexedSlices for an embedding and None without a dependency.
            hooks = [hook for hook in self.hooks if hook.optimizer is optimizer]
            for hook in hooks:
                hook.before(variables)
            result = original(gradients, trainable_variables)
            for hook in hooks:
                hook.after(gradients, variables)
            return result

        # An instance attribute shadows the method of the class; `_restore` deletes it. `object.__setattr__` bypasses
        # Keras' attribute tracking.
        object.__setattr__(optimizer, "apply", apply)


def is_hooked(optimizer: Any) -> bool:
    """Whether this optimizer has a hook; a train step may then route only some updates through it."""
    return "apply" in vars(optimizer)


def _restore(optimizer: Any) -> None:
    if is_hooked(optimizer):
        object.__delattr__(optimizer, "apply")


def hooks_of(model: keras.Model) -> HookedTraining:
    """The HookedTraining of a model, created on first use."""
    found = vars(model).get(ATTRIBUTE)
    if found is None:
        found = HookedTraining(model)
        object.__setattr__(model, ATTRIBUTE, found)  # bypasses Keras' attribute tracking
    return found


def attach(hook: OptimizerHook, fit: object = None) -> None:
    """Attach a hook to its optimizer; hooks left over from an interrupted `fit` are removed.

    `fit` is any object that identifies one call of `fit`.
    """
    training = hooks_of(hook.model)
    if training.fit is not None and training.fit is not fit:
        for old in list(training.hooks):
            training.remove(old)
    training.fit = fit
    training.add(hook)


def detach(hook: OptimizerHook) -> None:
    """Remove a hook; the last one restores the optimizer's `apply` and the model's train function."""
    hooks_of(hook.model).remove(hook)


@contextlib.contextmanager
def hooked(hook: OptimizerHook) -> Iterator[OptimizerHook]:
    """Attach for the duration of a `with` block."""
    attach(hook)
    training = hooks_of(hook.model)
    if training.model.train_function is None:
        training.model.make_train_function()
    training.install()
    try:
        yield hook
    finally:
        detach(hook)


# Random numbers


def draws_random_numbers(train_function: Any) -> bool:
    """Whether a traced train function draws from `tf.random`, whose state lives in the trace."""
    return any(_is_random(node) for graph in _traced_graphs(train_function) for node in _nodes(graph))


def is_traced(train_function: Any) -> bool:
    """Whether a train function has been run."""
    return any(True for _ in _traced_graphs(train_function))


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
