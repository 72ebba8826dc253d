"""Environment variables: make the commands independent of settings that are meant for other programs.

A machine's profile, a container image or a notebook may choose another Keras backend, another precision, compiler flags
or how Python itself runs. The commands train with TensorFlow in float32 regardless of these, and so do their workers,
which inherit the environment. The gauge, which runs inside a user's own program, leaves that program's settings alone.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Mapping, MutableMapping

MALLOC = {"MALLOC_TRIM_THRESHOLD_": 1 << 30, "MALLOC_TOP_PAD_": 1 << 24, "MALLOC_MMAP_THRESHOLD_": 1 << 25}
"""Bytes, see mallopt(3); the last is the largest that glibc accepts. Keeps freed memory in the process.

A compiled step allocates and frees a few hundred kilobytes many times. By default it depends on chance whether glibc
gives them back to the kernel each time: of equal processes one in three trained a third slower, with a quarter of its
time in page faults (`docs/performance.md`). The variables work only where they are set before the process starts;
`mallopt` in a running process helped only sometimes.
"""

PYTHON = (
    "PYTHONINSPECT",
    "PYTHONOPTIMIZE",
    "PYTHONWARNINGS",
    "PYTHONWARNDEFAULTENCODING",
    "PYTHONDEVMODE",
    "PYTHONVERBOSE",
    "PYTHONPROFILEIMPORTTIME",
    "PYTHONMALLOC",
    "PYTHONTRACEMALLOC",
)
"""Read once at interpreter start: these make it wait, print, fail on warnings, or drop docstrings."""

LIBRARIES = re.compile(r"(KERAS|TF2?|XLA|AUTOGRAPH|JOBLIB|LOKY|MPL|NPY|SCIPY|SKLEARN)_.*|MPLBACKEND|MATPLOTLIBRC")
"""Variables that change what the libraries compute, or whether their import succeeds."""

HARDWARE = re.compile(r"TF_(\w+_)?(GPU|CUDA|CUDNN|CPP)_.*|TF_FORCE_GPU_ALLOW_GROWTH")
"""Exceptions: variables about devices and logging, which belong to the machine."""

CUDA_FOLDER = re.compile(r"--xla_gpu_cuda_data_dir=\S+")
"""The only flag of XLA_FLAGS that is kept, because it gives a location; an unknown flag aborts the process."""

OURS = {
    "KERAS_BACKEND": "tensorflow",
    "KERAS_HOME": os.devnull,  # no keras.json is read below it, and none is written
    "MPLBACKEND": "agg",
    "HDF5_USE_FILE_LOCKING": "FALSE",  # run folders have their own lock, if the file system supports locks
}


def for_libraries(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which TensorFlow, Keras, joblib and matplotlib do what the commands need."""
    kept = {
        name: value for name, value in environment.items() if not LIBRARIES.fullmatch(name) or HARDWARE.fullmatch(name)
    }
    folder = CUDA_FOLDER.search(environment.get("XLA_FLAGS", ""))
    return kept | OURS | ({"XLA_FLAGS": folder.group()} if folder else {})


def for_python(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which the interpreter must start: no debugging settings, UTF-8 for texts and file names.

    In a terminal of another encoding than UTF-8, output stays in that encoding.
    """
    wanted = {name: value for name, value in environment.items() if name not in PYTHON}
    if sys.platform == "linux" and not any(name in environment for name in MALLOC):
        wanted |= {name: str(size) for name, size in MALLOC.items()}
    if not sys.flags.utf8_mode:
        wanted["PYTHONUTF8"] = "1"
        encoding = sys.stdout.encoding.lower()
        if encoding not in ("utf-8", "ascii"):
            wanted.setdefault("PYTHONIOENCODING", encoding)
    return wanted


def apply_for_libraries(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set the libraries' variables; must come before their import."""
    wanted = for_libraries(environment)
    for name in [*environment]:
        if name not in wanted:
            del environment[name]
    environment.update(wanted)


def restart_for_python() -> None:
    """Start this program again, in the same process, where the interpreter was started with other settings.

    Does nothing the second time: the environment is then the wanted one.
    """
    wanted = for_python(os.environ)
    if sys.executable and wanted != dict(os.environ):
        with contextlib.suppress(OSError):  # the interpreter is not where it says it is
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], wanted)
