"""One entry of a dictionary, and entries made from counted pairs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

HEADER = ("source", "target", "count", "p_target_given_source", "p_source_given_target")
"""The columns of `entries.tsv`, which are the fields of an entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One word (or several, joined by single spaces) and one translation of it."""

    source: str
    target: str
    count: int
    """How often the two were linked; 1 where nobody counted."""
    p_target_given_source: float
    p_source_given_target: float

    def inverted(self) -> Entry:
        """The entry from the target language to the source language."""
        return Entry(self.target, self.source, self.count, self.p_source_given_target, self.p_target_given_source)


def entries_from_counts(counts: Counter[tuple[str, str]]) -> list[Entry]:
    """Entries for counted (source, target) pairs; each probability is the pair's share of its word's count."""
    of_source: Counter[str] = Counter()
    of_target: Counter[str] = Counter()
    for (source, target), count in counts.items():
        of_source[source] += count
        of_target[target] += count
    return [
        Entry(source, target, count, probability(count, of_source[source]), probability(count, of_target[target]))
        for (source, target), count in counts.items()
    ]


def probability(part: float, whole: float) -> float:
    """part / whole with the six digits that `entries.tsv` holds, so that writing and reading change nothing."""
    return float(f"{part / whole:.6g}")
