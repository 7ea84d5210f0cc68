"""What is wrong with the lines of a dictionary file: gathered by the readers, told together."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

from prealign.dictionary.entries import Entry
from prealign.errors import PrealignError

FAULTS_TOLD = 10


class FaultyLineError(Exception):
    """What is wrong with a line; the reader adds where it stands."""


class Faults:
    """The faults of one file; the first few are kept in words."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def add(self, place: str, what: object) -> None:
        """place: "line 7"."""
        self.count += 1
        if self.count <= FAULTS_TOLD:
            self.first.append(f"{place}: {what}")

    def told(self) -> list[str]:
        """The first faults, and how many more there are."""
        more = self.count - len(self.first)
        return [*self.first, f"and {more:,} more lines"] if more else self.first

    def refuse(self, path: Path) -> None:
        """Raise a PrealignError that tells the faults, if there are any."""
        if self.count:
            raise PrealignError.of_several(f"{path} is not a dictionary that can be read:", self.told())


def clean_pair(source: str, target: str) -> tuple[str, str]:
    """Both sides in NFC with single spaces between words; an empty side is a fault."""
    source = unicodedata.normalize("NFC", " ".join(source.split()))
    target = unicodedata.normalize("NFC", " ".join(target.split()))
    if not source or not target:
        raise FaultyLineError("an empty side")
    return source, target


def numbered_entry(source: str, target: str, count: Any, forward: Any, backward: Any) -> Entry:
    """An entry whose numbers stand in a file, as text or numbers."""
    try:
        n, p_target, p_source = int(count), float(forward), float(backward)
    except (TypeError, ValueError, OverflowError):
        raise FaultyLineError(f"'{count} {forward} {backward}' is not a count and two probabilities") from None
    if n < 0 or not (0.0 <= p_target <= 1.0 and 0.0 <= p_source <= 1.0):
        raise FaultyLineError("a count is 0 or more and a probability lies between 0 and 1")
    return Entry(source, target, n, p_target, p_source)
