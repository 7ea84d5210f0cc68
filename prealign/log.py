"""Logging: stderr for people, stdout for data; rank 0 speaks, warnings come from every rank.

Progress bars appear on a terminal and become one plain line now and then in a file (`TQDM_DISABLE=1` silences the
bars).
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
PLAIN_LINE_EVERY_S = 30.0


def set_up(verbose: bool = False) -> None:
    """Send the package's messages to stderr: everything from rank 0, warnings from the other ranks."""
    rank = int(os.environ.get("RANK", "0"))
    level = logging.DEBUG if verbose else logging.INFO
    handler = logging.StreamHandler(sys.stderr)
    prefix = "" if rank == 0 else f"[rank {rank}] "
    handler.setFormatter(logging.Formatter(prefix + "%(message)s"))
    root = logging.getLogger("prealign")
    root.handlers[:] = [handler]
    root.setLevel(level if rank == 0 else logging.WARNING)
    root.propagate = False


def progress(items: Iterable[T], what: str, total: int | None = None, unit: str = "it") -> Iterator[T]:
    """Yield `items` under a bar on a terminal, or with a plain line every 30 s elsewhere."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, desc=what, total=total, unit=unit, leave=False, dynamic_ncols=True)
        return
    log = logging.getLogger("prealign")
    last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - last > PLAIN_LINE_EVERY_S:
            last = time.monotonic()
            log.info("%s: %s%s %s", what, f"{done:,}", f" of {total:,}" if total else "", unit)
