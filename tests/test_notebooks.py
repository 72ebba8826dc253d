"""The course in notebooks runs from top to bottom on a fresh kernel, in both languages, and is kept without outputs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "notebooks"
NAMES = sorted(path.name for path in FOLDER.glob("*.ipynb"))
SHOWN = {
    "01_sigmoid_vs_relu.ipynb": ["sigmoid", "plotly", "slope", "test_accuracy"],
    "02_initialization.ipynb": ["glorot_normal", "image/png", "train_loss_mean"],
    "03_your_own_model.ipynb": ["vanish", "plotly", "hidden_8"],
    "04_compare_and_publish.ipynb": ["paired t-test over 3 seeds", r"\\toprule", "image/png", "layer_06"],
}
"""What the outputs of each notebook hold, among others."""


def _read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def test_every_notebook_is_in_both_languages() -> None:
    assert sorted(path.name for path in (FOLDER / "ko").glob("*.ipynb")) == NAMES
    assert set(NAMES) == set(SHOWN)


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_have_the_same_code_and_no_outputs(name: str) -> None:
    books = [_read(FOLDER / name), _read(FOLDER / "ko" / name)]
    codes = [[cell.source for cell in book.cells if cell.cell_type == "code"] for book in books]
    assert codes[0] == codes[1]
    for book in books:
        assert not any(cell.outputs or cell.execution_count for cell in book.cells if cell.cell_type == "code")
    korean = "".join(cell.source for cell in books[1].cells if cell.cell_type == "markdown")
    assert any("가" <= letter <= "힣" for letter in korean)


@pytest.mark.slow
@pytest.mark.parametrize("language", ["", "ko"])
@pytest.mark.parametrize("name", NAMES)
def test_it_runs_on_a_fresh_kernel(name: str, language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    book = _read(FOLDER / language / name)
    client = nbclient.NotebookClient(
        book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    outputs = str([cell.outputs for cell in book.cells if cell.cell_type == "code"])
    for text in SHOWN[name]:
        assert text in outputs, text
