"""Compiled work in parts, on several threads.

The kernels release the interpreter's lock, so plain threads run them side by side. Against numba's own parallel loops
this halves the time of compilation, and results cannot depend on the number of threads, because the parts do not.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba

PARTS = 16
"""Into how many parts work is cut: enough to keep 8 threads evenly busy."""


def run_parts(work: Callable[[int], None]) -> None:
    """Call `work(part)` for parts 0 .. PARTS - 1 on as many threads as numba may use (NUMBA_NUM_THREADS)."""
    # Not numba.get_num_threads(): it starts numba's own OpenMP pool and with it resets the thread count of torch's.
    threads = min(numba.config.NUMBA_NUM_THREADS, PARTS)
    if threads == 1:
        for part in range(PARTS):
            work(part)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, range(PARTS)):
            pass
