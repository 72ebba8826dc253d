"""Independent random streams derived from one run seed."""

from __future__ import annotations

import zlib

import numpy as np


def derive(seed: int, stream: str, index: int = 0) -> int:
    """A seed (0 ... 2^31 - 1) for one purpose of one run: `derive(run_seed, "kernel", layer_index)`.

    Streams with different names or indices are independent (NumPy's SeedSequence).
    """
    words = np.random.SeedSequence([seed, zlib.crc32(stream.encode()), index]).generate_state(1)
    return int(words[0] >> 1)
