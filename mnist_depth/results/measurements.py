"""Measurements of a finished training by layer: of a run, or of what a gauge wrote."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from mnist_depth import theory
from mnist_depth.config import RunConfig
from mnist_depth.datasets import DATASETS
from mnist_depth.diagnosis import Data, Layer, Measurements, Message, Output, judge
from mnist_depth.diagnosis.from_tags import is_of_start, layers_from_tags, with_networks
from mnist_depth.diagnosis.overshoot import loss_before
from mnist_depth.diagnosis.stored import from_plain
from mnist_depth.errors import UserError, printable
from mnist_depth.points import Series
from mnist_depth.records import GaugeRecord, RunRecord, TrainingRecord, numbers_of
from mnist_depth.registry import split_name

Moment = Literal["start", "end"]

NOT_FINITE = "_nonfinite_share/"

PLAIN_TRAITS = ("activation", "initializer", "optimizer", "wiring", "batch_norm", "pretraining")


def from_training(record: TrainingRecord, moment: Moment = "start") -> Measurements:
    """The first or the last measurement of a training; for a run that theory covers, with its gains at the start.

    Raises UserError when no gradient was recorded.
    """
    pick = 0 if moment == "start" else -1
    found = {tag: series for (split, tag), series in record.measured.items() if split == "train" and len(series.values)}
    if moment == "start":
        found = _without_later_damage(found)
    values = {tag: float(series.values[pick]) for tag, series in found.items()}
    described = _described(record)
    layers = layers_from_tags(values, described)
    data, output = _fact(Data, record, "data"), _fact(Output, record, "output")
    if not layers:
        source = Message("{name}, without a measurement", name=record.name)
        facts = Measurements(source, (), traits=_traits(record), data=data, output=output)
        if judge(facts).has_errors:
            return facts
        raise UserError(
            "{folder} holds no gradient of any layer; {hint}", folder=record.folder, hint=_how_to_measure(record)
        )
    run = record if isinstance(record, RunRecord) else None
    constant, lowest = _references(record)
    gains = _predicted_gains(run.config) if run and moment == "start" else {}
    return Measurements(
        source=_source(record, _step(record, layers, pick), moment),
        layers=tuple(replace(layer, predicted_gain=gains.get(layer.name)) for layer in layers),
        loss=_loss(record, moment),
        history=tuple(record.series("train", "loss")[1])
        if moment == "end" and not _has_separate_losses(record)
        else (),
        start=layers_from_tags(_start(record), described) if moment == "end" else (),
        start_loss=_start_loss(record),
        diverged=moment == "end" and record.status == "diverged",
        traits=_traits(record),
        updates=0 if moment == "start" else max(1, _updates(record)),
        probe_loss=_last(record, "probe_loss") if moment == "end" else None,
        constant_loss=constant,
        lowest_loss=lowest,
        data=data,
        output=output,
    )


def _without_later_damage(found: Mapping[str, Series]) -> dict[str, Series]:
    """Without shares of NaN and infinity that began after the first measurement; before, there is no point of them."""
    first = min((int(series.steps[0]) for series in found.values()), default=0)
    return {tag: series for tag, series in found.items() if NOT_FINITE not in tag or series.steps[0] == first}


def _fact(kind: type[Any], record: TrainingRecord, name: str) -> Any:
    """What a gauge's probe has shown without a gradient; None where that is not known."""
    return from_plain(kind, record.metadata.get(name)) if isinstance(record, GaugeRecord) else None


def _start(record: TrainingRecord) -> dict[str, float]:
    """How the training began, by tag."""
    series = [
        (tag, series) for (split, tag), series in record.measured.items() if split == "train" and len(series.steps)
    ]
    return {tag: float(one.values[0]) for tag, one in series if is_of_start(tag, int(one.steps[0]))}


def _start_loss(record: TrainingRecord) -> float | None:
    """The loss before the first update, as a gauge has noted it or on the probe."""
    steps, losses = record.series("train", "probe_loss")
    probed = losses[0] if steps and steps[0] == 0 else None
    noted = numbers_of(record.metadata).get("start_loss") if isinstance(record, GaugeRecord) else None
    return loss_before(noted, probed)


def _last(record: TrainingRecord, tag: str) -> float | None:
    values = record.series("train", tag)[1]
    return values[-1] if values else None


def _updates(record: TrainingRecord) -> int:
    """Optimizer steps at the last point of a loss."""
    return max((step for tag in ("loss", "probe_loss") for step in record.series("train", tag)[0]), default=0)


def _references(record: TrainingRecord) -> tuple[float | None, float]:
    """Loss of a constant and of a perfect prediction: recorded by the gauge, or that of guessing one of the classes."""
    if isinstance(record, GaugeRecord):
        known = numbers_of(record.metadata)
        return known.get("constant_loss"), known.get("lowest_loss", 0.0)
    if not isinstance(record, RunRecord) or record.config.weight_decay > 0:
        return None, 0.0
    return math.log(DATASETS[record.config.dataset].classes), 0.0


def _has_separate_losses(record: TrainingRecord) -> bool:
    """Whether its networks are trained by losses of their own, which need not fall: those of a GAN."""
    if not isinstance(record, GaugeRecord) or not _networks(record):
        return False
    return record.metadata.get("separate_losses") is not False  # missing where an earlier version wrote the folder


def _described(record: TrainingRecord) -> list[Mapping[str, Any]]:
    if isinstance(record, GaugeRecord):
        known = with_networks(record.metadata["layers"], _networks(record))
        return [{**layer, "name": name} for layer, name in zip(known, record.layers, strict=True)]
    return [{"name": name} for name in record.layers]


def _networks(record: GaugeRecord) -> Mapping[str, Sequence[str]]:
    """The networks that are judged one by one; empty for a training of one."""
    found = record.metadata.get("networks")
    if not isinstance(found, dict) or not all(isinstance(layers, list) for layers in found.values()):
        return {}
    return {printable(name): layers for name, layers in found.items()}


def _how_to_measure(record: TrainingRecord) -> UserError:
    if not record.measured and not record.has_ended:
        return UserError("the training has not come to its first measurement")
    if isinstance(record, GaugeRecord):
        failed = record.metadata.get("probe_error")
        if isinstance(failed, str) and failed:
            return UserError("its probe was not measured: {reason}", reason=failed)
        return UserError("give the gauge a probe, or gradients='applied'")
    return UserError("train it with --instruments=standard")


def _source(record: TrainingRecord, step: int, moment: Moment) -> Message:
    source = Message("{name}, step {step}", name=record.name, step=step)
    if record.seed is not None:
        source = Message("{name}, seed {seed}, step {step}", name=record.name, seed=record.seed, step=step)
    if moment == "start" or record.has_ended:
        return source
    return Message("{source}, the training has not ended", source=source)


def _traits(record: TrainingRecord) -> dict[str, str]:
    """What the network has already: from a run's config, or as the gauge saw it."""
    if isinstance(record, RunRecord):
        return {name: getattr(record.config, name) for name in PLAIN_TRAITS} | _cell_traits(record.config)
    traits = record.metadata.get("traits") if isinstance(record, GaugeRecord) else None
    return {str(name): str(value) for name, value in traits.items()} if isinstance(traits, dict) else {}


def _cell_traits(config: RunConfig) -> dict[str, str]:
    """Of a run with recurrent layers, which have no other hidden layers beside them."""
    wiring, arguments = split_name(config.wiring)
    if wiring != "recurrent":
        return {}
    return {"hidden": "none", "recurrent": "simple" if arguments in ([], ["simple"]) else "gated"}


def _loss(record: TrainingRecord, moment: Moment) -> float | None:
    """At the start that of the probe, before any update: the first one of training is an epoch's mean."""
    probed, trained = (record.series("train", tag)[1] for tag in ("probe_loss", "loss"))
    if moment == "end":
        return (trained or probed or [None])[-1]
    return (probed or trained or [None])[0]


def _step(record: TrainingRecord, layers: Sequence[Layer], pick: int) -> int:
    """The step of the gradients."""
    steps = [
        int(series.steps[pick])
        for (_, tag), series in record.measured.items()
        if len(series.steps) and "gradient_norm/" in tag and any(f"/{layer.name}" in tag for layer in layers)
    ]
    return min(steps) if pick == 0 else max(steps)


def _predicted_gains(config: RunConfig) -> dict[str, float]:
    if theory.not_covered(config):
        return {}
    return {row.name: row.gain for row in theory.predict_config(config) if not math.isnan(row.gain)}
