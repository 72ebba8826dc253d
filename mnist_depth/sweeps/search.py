"""Search of hyper-parameters: random, in rounds that narrow the range, or with Optuna's samplers and halving.

Log-uniform ranges and the printed form follow Saito, Deep Learning from Scratch, chapter 6; why random rather than a
grid: Bergstra & Bengio 2012. The validation split decides; the test split is scored once, for the winner.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from mnist_depth import records
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError, unknown
from mnist_depth.sweeps import sweep
from mnist_depth.sweeps.grid import grid

BASE: dict[str, Any] = {
    "depth": 7,
    "width": 100,
    "activation": "relu",
    "initializer": "he_normal",
    "train_examples": 500,
    "epochs": 50,
}
"""The book's network: six hidden layers of 100 ReLU units on 500 training images."""

KEPT_SHARE = 0.2
"""The share of a round's trials that the next round's range is drawn around."""

HALVING_FACTOR = 3

SAMPLERS: dict[str, str] = {
    "random": "independent log-uniform draws, narrowed from round to round",
    "tpe": "Optuna's tree-structured Parzen estimator; needs mnist_depth[optuna]",
}


@dataclass(frozen=True)
class Space:
    """The search space: decimal exponents (low, high) of log-uniform fields, and lists of values for other fields."""

    exponents: Mapping[str, tuple[float, float]]
    choices: Mapping[str, Sequence[Any]]

    def narrowed(self, best: Sequence[RunConfig]) -> Space:
        """The range that the best trials span, but no wider than this one."""
        spans = {}
        for name, (low, high) in self.exponents.items():
            found = [math.log10(getattr(config, name)) for config in best]
            margin = (high - low) / 10
            spans[name] = (max(low, min(found) - margin), min(high, max(found) + margin))
        return replace(self, exponents=spans)


RANGES = {"learning_rate": "1e-6,1e-2", "weight_decay": "1e-8,1e-4"}
"""The fields that are drawn log-uniformly, and the book's ranges."""

EDGE_SHARE = 0.05
"""A value within this share of the range, in decades, lies at its edge."""


def parse_range(name: str, text: str) -> tuple[float, float]:
    """The decimal exponents of a range `LOW,HIGH`. Raises UserError for anything else.

    >>> parse_range("learning_rate", "1e-3,10")
    (-3.0, 1.0)
    """
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        low, high = 0.0, 0.0
    if not 0 < low < high < math.inf:
        raise UserError(
            "--{name}_range takes LOW,HIGH, two positive numbers such as {usual}, not {text!r}",
            name=name,
            usual=RANGES[name],
            text=text,
        )
    return math.log10(low), math.log10(high)


DEFAULT_SPACE = Space({name: parse_range(name, text) for name, text in RANGES.items()}, {})


ALWAYS_SHOWN = ("learning_rate", "weight_decay")
"""Fields that the line of every trial shows."""


class Trial(NamedTuple):
    """One configuration and the validation accuracy of its run; NaN where the run failed."""

    config: RunConfig
    accuracy: float

    def line(self, place: int, chosen: Iterable[str] = ()) -> str:
        """`Best-1 (val acc: 0.98) | lr: 0.0092, weight decay: 3.9e-07`, then the other fields that were searched."""
        config = self.config
        rates = f"lr: {config.learning_rate:.3g}, weight decay: {config.weight_decay:.2g}"
        others = "".join(f", {name}: {getattr(config, name)}" for name in chosen)
        return f"Best-{place} (val acc: {self.accuracy:.4g}) | {rates}{others}"


def at_the_edge(trial: Trial, exponents: Mapping[str, tuple[float, float]]) -> list[str]:
    """The fields whose value in this trial lies at an end of its range, where there may be better ones beyond."""
    found = []
    for name, (low, high) in exponents.items():
        place = (math.log10(getattr(trial.config, name)) - low) / (high - low)
        if not EDGE_SHARE < place < 1 - EDGE_SHARE:
            found.append(name)
    return found


@dataclass(frozen=True)
class SearchSettings:
    """How to search: trials per round, rounds, the sampler and whether weak trials are dropped early."""

    trials: int = 100
    rounds: int = 2
    sampler: str = "random"
    halving: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise unknown("sampler", self.sampler, SAMPLERS)
        for name in ("trials", "rounds"):
            if not 1 <= getattr(self, name) <= 100_000:
                raise UserError(
                    "{name} must be a whole number from 1 to 100000, not {value}", name=name, value=getattr(self, name)
                )


Train = Callable[[Sequence[RunConfig]], sweep.Result]


def search(
    base: Mapping[str, Any], space: Space, settings: SearchSettings, options: sweep.Options, train: Train
) -> list[Trial]:
    """Every trial, best first; `train` runs configs, `options` holds their logdir and study.

    Raises UserError before anything is trained when `base` or a choice is not valid, or Optuna is not installed.
    """
    grid(base, space.choices)
    rounds = _optuna_rounds if settings.sampler == "tpe" or settings.halving else _random_rounds
    trials: dict[RunConfig, Trial] = {}
    for configs, report in rounds(base, space, settings):
        result = train(configs)
        found = [Trial(config, _accuracy(config, options)) for config in configs]
        trials.update((trial.config, trial) for trial in found)
        report(found)
        if result.of("stopped"):
            break
    return ranked(trials.values())


def ranked(trials: Any) -> list[Trial]:
    """Best first; runs without a finite accuracy last."""
    return sorted(trials, key=lambda trial: -trial.accuracy if math.isfinite(trial.accuracy) else math.inf)


def _accuracy(config: RunConfig, options: sweep.Options) -> float:
    """Validation accuracy at the end of the run; NaN where it did not finish."""
    try:
        return float(records.read_run(options.folder_of(config)).done["metrics"]["validation_accuracy"])
    except (UserError, KeyError):
        return math.nan


Round = tuple[list[RunConfig], Callable[[list[Trial]], None]]


def _random_rounds(base: Mapping[str, Any], space: Space, settings: SearchSettings) -> Iterator[Round]:
    """Each round draws `trials` configs; the next one draws around the best fifth."""
    random = np.random.default_rng(settings.seed)
    best: list[Trial] = []
    for _ in range(settings.rounds):
        found: list[Trial] = []
        yield [_draw(base, space, random) for _ in range(settings.trials)], found.extend
        best = [trial for trial in ranked([*best, *found]) if math.isfinite(trial.accuracy)]
        best = best[: max(2, round(KEPT_SHARE * settings.trials))]
        if best:
            space = space.narrowed([trial.config for trial in best])


def _draw(base: Mapping[str, Any], space: Space, random: np.random.Generator) -> RunConfig:
    fields = dict(base)
    for name, (low, high) in space.exponents.items():
        fields[name] = _rounded(10 ** random.uniform(low, high))
    for name, values in space.choices.items():
        fields[name] = values[int(random.integers(len(values)))]
    return RunConfig(**fields)


def _rounded(value: float) -> float:
    """Six significant digits: what the slug shows is what was trained."""
    return float(f"{value:.6g}")


def _optuna_rounds(base: Mapping[str, Any], space: Space, settings: SearchSettings) -> Iterator[Round]:
    """Optuna asks; with halving, each rung trains the trials that are left with three times the epochs."""
    try:
        import optuna
    except ImportError:
        raise UserError("--sampler=tpe and --halving need Optuna: pip install 'mnist_depth[optuna]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = (
        optuna.samplers.TPESampler(seed=settings.seed)
        if settings.sampler == "tpe"
        else optuna.samplers.RandomSampler(seed=settings.seed)
    )
    full = RunConfig(**base).epochs
    rungs = _rungs(full) if settings.halving else [full]
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=rungs[0], reduction_factor=HALVING_FACTOR)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    for _ in range(settings.rounds):
        alive = [study.ask() for _ in range(settings.trials)]
        for epochs in rungs:
            configs = [_suggested(trial, base, space, epochs) for trial in alive]
            found: list[Trial] = []
            yield configs, found.extend
            scores = [trial.accuracy if math.isfinite(trial.accuracy) else 0.0 for trial in found]
            left = []
            for trial, score in zip(alive, scores, strict=True):
                trial.report(score, epochs)
                if epochs != rungs[-1] and trial.should_prune():
                    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                elif epochs == rungs[-1]:
                    study.tell(trial, score)
                else:
                    left.append(trial)
            alive = left
            if not alive:
                break


def _rungs(epochs: int) -> list[int]:
    """Epochs of the rungs, each three times the one before, the last one all of them."""
    rungs = [epochs]
    while len(rungs) < 3 and rungs[0] // HALVING_FACTOR >= 1:
        rungs.insert(0, rungs[0] // HALVING_FACTOR)
    return rungs


def _suggested(trial: Any, base: Mapping[str, Any], space: Space, epochs: int) -> RunConfig:
    fields = {**base, "epochs": epochs}
    for name, (low, high) in space.exponents.items():
        fields[name] = _rounded(trial.suggest_float(name, 10**low, 10**high, log=True))
    for name, values in space.choices.items():
        fields[name] = trial.suggest_categorical(name, list(values))
    return RunConfig(**fields)
