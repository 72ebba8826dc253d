"""Draw networks, train them, measure and score: python -m scripts.diagnosis_benchmark FOLDER [STRUCTURES].

Every structure is stored as a file in FOLDER, so that an interrupted benchmark resumes. The figures of
docs/diagnosis.md took about an hour on a third of a core.
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

NETWORKS = 5
"""Networks of one structure."""


def main(folder: Path, structures: int) -> None:
    """Train and measure what is missing, then print the tables."""
    import keras

    from scripts.diagnosis_benchmark.interventions import investigate
    from scripts.diagnosis_benchmark.measuring import measure_structure
    from scripts.diagnosis_benchmark.networks import draw_network, draw_structure

    folder.mkdir(parents=True, exist_ok=True)
    for index in range(structures):
        path = folder / f"{index:04d}.json"
        if path.exists():
            continue
        generator = random.Random(index)
        structure = draw_structure(generator)
        networks = [draw_network(generator, structure) for _ in range(NETWORKS)]
        truths = investigate(networks)
        measured = measure_structure(networks, [weights for _, weights in truths])
        rows = [{"truth": truth, "measured": row} for (truth, _), row in zip(truths, measured, strict=True)]
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(rows), encoding="utf-8")
        temporary.replace(path)
        keras.backend.clear_session()
        print(f"{index + 1} of {structures}: {structure}", flush=True)
    print(tables(folder))


def tables(folder: Path) -> str:
    """The confusion tables over all stored networks as Markdown."""
    from scripts.diagnosis_benchmark.scoring import markdown

    records: list[tuple[int, dict[str, Any], dict[str, Any]]] = []
    for path in sorted(folder.glob("*.json")):
        rows = json.loads(path.read_text(encoding="utf-8"))
        records += [(int(path.stem), row["truth"], row["measured"]) for row in rows]
    return markdown(records)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python -m scripts.diagnosis_benchmark FOLDER [STRUCTURES]")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 67)
