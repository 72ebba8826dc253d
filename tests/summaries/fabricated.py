"""Run folders as training leaves them, with made-up numbers: curves, per-layer figures, histograms, a graph."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto import graph_pb2

from mnist_depth.config import RunConfig, layer_name
from mnist_depth.instrument.histograms import histogram
from mnist_depth.instrument.writers.protos import Event, Summary
from mnist_depth.instrument.writers.values import of_histograms
from mnist_depth.records import RunRecord, event_tag, read_run, run_folder
from mnist_depth.summaries.events import replace_events, scalars
from mnist_depth.summaries.protos import Message

EPOCHS, STEPS_PER_EPOCH, IMAGES = 20, 10, 1000
STEPS = range(0, EPOCHS * STEPS_PER_EPOCH + 1, STEPS_PER_EPOCH)
NOW = 1.7e9


def make_run(logdir: Path, study: str = "depth9", *, status: str = "finished", **options: Any) -> RunRecord:
    """One run folder with event files; `options` are fields of its config. `status` may be `unfinished`."""
    usual = {"dataset": "digits", "depth": 9, "epochs": EPOCHS, "batch_size": IMAGES // STEPS_PER_EPOCH}
    usual = {"dataset": "digits", "depth": 9, "epochs": EPOCHS, "batch_size": IMAGES // STEPS_PER_EPOCH}
    config = RunConfig(**{**usual, **options})
    folder = run_folder(logdir, study, config)
    folder.mkdir(parents=True)
    record = {
        "format": 1,
        "config": config.to_dict(),
        "dataset": {"name": "digits", "checksum": "0" * 8, "sizes": {"train": IMAGES}},
        "environment": {"python": "3.11", "git_commit": "abc|def"},
        "command": "python -m mnist_depth study depth9",
    }
    (folder / "config.json").write_text(json.dumps(record))
    points = {run: list(_points(config, run)) for run in ("train", "validation", "test")}
    lines = [
        json.dumps({"run": run, "step": step, "wall_time": NOW + step, "scalars": values})
        for run, of_run in points.items()
        for step, values in of_run
    ]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    events = [*_histograms(config), _graph(config)]
    for run, of_run in points.items():
        events += [
            scalars(step, {event_tag(run, tag): value for tag, value in values.items()}, NOW + step)
            for step, values in of_run
        ]
    replace_events(folder, "gauge", events)
    if status != "unfinished":
        metrics = {"gradient_ratio": 10.0**-config.depth if config.activation == "sigmoid" else 0.5}
        confusion = (np.eye(10, dtype=int) * 30 + 1).tolist()
        done = {"status": status, "metrics": metrics, "seconds": 12.5, "confusion": confusion}
        (folder / "done.json").write_text(json.dumps(done))
    return read_run(folder)


def loss_at(config: RunConfig, run: str, step: int) -> float:
    """The made-up loss: falling for ReLU, flat for sigmoid, a little above for test data and for later seeds."""
    offset = {"train": 0.0, "validation": 0.01, "test": 0.02}[run] + config.seed / 100
    return 2.3 + offset if config.activation == "sigmoid" else 2.3 * 0.99**step + offset + 1e-4 * step


def _points(config: RunConfig, run: str) -> Iterator[tuple[int, dict[str, float]]]:
    for step in STEPS:
        values = _layers(config, step) if run == "train" else {}
        if step:
            loss = loss_at(config, run, step)
            values |= {"loss": loss, "accuracy": 1 - loss / 2.6}
        if values:
            yield step, values


def _layers(config: RunConfig, step: int) -> dict[str, float]:
    decay = 0.3 if config.activation == "sigmoid" else 0.95
    values: dict[str, float] = {}
    for number in range(1, config.depth + 1):
        name, size = layer_name(number, config.depth), decay ** (config.depth - number) * (1 + step / 500)
        values |= {
            f"probe_gradient_norm/{name}/kernel": size * 1.1,
            f"pre_activation_gradient_norm/{name}": size / 10,
            f"activation_std/{name}": 0.1 * number**0.5,
            f"activation_std_across_samples/{name}": 0.1 * decay**number,
        }
        if config.activation == "sigmoid" and number < config.depth:
            values[f"saturated_share/{name}"] = 0.05 * number + step / 1000
        if step:
            values |= {f"gradient_norm/{name}/kernel": size, f"update_ratio/{name}/kernel": size * 1e-3}
    return values


def _histograms(config: RunConfig) -> list[Message]:
    random = np.random.default_rng(config.seed)
    found = []
    for step in STEPS:
        weights = random.normal(0, 0.05 + step / 5000, [config.depth, 500]).astype(np.float32)
        bars = {
            f"weight/{layer_name(number, config.depth)}/kernel": histogram(of_layer)
            for number, of_layer in enumerate(weights, 1)
        }
        summary = Summary(value=of_histograms({tag: one for tag, one in bars.items() if one is not None}))
        found.append(Event(wall_time=NOW + step, step=step, summary=summary))
    return found


def _graph(config: RunConfig) -> Message:
    """One box per layer: kernel and input into MatMul, then BiasAdd and the activation."""
    graph: Any = graph_pb2
    definition, before = graph.GraphDef(), "pixels"
    definition.node.add(name=before, op="Placeholder")
    for number in range(1, config.depth + 1):
        name = layer_name(number, config.depth)
        definition.node.add(name=f"{name}/kernel", op="VarHandleOp")
        definition.node.add(name=f"{name}/bias", op="VarHandleOp")
        definition.node.add(name=f"{name}/MatMul", op="MatMul", input=[before, f"{name}/kernel"])
        definition.node.add(name=f"{name}/BiasAdd", op="BiasAdd", input=[f"{name}/MatMul", f"{name}/bias"])
        definition.node.add(name=f"{name}/Activation", op="Relu", input=[f"{name}/BiasAdd"])
        before = f"{name}/Activation"
    return Event(wall_time=NOW, graph_def=definition.SerializeToString())


def steps_and_values(record: RunRecord, run: str, tag: str) -> tuple[list[int], list[float]]:
    """One tag of `metrics.jsonl`, parsed without the package."""
    lines = [json.loads(line) for line in (record.folder / "metrics.jsonl").read_text().splitlines()]
    chosen = [line for line in lines if line["run"] == run and tag in line["scalars"]]
    return [line["step"] for line in chosen], [line["scalars"][tag] for line in chosen]
