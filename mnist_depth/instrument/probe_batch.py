"""Convert a probe argument into one batch of tensors, as `fit` would pass it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

Batch = tuple[Any, Any, Any]
"""x, y, sample_weight; each a tensor, a structure of tensors or None."""

EXPECTED = "a probe is (x,), (x, y) or (x, y, sample_weight), or a dataset whose first batch is taken"


def first_batch(probe: Any) -> Sequence[Any]:
    """The batch itself, or the first one of a tf.data.Dataset or a PyDataset; ValueError for anything else.

    An iterator is refused: a batch taken from it would be missing in training.
    """
    if isinstance(probe, tf.data.Dataset):
        probe = _peek(probe)
    elif isinstance(probe, keras.utils.PyDataset):
        probe = probe[0]
    elif isinstance(probe, Iterator):
        raise ValueError(f"{EXPECTED}; an iterator would lose its first batch for training")
    if isinstance(probe, (tf.Tensor, Mapping)):  # a dataset of inputs only
        probe = (probe,)
    if not isinstance(probe, (tuple, list)) or not 1 <= len(probe) <= 3:
        raise ValueError(EXPECTED)
    return probe


def _peek(dataset: tf.data.Dataset) -> Any:
    """The first element, from a copy where that is possible: every iterator of a shuffled dataset moves its seeds."""
    try:
        graph = tf.raw_ops.DatasetToGraphV2(input_dataset=dataset._variant_tensor)
        definition = tf.compat.v1.GraphDef.FromString(graph.numpy())
        _give_own_seeds(definition)
        variant = tf.raw_ops.DatasetFromGraph(graph_def=definition.SerializeToString())
        return next(iter(tf.data.experimental.from_variant(variant, dataset.element_spec).take(1)), ())
    except (tf.errors.OpError, ValueError):  # a pipeline with Python code, or one that is empty
        return next(iter(dataset.take(1)), ())


def _give_own_seeds(pipeline: tf.compat.v1.GraphDef) -> None:
    """Make a copied pipeline shuffle from its own seeds, not from the seed generator it shares with the original."""
    for node in (*pipeline.node, *(node for function in pipeline.library.function for node in function.node_def)):
        if node.op == "ShuffleDatasetV3":
            node.op = "ShuffleDataset"
            del node.input[4:]  # input, buffer size and two seeds remain
            node.attr["reshuffle_each_iteration"].b = False


def as_tensors(batch: Any, model: keras.Model | None = None) -> Batch:
    """(x, y, sample_weight): floating arrays in Keras' default float type; as many examples as the model takes."""
    parts = (*first_batch(batch), None, None)[:3]
    x, y, sample_weight = (tf.nest.map_structure(_as_tensor, part) for part in parts)
    size = _fixed_size(model)
    if size is not None and any(len(tensor) > size for tensor in tf.nest.flatten(x) if isinstance(tensor, tf.Tensor)):
        warnings.warn(
            f"the model takes batches of {size}: the first {size} examples of the probe are used", stacklevel=3
        )
        x, y, sample_weight = (_head(part, size) for part in (x, y, sample_weight))
    return x, y, sample_weight


def _head(part: Any, size: int) -> Any:
    return None if part is None else tf.nest.map_structure(lambda tensor: tensor[:size], part)


def _fixed_size(model: keras.Model | None) -> int | None:
    """The batch size that a model is built for, as stateful recurrent networks are."""
    inputs = getattr(model, "inputs", None) if model is not None else None
    sizes = {declared.shape[0] for declared in inputs or () if declared.shape and declared.shape[0] is not None}
    return sizes.pop() if len(sizes) == 1 else None


def _as_tensor(value: Any) -> Any:
    if value is None or tf.is_tensor(value) or isinstance(value, tf.RaggedTensor):
        return value
    if hasattr(value, "tocoo"):  # a SciPy matrix
        return _sparse(value.tocoo())
    array = np.asarray(value)
    return tf.constant(array.astype(keras.config.floatx()) if array.dtype.kind == "f" else array)


def _sparse(matrix: Any) -> tf.SparseTensor:
    order = np.lexsort((matrix.col, matrix.row))
    places = np.stack([matrix.row, matrix.col], axis=1)[order].astype(np.int64)
    values = matrix.data[order]
    dtype = keras.config.floatx() if values.dtype.kind == "f" else values.dtype
    return tf.SparseTensor(places, values.astype(dtype), matrix.shape)


def with_class_weights(batch: Batch, weights: Mapping[int, Any] | None) -> Batch:
    """Weigh the examples by their classes, as `fit` does with its `class_weight`."""
    x, y, sample_weight = batch
    if not weights or not isinstance(y, tf.Tensor) or sample_weight is not None:
        return batch
    labels = np.asarray(y)
    classes = labels.argmax(-1) if labels.ndim > 1 and labels.shape[-1] > 1 else labels.reshape(len(labels), -1)[:, 0]
    found = [float(weights.get(int(label), 1.0)) for label in classes.ravel()]
    shape = labels.shape[:-1] if labels.ndim > 1 and labels.shape[-1] > 1 else labels.shape[:1]
    return x, y, tf.constant(np.reshape(found, shape), keras.config.floatx())
