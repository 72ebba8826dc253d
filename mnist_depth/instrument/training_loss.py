"""Whether the loss that a probe can compute is the one that `fit` minimizes."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Collection, Iterator
from types import CodeType
from typing import TYPE_CHECKING, Any

from mnist_depth.diagnosis import Message

if TYPE_CHECKING:
    import keras

KNOWN = {"compute_loss", "_compute_loss", "compiled_loss"}
"""Names that a train step calls if it minimizes the loss that a probe can compute."""


def why_unknown(model: keras.Model) -> Message | None:
    """Why the loss of training cannot be computed from a batch; None where it can."""
    if not getattr(model, "compiled", False):
        return Message("the model is not compiled")
    if not has_own_train_step(model):
        return None
    if getattr(model, "_compile_loss", None) is None and not overrides(model, "compute_loss"):
        return Message("the model computes its loss in a train_step of its own and is compiled without one")
    if not _calls(type(model), "train_step") & KNOWN:
        return Message("the model computes its loss in a train_step of its own")
    if _changes_loss(type(model)):
        return Message("the model's train_step computes with its compiled loss")
    return None


def has_own_train_step(model: keras.Model) -> bool:
    return overrides(model, "train_step")


def overrides(model: keras.Model, method: str) -> bool:
    """Whether the method is not Keras' own."""
    return not getattr(type(model), method).__module__.startswith("keras.")


def _calls(kind: type, method: str) -> set[str]:
    """Every name that a method uses, and those that methods of its class use which it calls."""
    found: set[str] = set()
    waiting = [method]
    while waiting:
        used = _uses(kind, waiting.pop())
        waiting.extend(name for name in used - found if inspect.isfunction(getattr(kind, name, None)))
        found |= used
    return found


def _uses(kind: type, method: str) -> set[str]:
    """The names in a method, and in the one that it extends by `super()`; names in KNOWN mean Keras' own step."""
    found: set[str] = set()
    for owner in kind.__mro__:
        function = inspect.unwrap(vars(owner)[method]) if method in vars(owner) else None
        if not inspect.isfunction(function):
            continue
        if owner.__module__.startswith("keras."):
            return found | KNOWN if method == "train_step" else found
        used = set(_names_in(function.__code__))
        found |= used
        if not {"super", method} <= used:
            break
    return found


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _changes_loss(kind: type) -> bool:
    """Whether a train step computes with the compiled loss: adds another one to it, or weighs it."""
    methods = {name for name in {"train_step"} | _calls(kind, "train_step") if _is_own(kind, name)}
    sources = KNOWN | {name for name in methods - {"train_step"} if _calls(kind, name) & KNOWN}
    return any(_computes_with(getattr(kind, name), sources) for name in methods - KNOWN)


def _is_own(kind: type, name: str) -> bool:
    method = getattr(kind, name, None)
    return inspect.isfunction(method) and not method.__module__.startswith("keras.")


def _computes_with(method: Callable[..., Any], sources: Collection[str]) -> bool:
    """Whether the value of a call of one of the `sources` is an operand in the method's code."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(method)))
    except (OSError, TypeError, SyntaxError):  # no source
        return False
    nodes = list(ast.walk(tree))
    losses = {name for node in nodes for name in _assigned(node, sources)}
    return any(
        _is_call(operand, sources) or (isinstance(operand, ast.Name) and operand.id in losses)
        for node in nodes
        for operand in _operands(node)
    )


def _assigned(node: ast.AST, sources: Collection[str]) -> list[str]:
    """The names that get the value of a call of one of the `sources`."""
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None or not _is_call(node.value, sources):
        return []
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _operands(node: ast.AST) -> list[ast.expr]:
    """What an expression adds or multiplies."""
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.AugAssign):
        return [node.target]
    if isinstance(node, ast.List) and len(node.elts) > 1:  # tf.add_n([loss, other])
        return node.elts
    return node.args if _is_call(node, ("add", "multiply")) and isinstance(node, ast.Call) else []


def _is_call(node: ast.AST, names: Collection[str]) -> bool:
    """Whether a node is a call of a method with one of these names."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names


def class_weights_of_fit(model: keras.Model) -> dict[int, Any] | None:
    """The `class_weight` of the running `fit`, which Keras does not pass to callbacks."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "fit" and frame.f_locals.get("self") is model:
            return frame.f_locals.get("class_weight")
        frame = frame.f_back
    return None
