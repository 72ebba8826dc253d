"""The import rules of docs/architecture.md: no arrow runs back up, light rooms stay light; where tests are found."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "mnist_depth"

FLOORS: list[set[str]] = [
    {"errors", "version", "naming", "seeds", "quiet", "lean", "allocator", "instrument"},
    {"registry", "environment"},
    {
        "datasets",
        "networks.activations",
        "networks.initializers",
        "networks.optimizers",
        "networks.options",
        "networks.wirings",
        "networks.pretraining",
        "networks",
    },
    {"config"},
    {"records", "theory", "estimate", "grid"},
    {"networks.block", "networks.layers", "networks.penalty"},
    {"networks.models", "networks.pretraining.dbn", "networks.pretraining.lsuv", "networks.ensemble"},
    {"results", "training"},
    {"summaries"},
    {"checkpoint", "recorder", "workbench"},
    {"experiment"},
    {"engines", "worker"},
    {"sweep"},
    {"search"},
    {"studies"},
    {"board"},
    {"cli", "examples"},
    {"__main__", "__init__"},
]
"""Rooms from the ground up; a file imports only from lower floors and from its own room."""

HEAVY = {"tensorflow", "keras"}


def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def _room(module: str) -> str:
    """The most exact entry of FLOORS that `module` belongs to."""
    parts = module.split(".")
    names = {name for floor in FLOORS for name in floor}
    for length in range(len(parts), 0, -1):
        if ".".join(parts[:length]) in names:
            return ".".join(parts[:length])
    raise AssertionError(f"{module} is in no room of FLOORS: give it one, and docs/architecture.md a line")


def _floor(room: str) -> int:
    return next(index for index, floor in enumerate(FLOORS) if room in floor)


def _imports(tree: ast.AST) -> list[str]:
    """Modules of this package that a file imports anywhere, but for the sake of types alone."""
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found: list[str] = []
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name.removeprefix("mnist_depth.") for name in found if name.startswith("mnist_depth.")]


@pytest.mark.parametrize("path", _modules(), ids=_name)
def test_a_file_imports_only_from_lower_floors(path: Path) -> None:
    room = _room(_name(path))
    for imported in _imports(ast.parse(path.read_text(encoding="utf-8"))):
        target = _room(imported)
        # Registries of networks call the builders above config lazily: within the house, arrows may run both ways.
        if target != room and not (room.startswith("networks") and target.startswith("networks")):
            assert _floor(target) < _floor(room), f"{_name(path)} imports {imported}, which is not below it"


def test_instrument_imports_nothing_else_of_ours() -> None:
    for path in (PACKAGE / "instrument").rglob("*.py"):
        for imported in _imports(ast.parse(path.read_text(encoding="utf-8"))):
            assert imported.startswith("instrument"), f"{_name(path)} imports {imported}"


LIGHT = [
    "mnist_depth",
    "mnist_depth.cli",
    "mnist_depth.cli.listing",
    "mnist_depth.config",
    "mnist_depth.records",
    "mnist_depth.studies",
    "mnist_depth.sweep",
    "mnist_depth.theory",
    "mnist_depth.board.server",
    "mnist_depth.board.remote",
    "mnist_depth.results.report",
    "mnist_depth.results.plots",
    "mnist_depth.results.diagnosis",
]


def test_light_rooms_do_not_import_tensorflow() -> None:
    code = f"import sys\nfor name in {LIGHT!r}:\n    __import__(name)\nprint(sorted(set(sys.modules) & {HEAVY!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_readme_has_a_line_for_every_room() -> None:
    table = (PACKAGE.parent / "README.md").read_text(encoding="utf-8").split("## The code")[1].split("\n\n")[1]
    rooms = {name for line in table.splitlines() for name in re.findall(r"`(\w+)/?`", line.split("|")[1])}
    assert rooms == {_name(path).split(".")[0] for path in _modules()} - {"__init__", "__main__"}


TESTS = PACKAGE.parent / "tests"

TESTED_IN: dict[str, str] = {
    "__init__": "test_wheel",
    "__main__": "test_environment",
    "version": "test_wheel",
    "registry": "networks/test_registries",
    "estimate": "studies/test_estimate",
    "engines": "test_sweep",
    "worker": "test_sweep",
    "recorder": "test_experiment",
    "workbench": "test_experiment",
    "board.launcher": "board/test_server",
    "cli": "cli/test_main",
    "examples": "instrument/test_example",
    "instrument": "instrument/test_callback",
    "instrument.capture": "instrument/test_probe",
    "instrument.forward": "instrument/test_probe",
    "instrument.names": "instrument/test_callback",
    "instrument.presets": "instrument/test_callback",
    "networks.block": "networks/test_models",
    "networks.layers": "networks/test_models",
    "networks.penalty": "test_experiment",
    "networks.functions": "networks/test_activations",
    "networks.options": "networks/test_registries",
    "networks.radam": "networks/test_optimizers",
    "networks.recurrence": "networks/test_wirings",
    "results.page": "results/test_report",
    "results.pictures": "results/test_report",
    "studies": "studies/test_expectations",
    "summaries": "summaries/test_pages",
}
"""Where to look for the tests of a module, or of all of a room, that has none of its own name."""


def _own_test(module: str) -> Path:
    *room, name = module.split(".")
    return TESTS.joinpath(*room, f"test_{name}.py")


def _test_of(module: str) -> Path:
    """The test of a module or, one after the other, of the rooms that it stands in: by its name, else by the list."""
    parts = module.split(".")
    for room in (".".join(parts[:length]) for length in range(len(parts), 0, -1)):
        if _own_test(room).exists():
            return _own_test(room)
        if room in TESTED_IN:
            return TESTS / f"{TESTED_IN[room]}.py"
    raise AssertionError(f"no test is named after {module}: write tests/test_{module}.py, or name it in TESTED_IN")


@pytest.mark.parametrize("module", [_name(path) for path in _modules() if path.name != "__init__.py"])
def test_the_test_of_a_module_is_found_by_its_name_or_in_the_list(module: str) -> None:
    assert _test_of(module).exists()


def test_the_list_names_modules_that_are_there_and_have_no_test_of_their_name() -> None:
    modules = {_name(path) for path in _modules()}
    assert set(TESTED_IN) <= modules
    assert [module for module in TESTED_IN if _own_test(module).exists()] == []
