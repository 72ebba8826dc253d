"""Several replicas: what cannot be measured is said once, the rest is written, training is unchanged."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def test_mirrored_strategy_on_two_logical_devices() -> None:
    """In a process of its own, because logical devices must be made before TensorFlow starts."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.instrument.mirrored"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["identical"]
    assert found["graph"]
    assert len(found["warnings"]) == 1
    steps = found["steps"]
    assert steps["loss"] == [3, 6]
    for tag in ("probe_gradient_norm/one/kernel", "activation_std/norm", "weight_norm/two/bias"):
        assert steps[tag] == [0, 2, 3, 4, 6]
    assert not any(tag.startswith(("gradient_norm", "update_")) for tag in steps)
