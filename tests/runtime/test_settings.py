"""Settings of other people: removed or replaced before anything reads them, and freed memory stays in the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from mnist_depth.runtime import settings

pytestmark = pytest.mark.slow

PAGE_FAULTS_OF_20_ALLOCATIONS = """
import ctypes, os
from pathlib import Path
c = ctypes.CDLL(None)
c.malloc.restype, c.malloc.argtypes, c.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def faults():
    return int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[7])
def use(size):
    block = c.malloc(size)
    ctypes.memset(block, 1, size)
    c.free(block)
use(30_000_000)
before = faults()
for _ in range(20):
    use(30_000_000)
print(os.getpid(), faults() - before)
"""

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is only set on Linux")

RESTART = "from mnist_depth.runtime.settings import restart_for_python as restart; restart()"


def _page_faults(code: str, **variables: str) -> int:
    """Of a program that must still be the process that was started."""
    environment = {name: value for name, value in os.environ.items() if name not in settings.MALLOC} | variables
    started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
    pid, faults = started.communicate()[0].split()
    assert int(pid) == started.pid
    return int(faults)


@only_linux
def test_freed_memory_is_used_again_without_page_faults() -> None:
    assert _page_faults(RESTART + PAGE_FAULTS_OF_20_ALLOCATIONS) < 1_000
    assert _page_faults(PAGE_FAULTS_OF_20_ALLOCATIONS) > 5_000


@only_linux
def test_malloc_settings_of_the_user_stay() -> None:
    assert _page_faults(RESTART + PAGE_FAULTS_OF_20_ALLOCATIONS, MALLOC_TRIM_THRESHOLD_="4096") > 5_000


FOREIGN = {
    "KERAS_BACKEND": "jax",
    "KERAS_HOME": "/home/ann/.keras",
    "KERAS_MAX_EPOCHS": "1",
    "TF_USE_LEGACY_KERAS": "1",
    "TF2_BEHAVIOR": "0",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2",
    "XLA_FLAGS": "--xla_no_such_flag",
    "JOBLIB_START_METHOD": "nothing",
    "LOKY_MAX_CPU_COUNT": "many",
    "MPLBACKEND": "nothing",
    "MATPLOTLIBRC": "/home/ann",
    "SCIPY_ARRAY_API": "1",
}
KEPT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "TF_GPU_ALLOCATOR": "cuda_malloc_async",
    "CUDA_VISIBLE_DEVICES": "0",
    "TFDS_DATA_DIR": "/data",
    "MPLCONFIGDIR": "fonts",
    "PYTHONPATH": "/lib",
}


def test_libraries_get_ours_in_place_of_foreign_settings_and_keep_what_is_about_the_machine() -> None:
    assert settings.for_libraries({**FOREIGN, **KEPT}) == {**KEPT, **settings.OURS}
    assert not {name for name in FOREIGN if FOREIGN[name] == settings.OURS.get(name)}


def test_of_xla_flags_only_the_folder_of_cuda_stays() -> None:
    folder = "--xla_gpu_cuda_data_dir=/usr/lib/cuda"
    kept = settings.for_libraries({"XLA_FLAGS": f"--xla_dump_to=/tmp {folder} --xla_no_such_flag"})
    assert kept["XLA_FLAGS"] == folder


PRINT_INTERPRETER = f"""
import json, os, sys
{RESTART}
print(json.dumps([sys.flags.optimize, sys.flags.inspect, sys.flags.dev_mode, sys.flags.utf8_mode, sys.warnoptions,
    sys.stdout.encoding, [name for name in os.environ if name.startswith("PYTHON")]]))
"""


@pytest.mark.parametrize("locale", ["C.UTF-8", "POSIX"])
def test_the_interpreter_starts_again_without_debugging_settings_and_in_utf_8(locale: str) -> None:
    foreign = dict.fromkeys(("PYTHONINSPECT", "PYTHONOPTIMIZE", "PYTHONDEVMODE", "PYTHONTRACEMALLOC"), "1")
    foreign |= {"PYTHONWARNINGS": "error", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": locale}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | foreign
    command = [sys.executable, "-c", PRINT_INTERPRETER]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL)
    assert done.stderr == ""
    assert json.loads(done.stdout) == [0, 0, False, 1, [], "utf-8", ["PYTHONUTF8", "PYTHONCOERCECLOCALE"]]


def test_a_terminal_of_another_encoding_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        encoding = "EUC-KR"

    monkeypatch.setattr(sys, "stdout", Terminal)
    monkeypatch.setattr(settings.sys, "flags", type("Flags", (), {"utf8_mode": 0}))
    wanted = settings.for_python({"LANG": "ko_KR.eucKR", **dict.fromkeys(settings.MALLOC, "1")})
    assert wanted["PYTHONIOENCODING"] == "euc-kr"
    assert settings.for_python({**wanted, "PYTHONIOENCODING": "cp949"})["PYTHONIOENCODING"] == "cp949"
