"""Find files in the current folder or on PYTHONPATH that shadow modules of Python or of the libraries.

`python -m` searches the current folder first, so that a homework called `random.py` replaces Python's `random` in
every library. This module, and what is imported before its check has run, imports only what the interpreter has
loaded by then.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder, all_suffixes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

UNUSED = {"antigravity", "idlelib", "lib2to3", "pydoc_data", "test", "this", "tkinter", "turtle", "turtledemo"}
"""Modules of Python that no library imports; a file with such a name is harmless."""


def hiding_file() -> str | None:
    """The path of the first file, or folder, that hides a module which is needed; None if none.

    A folder of PYTHONPATH may hold libraries on purpose, but none of Python's own modules.

    Workers are started with `python -m` too, so that a program that does not search the current folder itself keeps
    its workers from doing it, by a variable that Python knows from 3.11 on.
    """
    try:
        current = os.getcwd()
    except OSError:  # the folder was removed
        current = ""
    if current and not _is_searched(current):
        os.environ["PYTHONSAFEPATH"] = "1"
        current = current if sys.version_info < (3, 11) else ""
    listed = "" if sys.flags.ignore_environment else os.environ.get("PYTHONPATH", "")
    if current and (found := _hiding_in(current, _python_modules, _library_modules)):
        return found
    hiding = (_hiding_in(folder, _python_modules) for folder in listed.split(os.pathsep) if folder)
    return next(filter(None, hiding), None)


def _hiding_in(folder: str, *needed: Callable[[], set[str]]) -> str | None:
    """The first path in this folder that hides one of the needed modules."""
    try:
        entries = sorted(os.listdir(folder))
    except OSError:
        return None
    candidates = {name: entry for entry in entries if (name := _module_name(folder, entry))}
    hidden = [name for name in candidates if not _is_loaded_from_elsewhere(name, folder)]
    hidden = [name for name in hidden if _exists_elsewhere(name, folder)]
    for modules in needed:
        for name in hidden and sorted(modules().intersection(hidden)):
            return os.path.join(folder, candidates[name])
    return None


def advice(file: str) -> str:
    """What is wrong with such a file and what to do."""
    folder, entry = os.path.split(file)
    is_listed = folder in os.environ.get("PYTHONPATH", "").split(os.pathsep)
    otherwise = f"take {folder} from PYTHONPATH" if is_listed else "run from another folder"
    return f"Python would import {file} in place of the module {entry.split('.')[0]}; rename it, or {otherwise}"


def _is_searched(folder: str) -> bool:
    return any(os.path.realpath(entry or ".") == os.path.realpath(folder) for entry in sys.path)


def _module_name(folder: str, entry: str) -> str | None:
    """The name under which an entry of the folder is imported; None for what is no module."""
    for suffix in sorted(all_suffixes(), key=len, reverse=True):
        if entry.endswith(suffix):
            return entry.removesuffix(suffix)
    inner = (os.path.join(folder, entry, f"__init__{suffix}") for suffix in all_suffixes())
    return entry if any(map(os.path.exists, inner)) else None


def _is_loaded_from_elsewhere(name: str, folder: str) -> bool:
    file = getattr(sys.modules.get(name), "__file__", None)
    return name in sys.modules and not (file and os.path.realpath(file).startswith(os.path.realpath(folder) + os.sep))


def _exists_elsewhere(name: str, folder: str) -> bool:
    others = [entry for entry in sys.path if os.path.realpath(entry or ".") != os.path.realpath(folder)]
    return name not in sys.builtin_module_names and PathFinder.find_spec(name, others) is not None


def _python_modules() -> set[str]:
    return set(sys.stdlib_module_names) - UNUSED


def _library_modules() -> set[str]:
    """The top-level modules of everything that this package requires, directly or not; the package itself may be run
    from any clone."""
    import re
    from importlib import metadata

    def plain(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    found, pending = set[str](), ["mnist_depth"]
    while pending:
        name = plain(pending.pop())
        if name in found:
            continue
        found.add(name)
        try:
            required = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        pending += [text for line in required if "extra ==" not in line for text in re.findall(r"^[\w.-]+", line)]
    found.discard("mnist-depth")
    modules = metadata.packages_distributions()
    return {module for module, owners in modules.items() if found.intersection(map(plain, owners))}
