"""Random small networks, as specifications, as Keras models, and the three data sets that they learn."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

import numpy as np

EXAMPLES, BATCH, EPOCHS = 512, 32, 10

DATASETS = {"circles": (2, 2), "blobs": (10, 4), "digits": (64, 10)}
"""Name -> features and classes."""

ACTIVATIONS = {
    "relu": 6,
    "sigmoid": 3,
    "tanh": 3,
    "elu": 1,
    "selu": 1,
    "swish": 1,
    "gelu": 1,
    "softplus": 1,
    "exponential": 1,
    "hard_sigmoid": 1,
    "linear": 1,
}
"""Activation -> how often it is drawn, relative to the others."""

INITIALIZERS = {
    "glorot_uniform": 8,
    "he_normal": 6,
    "lecun_normal": 2,
    "orthogonal": 2,
    "normal_1": 3,
    "normal_0.01": 2,
    "uniform_1": 1,
    "zeros": 1,
    "constant": 1,
}

OPTIMIZERS = {"sgd": 4, "momentum": 2, "adam": 3, "rmsprop": 1}

USUAL_RATE = {"sgd": 0.1, "momentum": 0.03, "adam": 3e-3, "rmsprop": 3e-3}
"""Rates at which such networks learn within the 160 updates of one training."""

DEPTHS = (1, 2, 2, 3, 3, 4, 5, 6, 7, 9, 9, 12, 16, 20, 25, 35)
CONVOLUTIONAL_DEPTHS = (2, 3, 4, 5, 6, 8)


@dataclass(frozen=True)
class Structure:
    """What networks must share to be trained side by side."""

    dataset: str
    convolutional: bool
    depth: int
    width: int
    activation: str
    batch_norm: bool
    optimizer: str
    residual: bool = False


@dataclass(frozen=True)
class Network:
    """One network: a structure, how it starts, and how it is trained."""

    structure: Structure
    initializer: str
    bias: float
    rate: float
    input_scale: float
    seed: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def network_of(record: dict[str, Any]) -> Network:
    """The inverse of `Network.as_dict`."""
    return Network(**{**record, "structure": Structure(**record["structure"])})


def _pick(generator: random.Random, weights: dict[str, int]) -> str:
    return generator.choices(list(weights), list(weights.values()))[0]


def draw_structure(generator: random.Random) -> Structure:
    """A random structure; convolutions only on digits."""
    dataset = generator.choice(list(DATASETS))
    convolutional = dataset == "digits" and generator.random() < 0.4
    return Structure(
        dataset=dataset,
        convolutional=convolutional,
        depth=generator.choice(CONVOLUTIONAL_DEPTHS if convolutional else DEPTHS),
        width=generator.choice((4, 8) if convolutional else (8, 16, 32)),
        activation=_pick(generator, ACTIVATIONS),
        batch_norm=generator.random() < 0.15,
        optimizer=_pick(generator, OPTIMIZERS),
    )


def draw_network(generator: random.Random, structure: Structure) -> Network:
    """A random network of this structure; half of the rates are usual ones, the others from 1e-8 to 10."""
    usual = generator.random() < 0.5
    rate = (
        USUAL_RATE[structure.optimizer] * 10 ** generator.uniform(-0.5, 0.3)
        if usual
        else 10 ** generator.uniform(-8, 1)
    )
    return Network(
        structure=structure,
        initializer=_pick(generator, INITIALIZERS),
        bias=generator.choice((-1.0, -0.5)) if generator.random() < 0.1 else 0.0,
        rate=rate,
        input_scale=100.0 if generator.random() < 0.1 else 1.0,
        seed=generator.randrange(1 << 30),
    )


def draw_relu_structure(generator: random.Random) -> Structure:
    """A small dense ReLU network."""
    return Structure(
        dataset=generator.choice(list(DATASETS)),
        convolutional=False,
        depth=generator.choice((2, 3, 4, 5, 6)),
        width=generator.choice((8, 16, 32)),
        activation="relu",
        batch_norm=False,
        optimizer=_pick(generator, OPTIMIZERS),
    )


def draw_relu_network(generator: random.Random, structure: Structure) -> Network:
    """What makes ReLUs die: biases below zero, and rates up to a thousand times the usual one."""
    return Network(
        structure=structure,
        initializer=generator.choice(("glorot_uniform", "he_normal")),
        bias=generator.choice((0.0, 0.0, -0.5, -1.0, -2.0, -4.0)),
        rate=USUAL_RATE[structure.optimizer] * 10 ** generator.uniform(-0.5, 3),
        input_scale=1.0,
        seed=generator.randrange(1 << 30),
    )


DRAWS = {"mixed": (draw_structure, draw_network), "relu": (draw_relu_structure, draw_relu_network)}
"""Kind of networks -> how their structure and they themselves are drawn."""


def _initializer(name: str, seed: int) -> Any:
    import keras

    return {
        "glorot_uniform": lambda: keras.initializers.GlorotUniform(seed=seed),
        "he_normal": lambda: keras.initializers.HeNormal(seed=seed),
        "lecun_normal": lambda: keras.initializers.LecunNormal(seed=seed),
        "orthogonal": lambda: keras.initializers.Orthogonal(seed=seed),
        "normal_1": lambda: keras.initializers.RandomNormal(stddev=1.0, seed=seed),
        "normal_0.01": lambda: keras.initializers.RandomNormal(stddev=0.01, seed=seed),
        "uniform_1": lambda: keras.initializers.RandomUniform(-1, 1, seed=seed),
        "zeros": lambda: keras.initializers.Zeros(),
        "constant": lambda: keras.initializers.Constant(0.1),
    }[name]()


def usual_initializer(activation: str) -> str:
    """The initializer that text books pair with an activation."""
    return "he_normal" if activation in ("relu", "elu", "swish", "gelu", "leaky_relu") else "glorot_uniform"


def build(network: Network) -> Any:
    """The network as an uncompiled Keras model; logits as output."""
    import keras

    structure = network.structure
    features, classes = DATASETS[structure.dataset]
    bias = keras.initializers.Constant(network.bias)
    hidden: Any = keras.Input((features,))
    inputs = hidden
    if structure.convolutional:
        hidden = keras.layers.Reshape((8, 8, 1))(hidden)
    for index in range(1, structure.depth):
        fields: dict[str, Any] = {
            "kernel_initializer": _initializer(network.initializer, network.seed + index),
            "bias_initializer": bias,
            "name": f"hidden_{index:02d}",
            "activation": None if structure.batch_norm else structure.activation,
        }
        before = hidden
        if structure.convolutional:
            hidden = keras.layers.Conv2D(structure.width, 3, padding="same", **fields)(hidden)
        else:
            hidden = keras.layers.Dense(structure.width, **fields)(hidden)
        if structure.batch_norm:
            hidden = keras.layers.BatchNormalization(name=f"norm_{index:02d}")(hidden)
            hidden = keras.layers.Activation(structure.activation, name=f"activation_{index:02d}")(hidden)
        if structure.residual and before.shape == hidden.shape:
            hidden = keras.layers.Add(name=f"add_{index:02d}")([before, hidden])
    if structure.convolutional:
        hidden = keras.layers.Flatten()(hidden)
    kernel = _initializer(network.initializer, network.seed)
    return keras.Model(inputs, keras.layers.Dense(classes, kernel_initializer=kernel, name="logits")(hidden))


def compiled(network: Network, model: Any) -> Any:
    """The model, compiled as the network says."""
    import keras

    rate = network.rate
    optimizer = {
        "sgd": lambda: keras.optimizers.SGD(rate),
        "momentum": lambda: keras.optimizers.SGD(rate, momentum=0.9),
        "adam": lambda: keras.optimizers.Adam(rate),
        "rmsprop": lambda: keras.optimizers.RMSprop(rate),
    }[network.structure.optimizer]()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=False)
    return model


@cache
def data(name: str) -> tuple[np.ndarray, np.ndarray]:
    """float32 [512, features], standardized as a whole, and int32 labels [512]."""
    from sklearn.datasets import load_digits, make_blobs, make_circles

    x: Any
    y: Any
    if name == "circles":
        x, y = make_circles(EXAMPLES, noise=0.08, factor=0.4, random_state=0)
    elif name == "blobs":
        x, y = make_blobs(EXAMPLES, n_features=10, centers=4, cluster_std=2.5, random_state=1)[:2]
    else:
        loaded: Any = load_digits()
        chosen = np.random.default_rng(0).permutation(len(loaded.target))[:EXAMPLES]
        x, y = loaded.data[chosen], loaded.target[chosen]
    x = (x - x.mean()) / x.std()
    return x.astype(np.float32), y.astype(np.int32)


def inputs(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """The network's training set, at its input scale."""
    x, y = data(network.structure.dataset)
    return x * np.float32(network.input_scale), y


def order(seed: int = 0) -> np.ndarray:
    """int32 [updates, 32]: the examples of every minibatch of one training."""
    generator = np.random.default_rng(seed)
    epochs = [generator.permutation(EXAMPLES).reshape(-1, BATCH) for _ in range(EPOCHS)]
    return np.concatenate(epochs).astype(np.int32)


def chance(network: Network) -> float:
    """Accuracy half way between the most frequent class and one: what counts as having learned."""
    _, y = data(network.structure.dataset)
    share = np.bincount(y).max() / len(y)
    return float(share + (1 - share) / 2)


def variant(network: Network, **changes: Any) -> Network:
    """The network with fields of it or of its structure changed."""
    own = {name: value for name, value in changes.items() if hasattr(network, name)}
    rest = {name: value for name, value in changes.items() if name not in own}
    return replace(network, structure=replace(network.structure, **rest), **own)
