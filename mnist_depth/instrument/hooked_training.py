"""Put hooks into the training step of a model, and take them out again.

A model's `train_function` is traced once. Hooks must be inside of that trace, so a training with hooks goes through a
train function of its own, from its first batch to its last: two functions that take turns would each draw the random
numbers of `tf.random` from the beginning, and would be traced at different times. A train function that someone else
sets meanwhile (a callback that compiles the model) is never replaced by an older one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from mnist_depth.instrument.optimizer_hook import OptimizerHook

ATTRIBUTE = "_mnist_depth_hooks"
"""Where a model keeps its hooks, and the train functions that were traced with them."""


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
        """Ahead of every batch: let the model train through a function with these hooks inside.

        A function that was replaced since the last batch is taken as the model's own from now on.
        """
        current = self.model.train_function
        if current is None or current is self._hooked:
            return
        key = tuple(self.hooks)
        plain, hooked = self._traced.get(key, (None, None))
        if plain is not current:
            self.model.make_train_function(force=True)
            plain, hooked = current, self.model.train_function
            self._traced = {key: (plain, hooked)}
        self.model.train_function = hooked
        self._plain, self._hooked = plain, hooked

    def owns(self, train_function: Any) -> bool:
        """Whether a train function was traced with hooks."""
        return any(train_function is hooked for _, hooked in self._traced.values())

    def _put_back(self) -> None:
        """Leave the model its own function; where training draws from `tf.random`, the traced one, or draws repeat."""
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
            hooks = [hook for hook in self.hooks if hook.optimizer is optimizer]
            for hook in hooks:
                hook.before(variables)
            result = original(gradients, trainable_variables)
            for hook in hooks:
                hook.after(gradients, variables)
            return result

        object.__setattr__(optimizer, "apply", apply)


def is_hooked(optimizer: Any) -> bool:
    """Whether a hook listens to this optimizer; a train step may then let it see fewer updates."""
    return "apply" in vars(optimizer)


def _restore(optimizer: Any) -> None:
    if is_hooked(optimizer):
        object.__delattr__(optimizer, "apply")


def hooks_of(model: keras.Model) -> HookedTraining:
    """The hooks of a model, none at first."""
    found = vars(model).get(ATTRIBUTE)
    if found is None:
        found = HookedTraining(model)
        object.__setattr__(model, ATTRIBUTE, found)  # past Keras' tracking of attributes
    return found


def attach(hook: OptimizerHook, fit: object = None) -> None:
    """Let a hook listen to its optimizer; hooks that an interrupted `fit` has left behind are removed.

    `fit` is any object that identifies one call of `fit`.
    """
    training = hooks_of(hook.model)
    if training.fit is not None and training.fit is not fit:
        for old in list(training.hooks):
            training.remove(old)
    training.fit = fit
    training.add(hook)


def detach(hook: OptimizerHook) -> None:
    """Stop listening; with the last hook the optimizer's own `apply` and the model's own train function come back."""
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
    """Operations with a second seed keep the state of their stream in the kernel."""
    return "seed2" in node.attr
