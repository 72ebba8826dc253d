"""What Python code imports, asked in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection


def imported(code: str, names: Collection[str]) -> set[str]:
    """Those of `names` that have been imported when `code` has run."""
    asked = f"{code}\nimport sys; print(*(set({list(names)!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    return set((done.stdout.splitlines() or [""])[-1].split())
