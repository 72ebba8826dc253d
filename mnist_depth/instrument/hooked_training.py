"""Give a model a train function that is traced with hooks on its optimizers, and take it away again.

A model's `train_function` is traced once. Hooks must be part of that trace, so a training with hooks uses a separate
train function from its first batch to its last. Alternating between two functions would restart the `tf.random` stream
in each of them and trace them at different times. A train function that is set in between (by a callback that compiles
the model) is never replaced by an older one.
"""

from __future__ import annotations

from typing import Any, Protocol

import keras

from mnist_depth.instrument.random_draws import draws_random_numbers

ATTRIBUTE = "_mnist_depth_hooks"
"""Attribute of a model that holds its HookedTraining."""


class Hook(Protocol):
    """What is attached to an optimizer before a training step is traced."""

    @property
    def model(self) -> keras.Model: ...

    def attach(self) -> None: ...

    def detach(self) -> None: ...


class HookedTraining:
    """The hooks of one model; several callbacks share it."""

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.hooks: list[Hook] = []
        self.fit: object = None
        """Any object that identifies one call of `fit`."""
        self._plain: Any = None
        self._hooked: Any = None
        self._traced: dict[tuple[Hook, ...], tuple[Any, Any]] = {}
        """Hooks -> the model's own train function and the one that was traced with these hooks; the latest pair."""

    def add(self, hook: Hook) -> None:
        if hook not in self.hooks:
            self.hooks.append(hook)
            hook.attach()

    def remove(self, hook: Hook) -> None:
        if hook in self.hooks:
            self.hooks.remove(hook)
            hook.detach()
            if not self.hooks:
                self._put_back()

    def install(self) -> None:
        """Make the model use a train function with these hooks; called before every batch.

        A train function that was replaced since the last batch becomes the model's original one.
        """
        current = self.model.train_function
        # None before the first `train_on_batch`, which makes a train function while the hooks are attached.
        if current is None or current is self._hooked:
            return
        key = tuple(self.hooks)
        plain, hooked = self._traced.get(key, (None, None))
        if plain is not current:
            # No trace with these hooks yet, or a callback has compiled the model since: make a new train function,
            # which is traced while the hooks are attached.
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


def hooks_of(model: keras.Model) -> HookedTraining:
    """The HookedTraining of a model, created on first use."""
    found = vars(model).get(ATTRIBUTE)
    if found is None:
        found = HookedTraining(model)
        object.__setattr__(model, ATTRIBUTE, found)  # bypasses Keras' attribute tracking
    return found


def attach(hook: Hook, fit: object = None) -> None:
    """Attach a hook to its optimizer; hooks left over from an interrupted `fit` are removed.

    `fit` is any object that identifies one call of `fit`.
    """
    training = hooks_of(hook.model)
    if training.fit is not None and training.fit is not fit:
        for old in list(training.hooks):
            training.remove(old)
    training.fit = fit
    training.add(hook)


def detach(hook: Hook) -> None:
    """Remove a hook; the last one restores the optimizer's `apply` and the model's train function."""
    hooks_of(hook.model).remove(hook)
