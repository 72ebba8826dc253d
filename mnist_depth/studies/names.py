"""Names and published figures as statements, tables and legends of studies give them."""


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
