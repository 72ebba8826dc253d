"""Run folders as training writes them, with made-up numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mnist_depth.config import RunConfig
from mnist_depth.records import run_folder

STEPS = range(0, 901, 100)


def write_run(
    logdir: Path,
    config: RunConfig,
    *,
    study: str = "depth9",
    accuracy: float = 0.97,
    gain: float = 1.0,
    status: str | None = "finished",
    command: str = "python -m mnist_depth study depth9",
    record: Mapping[str, Any] | None = None,
) -> Path:
    """One run folder: losses, accuracies, gradients that shrink by `gain` a layer, histograms, the marker.

    A `status` of None leaves the run unfinished.
    """
    folder = run_folder(logdir, study, config)
    folder.mkdir(parents=True)
    environment = {"mnist_depth": "0.1.0", "git_commit": "abc123", "libraries": {"keras": "3.15"}, "cores": 2}
    described = {
        "format": 1,
        "config": config.to_dict(),
        "dataset": {"name": config.dataset, "checksum": "f00d" * 16, "sizes": {"train": 30_000}},
        "environment": environment,
        "command": command,
    }
    (folder / "config.json").write_text(json.dumps(described | dict(record or {})), encoding="utf-8")
    rng = np.random.default_rng(config.seed)
    _write_lines(folder / "metrics.jsonl", _metric_lines(config, accuracy, gain, rng))
    _write_lines(folder / "histograms.jsonl", _histogram_lines(config, gain, rng))
    if status is not None:
        final = {"test_accuracy": accuracy, "best_test_accuracy": accuracy, "test_loss": 2.3 * (1 - accuracy)}
        done = {
            "status": status,
            "metrics": {**final, "test_note": "nan"},
            "seconds": 12.5,
            "weights_sha256": f"{config.seed:064d}",
        }
        (folder / "done.json").write_text(json.dumps(done), encoding="utf-8")
    return folder


def count_points(folder: Path) -> int:
    """The scalar points of a run folder, counted without the package."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return sum(len(json.loads(line)["scalars"]) for line in lines)


def headline(logdir: Path, seeds: Sequence[int] = (0, 1, 2), depth: int = 9) -> Path:
    """The 9-layer sigmoid and ReLU runs; returns the study's folder."""
    for seed in seeds:
        write_run(logdir, RunConfig(activation="sigmoid", depth=depth, seed=seed), accuracy=0.1135, gain=0.236)
        write_run(logdir, RunConfig(activation="relu", depth=depth, seed=seed), accuracy=0.97 + 0.001 * seed, gain=0.7)
    return logdir / "depth9"


def _metric_lines(config: RunConfig, accuracy: float, gain: float, rng: np.random.Generator) -> list[dict[str, Any]]:
    lines = []
    for step in STEPS:
        share = step / STEPS[-1]
        loss = 2.303 * (1 - share * accuracy) + 0.01 * rng.random()
        results = {"loss": loss, "accuracy": 0.1 + share * (accuracy - 0.1)}
        lines += [_line(run, step, results) for run in ("train", "test")]
        lines.append(_line("train", step, _layer_scalars(config, gain, rng)))
    return lines


def _layer_scalars(config: RunConfig, gain: float, rng: np.random.Generator) -> dict[str, float]:
    scalars = {}
    for layer in range(1, config.depth + 1):
        name = f"layer_{layer:02d}"
        norm = 0.9 * gain ** (config.depth - layer) * float(np.exp(rng.normal(0, 0.05)))
        scalars[f"pre_activation_gradient_norm/{name}"] = norm
        scalars[f"probe_gradient_norm/{name}/kernel"] = 3 * norm
        scalars[f"update_ratio/{name}/kernel"] = 1e-3 * norm
    return scalars


def _histogram_lines(config: RunConfig, gain: float, rng: np.random.Generator) -> list[dict[str, Any]]:
    lines = []
    for layer in range(1, config.depth + 1):
        center = np.log10(1e-3 * gain ** (config.depth - layer))
        for tag, values in (
            (f"gradient_log10/layer_{layer:02d}/kernel", rng.normal(center, 0.5, 400)),
            (f"activation/layer_{layer:02d}", rng.random(400)),
        ):
            counts, edges = np.histogram(values, 20)
            head = {"run": "train", "step": STEPS[-1], "wall_time": 1.7e9, "tag": tag}
            lines.append({**head, "edges": edges.tolist(), "counts": counts.tolist()})
    return lines


def _line(run: str, step: int, scalars: dict[str, float]) -> dict[str, Any]:
    return {"run": run, "step": step, "epoch": 1, "wall_time": 1.7e9 + step, "scalars": scalars}


def _write_lines(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
