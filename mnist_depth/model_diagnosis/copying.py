"""Copy a Keras model with its weights and settings, subclassed models too."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np


def copied(model: Any, x: Any) -> Any:
    """The same model with the same weights and settings; raises an error where Keras cannot copy it."""
    import keras

    is_graph = getattr(model, "inputs", None) is not None
    clone = keras.models.clone_model(model) if is_graph else _constructed(model, x)
    clone.set_weights(model.get_weights())
    return compiled_like(model, clone)


def compiled_like(model: Any, clone: Any) -> Any:
    """The clone, compiled as the model is; Keras restores its own settings; the loss, maybe a function, is shared."""
    import keras

    if model.compiled:
        settings = model.get_compile_config()
        del settings["loss"]
        clone.compile(loss=model.loss, **keras.saving.deserialize_keras_object(settings))
    return clone


def _constructed(model: Any, x: Any) -> Any:
    """A new object of a model's class, built by a call on the first example.

    Without a `get_config` of its own, Keras 3.15 remembers the defaults of the constructor's arguments, not what they
    were. So the copy is only accepted if it gives the model's outputs.
    """
    import tensorflow as tf

    from mnist_depth.instrument.forward import predict
    from mnist_depth.instrument.probe_batch import as_tensors

    cls, config = type(model), model.get_config()
    known = inspect.signature(cls.__init__).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        # Keras adds `trainable` and `dtype`, which this constructor does not take.
        config = {name: value for name, value in config.items() if name in known}
    clone = cls.from_config(config)
    first = tf.nest.map_structure(lambda part: part[:1], as_tensors((x,))[0])
    predict(clone, first, training=False)
    clone.set_weights(model.get_weights())
    expected, found = (tf.nest.flatten(predict(one, first, training=False)) for one in (model, clone))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    return clone
