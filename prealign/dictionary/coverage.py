"""How much running text a dictionary covers: the share of words that it has, by frequency, and the most frequent ones
it lacks.

The summary is shared with the coverage of compiled tables, which look at tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prealign.corpora.words import Segmenter, fold
from prealign.dictionary.dictionary import Dictionary

BANDS = (100, 1_000, 10_000)
TOP_MISSING = 20


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is covered of a text; words are folded, and only those with a letter count."""

    running_words: int
    covered: int
    """Running words that are covered, alone or as part of a longer entry."""
    by_band: dict[str, float]
    """Share covered among the running words of each frequency band ("1-100" holds the 100 most frequent words)."""
    missing: list[tuple[str, int]]
    """The most frequent words that are never covered, with their counts."""

    @classmethod
    def of_counts(cls, running: Counter[str], covered: Mapping[str, int]) -> Coverage:
        """The summary of how often each word occurs, and how many of these times it is covered."""
        ranked = running.most_common()
        by_band: dict[str, float] = {}
        for low, high in zip((0, *BANDS), (*BANDS, len(ranked))):
            if band := ranked[low:high]:
                total = sum(count for _, count in band)
                by_band[f"{low + 1:,}-{low + len(band):,}"] = sum(covered.get(word, 0) for word, _ in band) / total
        missing = [(word, count) for word, count in ranked if not covered.get(word)][:TOP_MISSING]
        return cls(running.total(), sum(covered.values()), by_band, missing)

    @property
    def share(self) -> float:
        return self.covered / max(1, self.running_words)

    def as_dict(self) -> dict[str, Any]:
        return {
            "running_words": self.running_words,
            "covered": self.covered,
            "share": round(self.share, 4),
            "by_band": {band: round(share, 4) for band, share in self.by_band.items()},
            "missing": [{"word": word, "count": count} for word, count in self.missing],
        }

    def __str__(self) -> str:
        bands = ", ".join(f"{share:.0%} of words {band}" for band, share in self.by_band.items())
        missing = ", ".join(f"{word} ({count:,})" for word, count in self.missing) or "none"
        return f"covers {self.share:.1%} of {self.running_words:,} running words ({bands}); top missing: {missing}"


def coverage(dictionary: Dictionary, texts: Iterable[str]) -> Coverage:
    """Look up the words of texts in the dictionary's source language.

    Entries of several words are met where their words follow one another, the longest first; what stands between the
    words (a space, a hyphen) is not compared. So 喝水 as one word of the segmenter is not covered by an entry 水.
    """
    language = dictionary.source_language
    segmenter = Segmenter(language)
    entries = {tuple(_words(segmenter, source)) for source in dictionary.by_source()}
    longest: dict[str, int] = {}
    for entry in entries:
        if entry:
            longest[entry[0]] = max(len(entry), longest.get(entry[0], 0))
    running: Counter[str] = Counter()
    covered: Counter[str] = Counter()
    for text in texts:
        words = _words(segmenter, text)
        place = 0
        for start, word in enumerate(words):
            n_here = next(
                (n for n in range(longest.get(word, 0), 0, -1) if tuple(words[start : start + n]) in entries), 0
            )
            place = max(place, start + n_here)
            if any(map(str.isalpha, word)):
                running[word] += 1
                covered[word] += int(start < place)
    return Coverage.of_counts(running, covered)


def _words(segmenter: Segmenter, text: str) -> list[str]:
    return [fold(word, segmenter.language) for word in segmenter.words(text)]
