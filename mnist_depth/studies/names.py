"""Names and published figures as statements, tables and legends of studies give them."""

from mnist_depth.translation import translate as _

WORDS = (
    "9 sigmoid layers",
    "batch norm",
    "300 images",
    "lab",
    "softmax",
    "+ dropout",
    "2 hidden layers",
    "3 hidden layers",
    "4 hidden layers",
    "all zeros",
    "plain",
    "fast forward",
    "split and merge",
    "simple recurrent",
    "ReLU (the bar)",
    "no remedy",
    "batch normalization",
    "residual wiring",
    "DBN pre-training",
    "LSUV over all entries",
    "LSUV across samples",
    "momentum",
    "gain 1",
    "gain 4",
    "gain 1.414",
    "tiny epsilon",
    "sum from 0",
    "and on the scored logits",
    "and trained through on the logits",
)
"""Parts of labels that have a word in other languages; names of activations, optimizers and initializers have none."""


def localized(label: str) -> str:
    """A label in the active language, part by part.

    >>> localized("300 images, keep 0.8")
    '300 images, keep 0.8'
    """
    return ", ".join(_(part) if part in WORDS else part for part in label.split(", "))


def cifar(figure: float | str) -> str:
    """An accuracy that Mishkin & Matas 2015 publish for CIFAR-10, in percent or n/c; empty where there is none."""
    unit = "" if figure == "n/c" else " %"
    return f"CIFAR-10: {figure}{unit}" if figure else ""


OPTIMIZERS = {
    "sgd": "SGD",
    "momentum": "momentum",
    "nag": "NAG",
    "adagrad": "AdaGrad",
    "rmsprop": "RMSprop",
    "adadelta": "AdaDelta",
    "adam": "Adam",
    "adamw": "AdamW",
    "nadam": "Nadam",
    "radam": "RAdam",
}

INITIALIZERS = {
    "zeros": "all zeros",
    "normal_1": "N(0, 1)",
    "normal_0_01": "N(0, 0.01²)",
    "uniform_1": "U(-1, 1)",
    "lecun_normal": "LeCun, normal",
    "lecun_uniform": "LeCun, uniform",
    "glorot_normal": "Xavier, normal",
    "glorot_uniform": "Xavier, uniform",
    "he_normal": "He, normal",
    "he_uniform": "He, uniform",
    "orthogonal": "orthogonal",
    "orthogonal:1.4142": "orthogonal, gain 1.414",
}
