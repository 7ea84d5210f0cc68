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

from prealign.launcher import launch

T = TypeVar("T")
PLAIN_LINE_EVERY_S = 30.0


def set_up(verbose: bool = False) -> None:
    """Send the package's messages to stderr: everything from rank 0, warnings from the other ranks."""
    rank = launch(os.environ).rank
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
    display = Display(what, total, unit)
    try:
        for done, item in enumerate(items, start=1):
            yield item
            display.show(done)
    finally:
        display.close()


class Display:
    """How far a piece of work is, for people: a bar on a terminal, a line now and then in a file."""

    def __init__(self, what: str, total: int | None, unit: str, done: int = 0) -> None:
        """`done` is what an earlier call has done already."""
        self._what, self._total, self._unit, self._first = what, total, unit, done
        self._start = self._last = time.monotonic()
        self._bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(desc=what, total=total, initial=done, unit=unit, dynamic_ncols=True, leave=False)

    def show(self, done: int, text: str = "") -> None:
        """Tell that so much is done, with a word about it."""
        if self._bar is not None:
            if text:
                self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(done - self._bar.n)
            return
        now = time.monotonic()
        if now - self._last > PLAIN_LINE_EVERY_S or (text and done == self._total):
            self._last = now
            parts = [f"{self._what}: {done:,}" + (f" of {self._total:,}" if self._total else "") + f" {self._unit}"]
            if text:
                parts.append(text)
            if self._total and done > self._first:
                parts.append(f"{(now - self._start) / (done - self._first) * (self._total - done):.0f} s left")
            logging.getLogger("prealign").info("%s", ", ".join(parts))

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
