"""Small models of every kind that the instruments must work on, each with a batch to train on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

SAMPLES = 24


class Specimen(NamedTuple):
    """A compiled model, its data, and the layers that a probe should find, in depth order."""

    model: keras.Model
    x: Any
    y: Any
    sample_weight: Any
    layers: tuple[str, ...]
    activated: tuple[str, ...]
    """Those with an activation of their own, and so with a pre-activation."""
    bounded: tuple[str, ...] = ()
    """Those whose activation is bounded on both sides."""
    recurrent: tuple[str, ...] = ()
    """Those whose gradient at each time step is measured."""


def _random() -> np.random.Generator:
    return np.random.default_rng(3)


def _classes(count: int = 4) -> Any:
    return _random().integers(0, count, SAMPLES)


def _compiled(model: keras.Model, **options: Any) -> keras.Model:
    defaults: dict[str, Any] = {
        "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "optimizer": "sgd",
    }
    model.compile(**{**defaults, **options})
    return model


def _classifier(
    model: keras.Model,
    x: Any,
    layers: tuple[str, ...],
    activated: tuple[str, ...] | None = None,
    bounded: tuple[str, ...] = (),
    *,
    recurrent: tuple[str, ...] = (),
    **options: Any,
) -> Specimen:
    """A classifier whose layers all have activations of their own, unless `activated` names those that do."""
    return Specimen(_compiled(model, **options), x, _classes(), None, layers, activated or layers, bounded, recurrent)


def sequential(**options: Any) -> Specimen:
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, "tanh", name="one"), layers.Dense(8, "relu", name="two"), layers.Dense(4)],
    )
    model.layers[-1].name = "three"
    x = _random().normal(size=(SAMPLES, 6))
    return _classifier(model, x, ("one", "two", "three"), bounded=("one",), **options)


def functional(**options: Any) -> Specimen:
    """uint8 pixels, batch normalization, dropout, a skip connection, weight decay and a softmax output."""
    inputs = keras.Input((12,), dtype="uint8")
    x = first = layers.Dense(8, "sigmoid", name="layer_01")(layers.Rescaling(1 / 255, name="scaling")(inputs))
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Dropout(0.3, name="drop", seed=5)(x)
    x = layers.Dense(8, "relu", name="layer_02", kernel_regularizer=keras.regularizers.L2(0.1))(x)
    x = layers.Add(name="add")([x, first])
    model = keras.Model(inputs, layers.Dense(4, "softmax", name="layer_03")(x), name="network")
    names = ("scaling", "layer_01", "norm", "drop", "layer_02", "add", "layer_03")
    pixels = _random().integers(0, 256, (SAMPLES, 12)).astype(np.uint8)
    weights = _random().uniform(0.5, 2, SAMPLES).astype(np.float32)
    options = {"loss": "sparse_categorical_crossentropy", **options}
    return Specimen(
        _compiled(model, metrics=["accuracy"], **options),
        pixels,
        _classes(),
        weights,
        names,
        ("layer_01", "layer_02", "layer_03"),
        ("layer_01",),
    )


class _Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__(name="subclassed")
        self.body = [layers.Dense(8, "tanh", name=f"body_{i}") for i in range(2)]
        self.head = layers.Dense(4, name="head")

    def call(self, inputs: Any) -> Any:
        x = inputs
        for layer in self.body:
            x = layer(x) * 0.5
        return self.head(x)


def subclassed(**options: Any) -> Specimen:
    """Its `call` takes no `training` and computes between layers."""
    model = _Subclassed()
    x = _random().normal(size=(SAMPLES, 5)).astype(np.float32)
    model(x)
    return _classifier(model, x, ("body_0", "body_1", "head"), bounded=("body_0", "body_1"), **options)


def nested(**options: Any) -> Specimen:
    """A functional model and a Sequential inside a functional one; both have a layer of the same name."""
    inputs = keras.Input((6,))
    inner = keras.Model(inputs, layers.Dense(5, "relu", name="dense")(inputs), name="backbone")
    head = keras.Sequential([layers.Dense(5, "elu", name="dense"), layers.Dense(4, name="out")], name="head")
    outer = keras.Input((6,))
    model = keras.Model(outer, head(inner(outer)))
    x = _random().normal(size=(SAMPLES, 6))
    return _classifier(model, x, ("backbone/dense", "head/dense", "head/out"), **options)


def shared(**options: Any) -> Specimen:
    """One layer called twice."""
    inputs = keras.Input((6,))
    twin = layers.Dense(6, "tanh", name="twin")
    model = keras.Model(inputs, layers.Dense(4, name="out")(twin(twin(inputs))))
    x = _random().normal(size=(SAMPLES, 6))
    return _classifier(model, x, ("twin", "twin/call_2", "out"), bounded=("twin", "twin/call_2"), **options)


def several(**options: Any) -> Specimen:
    """Two inputs and two outputs with a loss each, by name, and sample weights for both."""
    left, right = keras.Input((3,), name="left"), keras.Input((5,), name="right")
    x = layers.Concatenate(name="join")([left, right])
    x = layers.Dense(6, "relu", name="trunk")(x)
    outputs = {"kind": layers.Dense(4, name="kind")(x), "size": layers.Dense(1, name="size")(x)}
    model = keras.Model({"left": left, "right": right}, outputs)
    losses = {"kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "size": "mse"}
    options = {"loss": losses, "loss_weights": {"kind": 1.0, "size": 0.5}, **options}
    data = {"left": _random().normal(size=(SAMPLES, 3)), "right": _random().normal(size=(SAMPLES, 5))}
    targets = {"kind": _classes(), "size": _random().normal(size=(SAMPLES, 1))}
    weights = {"kind": np.ones(SAMPLES), "size": np.linspace(0, 1, SAMPLES)}
    return Specimen(
        _compiled(model, **options),
        data,
        targets,
        weights,
        ("join", "trunk", "size", "kind"),
        ("trunk", "size", "kind"),
    )


def convolutional(**options: Any) -> Specimen:
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu", name="conv_1"),
            layers.BatchNormalization(name="norm"),
            layers.MaxPooling2D(name="pool"),
            layers.SpatialDropout2D(0.2, name="drop", seed=4),
            layers.DepthwiseConv2D(2, activation="relu6", name="conv_2"),
            layers.GlobalAveragePooling2D(name="average"),
            layers.Dense(4, name="out"),
        ]
    )
    x = _random().normal(size=(SAMPLES, 8, 8, 1))
    names = ("conv_1", "norm", "pool", "drop", "conv_2", "average", "out")
    return _classifier(model, x, names, ("conv_1", "conv_2", "out"), ("conv_2",), **options)


def attention(**options: Any) -> Specimen:
    """Embedding with a mask, self-attention, layer normalization."""
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Embedding(20, 8, mask_zero=True, name="embed")(inputs)
    x = layers.Add(name="skip")([x, layers.MultiHeadAttention(2, 4, name="attend", dropout=0.1)(x, x)])
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.GlobalAveragePooling1D(name="average")(x)
    model = keras.Model(inputs, layers.Dense(4, "gelu", name="out")(x))
    x = _random().integers(0, 20, (SAMPLES, 7))
    return _classifier(model, x, ("embed", "attend", "skip", "norm", "average", "out"), ("out",), **options)


def recurrent(**options: Any) -> Specimen:
    """Cells run in loops whose tensors must not leak; one layer returns its state too."""
    inputs = keras.Input((5, 3))
    x = layers.Bidirectional(layers.SimpleRNN(3, return_sequences=True, name="cell"), name="both")(inputs)
    x = layers.TimeDistributed(layers.Dense(4, "tanh"), name="each")(x)
    x = layers.LSTM(4, return_state=True, name="lstm")(x)
    model = keras.Model(inputs, layers.Dense(4, name="out")(x[0]))
    names = ("both", "each", "lstm", "lstm/output_2", "lstm/output_3", "out")
    looped = ("both/forward_cell", "both/backward_cell", "lstm")
    return _classifier(model, _random().normal(size=(SAMPLES, 5, 3)), names, ("out",), recurrent=looped, **options)


@keras.saving.register_keras_serializable(package="zoo")
class Compound(layers.Layer):
    """A layer of several: dense, batch normalization, activation, dropout, and a loss of its own."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.dense = layers.Dense(units, name="dense")
        self.norm = layers.BatchNormalization(name="norm")
        self.drop = layers.Dropout(0.2, name="drop", seed=1)
        self.activation = keras.activations.get("sigmoid")

    def build(self, input_shape: Any) -> None:
        self.dense.build(input_shape)
        self.norm.build((None, self.dense.units))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x: Any = self.activation(self.norm(self.dense(inputs), training=training))
        penalty: Any = keras.ops.mean(x * x)
        self.add_loss(0.01 * penalty)
        return self.drop(x, training=training)


def compound(**options: Any) -> Specimen:
    inputs = keras.Input((6,))
    x = Compound(5, name="layer_02")(Compound(5, name="layer_01")(inputs))
    model = keras.Model(inputs, layers.Dense(4, name="layer_03")(x))
    x = _random().normal(size=(SAMPLES, 6))
    return _classifier(model, x, ("layer_01", "layer_02", "layer_03"), bounded=("layer_01", "layer_02"), **options)


ZOO: dict[str, Callable[..., Specimen]] = {
    "sequential": sequential,
    "functional": functional,
    "subclassed": subclassed,
    "nested": nested,
    "shared": shared,
    "several": several,
    "convolutional": convolutional,
    "attention": attention,
    "recurrent": recurrent,
    "compound": compound,
}


def specimen(name: str, **options: Any) -> Specimen:
    """A new model of one kind, always with the same initial weights."""
    keras.utils.set_random_seed(11)
    return ZOO[name](**options)
