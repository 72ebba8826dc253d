"""The stages of the benchmark on one folder: FOLDER/{truth,measured-EXAMPLES,repaired-EXAMPLES}/DRAW-INDEX.json."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from scripts.diagnosis_benchmark.interventions import investigate
from scripts.diagnosis_benchmark.measuring import measure_structure
from scripts.diagnosis_benchmark.networks import DRAWS, Network, network_of
from scripts.diagnosis_benchmark.repairing import repair_network
from scripts.diagnosis_benchmark.scoring import is_scored, strict

NETWORKS = 5
"""Networks of one structure."""


class Folder:
    """The stored files of one draw and number of examples.

    Every method stores what is missing of a structure and yields a line for it.
    """

    def __init__(self, root: Path, draw: str, examples: int) -> None:
        self.root, self.draw, self.examples = root, draw, examples

    def find_truth(self, index: int) -> Iterator[str]:
        """Train the networks of a structure and their changes."""
        path = self._path("truth", index)
        if path.exists():
            return
        networks = self._networks(index)
        found = investigate(networks, other_graphs_too=self.draw == "mixed")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path.with_suffix(".npz"), *(weights for _, weights in found))
        write(path, [truth for truth, _ in found])
        keras.backend.clear_session()
        yield f"truth {index}: {sum(truth['learns'] for truth, _ in found)} of {len(found)} learn"

    def measure(self, index: int) -> Iterator[str]:
        """Measure the networks of a structure as `diagnose` does, before and after their training."""
        path, truth = self._path(f"measured-{self.examples}", index), self._path("truth", index)
        if path.exists() or not truth.exists():
            return
        networks = [network_of(record["network"]) for record in read(truth)]
        with np.load(truth.with_suffix(".npz")) as stored:
            weights = [stored[f"arr_{number}"] for number in range(len(networks))]
        write(path, measure_structure(networks, weights, self.examples))
        keras.backend.clear_session()
        yield f"measured {index}"

    def repair(self, index: int) -> Iterator[str]:
        """Repair the failing networks of a structure of the scored half, and train the repaired ones."""
        truths, measured = self._path("truth", index), self._path(f"measured-{self.examples}", index)
        if not is_scored(index) or not measured.exists():
            return
        for number, (truth, row) in enumerate(zip(read(truths), read(measured), strict=True)):
            path = self._path(f"repaired-{self.examples}", index, f"-{number}")
            if path.exists() or strict(truth, row)["learns"]:
                continue
            record = repair_network(network_of(truth["network"]), row["start"]["constant_loss"], self.examples)
            write(path, record)
            keras.backend.clear_session()
            yield f"repaired {index}-{number}: {'learns' if record['learns'] else 'does not learn'}"

    def _path(self, kind: str, index: int, suffix: str = "") -> Path:
        return self.root / kind / f"{self.draw}-{index:04d}{suffix}.json"

    def _networks(self, index: int) -> list[Network]:
        generator = random.Random(index)
        draw_structure, draw_network = DRAWS[self.draw]
        structure = draw_structure(generator)
        return [draw_network(generator, structure) for _ in range(NETWORKS)]


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write(path: Path, content: Any) -> None:
    """At once: an interrupted benchmark leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    temporary.replace(path)
