"""Which single changes make a network learn: what its problem is, defined by training."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from scripts.diagnosis_benchmark.networks import (
    USUAL_RATE,
    Network,
    Structure,
    chance,
    usual_initializer,
    variant,
)
from scripts.diagnosis_benchmark.training import Trained, Trainer, start_weights

ORDERS = 3
"""Trainings of every network, each with the examples in another order: what decides is the majority."""

LOWEST_RATE, HIGHEST_RATE, DECADES = 1e-8, 10.0, 6


def rate_changes(network: Network) -> dict[str, Network]:
    """The network at every decade of the learning rate around its own."""
    decades = {k: network.rate * 10.0**k for k in range(-DECADES, DECADES + 1) if k}
    return {
        f"rate{k:+d}": variant(network, rate=rate) for k, rate in decades.items() if LOWEST_RATE <= rate <= HIGHEST_RATE
    }


SINGLE: dict[str, Callable[[Network], Network]] = {
    "scale": lambda n: variant(n, input_scale=1.0),
    "initializer": lambda n: variant(n, initializer=usual_initializer(n.structure.activation), bias=0.0),
    "relu": lambda n: variant(n, activation="relu", initializer="he_normal", bias=0.0),
    "leaky": lambda n: variant(n, activation="leaky_relu"),
    "norm": lambda n: variant(n, batch_norm=True),
    "residual": lambda n: variant(n, residual=True),
    "adam": lambda n: variant(n, optimizer="adam", rate=USUAL_RATE["adam"]),
}
"""Name -> the network with one thing changed."""


def same_graph(network: Network) -> dict[str, Network]:
    """The network itself, at other rates, and with changes that need no other graph."""
    usual = USUAL_RATE[network.structure.optimizer]
    single = _changed(network, ("scale", "initializer"))
    return {"base": network, "usual_rate": variant(network, rate=usual), **rate_changes(network), **single}


def other_graphs(network: Network) -> dict[str, Network]:
    """The network with another activation, normalization, residual connections or optimizer."""
    return _changed(network, ("relu", "leaky", "norm", "residual", "adam"))


def _changed(network: Network, names: Iterable[str]) -> dict[str, Network]:
    """Single changes that change something, each also with the usual rate (`+rate`)."""
    found = {}
    for name in names:
        changed = SINGLE[name](network)
        if changed == network:
            continue
        found[name] = changed
        if name != "adam":
            found[f"{name}+rate"] = variant(changed, rate=USUAL_RATE[changed.structure.optimizer])
    return found


def investigate(
    networks: Sequence[Network], *, other_graphs_too: bool = True
) -> list[tuple[dict[str, Any], np.ndarray]]:
    """The truth about networks of one structure, and their weights after training.

    Changes that need a graph of their own are tried where no learning rate makes the network learn.
    """
    tried = {network: same_graph(network) for network in networks}
    trained = train_all(member for group in tried.values() for member in group.values())
    for network, group in tried.items():
        rates = [
            trained[member] for name, member in group.items() if name in ("base", "usual_rate") or "rate" in name[:4]
        ]
        if other_graphs_too and not any(_learned(network, outcome) for outcome in rates):
            group.update(other_graphs(network))
    missing = [member for group in tried.values() for member in group.values() if member not in trained]
    trained.update(train_all(missing))
    others = [_side_by_side(networks[0].structure, networks, seed) for seed in range(1, ORDERS)]
    found = []
    for number, (network, group) in enumerate(tried.items()):
        outcomes = {name: trained[member] for name, member in group.items()}
        orders = [(outcome[number].accuracy, outcome[number].loss) for outcome in others]
        record = {"network": network.as_dict(), **truth(network, outcomes), "orders": orders}
        found.append((record, outcomes["base"].weights))
    return found


def train_all(networks: Iterable[Network]) -> dict[Network, Trained]:
    """Train every network once, those of one structure side by side."""
    groups: dict[Structure, list[Network]] = defaultdict(list)
    for network in dict.fromkeys(networks):
        groups[network.structure].append(network)
    found: dict[Network, Trained] = {}
    for structure, members in groups.items():
        found.update(zip(members, _side_by_side(structure, members), strict=True))
    return found


def _side_by_side(structure: Structure, members: Sequence[Network], seed: int = 0) -> list[Trained]:
    starts: dict[Any, np.ndarray] = {}
    for network in members:
        key = (network.initializer, network.bias, network.seed)
        if key not in starts:
            starts[key] = start_weights(network)
    weights = np.stack([starts[network.initializer, network.bias, network.seed] for network in members])
    rates = np.array([network.rate for network in members], np.float32)
    scales = np.array([network.input_scale for network in members], np.float32)
    return Trainer(structure).train(weights, rates, scales, seed)


def _learned(network: Network, outcome: Trained) -> bool:
    return outcome.accuracy >= chance(network) and math.isfinite(outcome.loss)


def truth(network: Network, outcomes: dict[str, Trained]) -> dict[str, Any]:
    """Whether the network learns, and which single changes make it learn."""
    learned = {name: _learned(network, outcome) for name, outcome in outcomes.items()}
    return {
        "learns": learned["base"],
        "cures": [name for name, well in learned.items() if well and name != "base"],
        "accuracy": {name: round(outcome.accuracy, 4) for name, outcome in outcomes.items()},
        "limit": chance(network),
        "start_loss": outcomes["base"].start_loss,
        "loss": outcomes["base"].loss,
        "dead_start": outcomes["base"].dead_start,
        "dead": outcomes["base"].dead,
    }
