"""With MNIST_DEPTH_NO_SKIP set, as in CI, a skipped test is a failed test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BROWSER_TESTS = ("tests/results/test_report_browser.py", "tests/board/test_browser.py")

CASES = """
import pytest

@pytest.fixture
def missing():
    pytest.skip("no server here")

def test_fixture(missing): ...

def test_body():
    pytest.importorskip("no_such_module")

@pytest.mark.skip(reason="fish is not installed")
def test_allowed(): ...

@pytest.mark.xfail
def test_expected_failure():
    assert False
"""


def _outcomes(arguments: list[str | Path], **variables: str) -> tuple[int, dict[str, int]]:
    """Exit code and {outcome: tests} of a pytest run of its own, with this project's conftest."""
    environment = {name: value for name, value in os.environ.items() if name != "MNIST_DEPTH_NO_SKIP"} | variables
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n0", "--no-cov", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    summary = done.stdout.strip().splitlines()[-1]
    counts = re.findall(r"(\d+) (passed|failed|errors?|skipped|xfailed)", summary)
    return done.returncode, {outcome.removesuffix("s"): int(number) for number, outcome in counts}


@pytest.mark.slow
def test_hidden_chromium_fails_every_browser_test() -> None:
    """PATH holds no browser: what `scripts/test` would skip on a user's machine."""
    code, found = _outcomes([*BROWSER_TESTS], PATH="/nowhere", MNIST_DEPTH_NO_SKIP="1")
    assert code == 1
    assert set(found) <= {"failed", "error"}
    assert sum(found.values()) >= 10


@pytest.mark.slow
def test_skips_of_fixtures_and_bodies_fail_unless_their_reason_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "test_cases.py").write_text(CASES, encoding="utf-8")
    cases: list[str | Path] = ["-p", "tests.conftest", tmp_path]
    assert _outcomes(cases) == (0, {"skipped": 3, "xfailed": 1})
    assert _outcomes(cases, MNIST_DEPTH_NO_SKIP="1") == (1, {"failed": 1, "error": 1, "skipped": 1, "xfailed": 1})


@pytest.mark.slow
def test_a_file_that_skips_itself_fails(tmp_path: Path) -> None:
    (tmp_path / "test_file.py").write_text("import pytest\npytest.importorskip('no_such_module')\n", encoding="utf-8")
    cases: list[str | Path] = ["-p", "tests.conftest", tmp_path]
    assert _outcomes(cases)[1] == {"skipped": 1}
    code, found = _outcomes(cases, MNIST_DEPTH_NO_SKIP="1")
    assert (code, found) == (2, {"error": 1})
