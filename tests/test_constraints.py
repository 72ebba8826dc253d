"""constraints.txt pins what setup.cfg asks for, within its bounds."""

from __future__ import annotations

import configparser
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]


def _requirements() -> list[Requirement]:
    """Everything that setup.cfg may install on this Python, extras included."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    found = [Requirement(line) for text in listed for line in text.splitlines() if line and line[0] != "#"]
    return [requirement for requirement in found if not requirement.marker or requirement.marker.evaluate()]


def test_every_dependency_is_pinned_within_its_bounds() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.lower().replace("_", "-").split("==") for line in lines if "==" in line)
    requirements = _requirements()
    assert len(requirements) > 10
    for requirement in requirements:
        version = pins[requirement.name.lower().replace("_", "-")]
        assert requirement.specifier.contains(version), requirement
