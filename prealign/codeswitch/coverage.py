"""How much running text a table can switch: the share of words it covers, by frequency, and the most frequent ones it
lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from prealign.codeswitch.characters import BEGINS_LETTER, LEADING, UNSPACED, UNSPACED_MARK, class_of
from prealign.codeswitch.encode import Encoder
from prealign.codeswitch.forms import fold
from prealign.codeswitch.matching import locate
from prealign.codeswitch.switch import flatten
from prealign.codeswitch.table import CodeSwitchTable
from prealign.codeswitch.vocabulary import FastTokenizer, Vocabulary, read_vocabulary
from prealign.corpora.words import Segmenter

BANDS = (100, 1_000, 10_000)
TOP_MISSING = 20
UNSPACED_CLASSES = {UNSPACED, UNSPACED_MARK, LEADING}


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a table covers of a text; words are folded, and only those with a letter count."""

    running_words: int
    covered: int
    """Running words that are eligible, in whole or as part of a longer entry; one that is only partly covered
    (an entry 水 in the word 喝水) is not."""
    by_band: dict[str, float]
    """Share covered among the running words of each frequency band ("1-100" holds the 100 most frequent words)."""
    missing: list[tuple[str, int]]
    """The most frequent words that are never covered, with their counts."""

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


def coverage(table: CodeSwitchTable, tokenizer: FastTokenizer, texts: Iterable[str]) -> Coverage:
    """Look up every word of a text sample.

    A running word is covered when the tokens of an eligible word begin inside it or reach over it, found by counting
    bytes; a text that the tokenizer normalises to another length is looked up in its normalised form.
    """
    vocabulary = read_vocabulary(tokenizer)
    table.check_tokenizer(tokenizer)
    encoder = Encoder(tokenizer, vocabulary)
    segmenter = Segmenter(table.source_language)
    running: Counter[str] = Counter()
    covered: Counter[str] = Counter()
    for text in texts:
        tokens, starts = flatten([np.array(encoder.ids([text])[0], dtype=np.int32)])
        found = np.empty((len(tokens), 3), dtype=np.int64)
        n_found = locate(table.arrays, tokens, starts, found)
        surfaces = _surfaces(tokens.tolist(), vocabulary)
        written = b"".join(surfaces).decode(errors="replace")
        ends = np.cumsum([len(surface) for surface in surfaces])
        is_covered = np.zeros(int(ends[-1]) if len(ends) else 0, dtype=np.bool_)
        for start, stop, _ in found[:n_found]:
            is_covered[int(ends[start]) - len(surfaces[start]) : int(ends[stop - 1])] = True
        place = np.cumsum([0, *(len(character.encode()) for character in written)])
        for start, stop in segmenter.spans(written):
            word = fold(written[start:stop], table.source_language)
            if any(character.isalpha() for character in word):
                running[word] += 1
                covered[word] += int(is_covered[place[start] : place[stop]].all())
    return _summary(running, covered)


def _surfaces(tokens: list[int], vocabulary: Vocabulary) -> list[bytes]:
    """What each token writes, with a space before words where the vocabulary writes none; not between the characters of
    scripts without spaces, which the segmenter takes together."""
    surfaces = [vocabulary.surfaces[token] for token in tokens]
    if vocabulary.has_spaces:
        return surfaces
    spaced, before = [], " "
    for token, surface in zip(tokens, surfaces, strict=True):
        text = surface.decode() or " "
        is_apart = not vocabulary.begins[token] & BEGINS_LETTER
        is_unspaced = {class_of(before[-1]), class_of(text[0])} <= UNSPACED_CLASSES
        spaced.append(b" " + surface if is_apart and not is_unspaced else surface)
        before = text
    return spaced


def _summary(running: Counter[str], covered: Counter[str]) -> Coverage:
    ranked = running.most_common()
    by_band: dict[str, float] = {}
    for low, high in zip((0, *BANDS), (*BANDS, len(ranked))):
        if band := ranked[low:high]:
            total = sum(count for _, count in band)
            by_band[f"{low + 1:,}-{low + len(band):,}"] = sum(covered[word] for word, _ in band) / total
    missing = [(word, count) for word, count in ranked if not covered[word]][:TOP_MISSING]
    return Coverage(running.total(), covered.total(), by_band, missing)
