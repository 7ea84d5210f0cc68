"""How good a dictionary is: against a mapping known exactly, or against a gold dictionary made by people.

Used by `build-dict` on English-Clone, where the answer is known; by `eval`, `prealign dictionary quality` and the
benchmarks on real languages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prealign.corpora.words import fold
from prealign.dictionary.dictionary import Dictionary


def against_mapping(
    dictionary: Dictionary, mapping: Callable[[str], str], source_counts: Mapping[str, int]
) -> dict[str, Any]:
    """Precision and recall against a known one-to-one mapping of words (English-Clone), case folded.

    Args:
        mapping: the right translation of a source word.
        source_counts: how often each source word occurs in the text; the words that recall asks for.
    Returns:
        precision: share of entries that are right; precision_at_1: share of source words whose most probable entry
        is right; recall: share of the words in `source_counts` with a right entry; recall_running: the same,
        every word weighted by its count; and the numbers of entries and words behind them.
    """
    words = dictionary.source_language
    right_words: set[str] = set()
    n_right = n_first_right = 0
    by_source = dictionary.by_source()
    for source, entries in by_source.items():
        answer = fold(mapping(source), dictionary.target_language)
        hits = [fold(entry.target, dictionary.target_language) == answer for entry in entries]
        n_right += sum(hits)
        n_first_right += hits[0]
        if any(hits):
            right_words.add(fold(source, words))
    counts: dict[str, int] = {}
    for word, count in source_counts.items():
        folded = fold(word, words)
        counts[folded] = counts.get(folded, 0) + count
    found = [count for word, count in counts.items() if word in right_words]
    return {
        "precision": _share(n_right, len(dictionary)),
        "precision_at_1": _share(n_first_right, len(by_source)),
        "recall": _share(len(found), len(counts)),
        "recall_running": _share(sum(found), sum(counts.values())),
        "entries": len(dictionary),
        "source_words": len(by_source),
        "words_asked": len(counts),
    }


def against_gold(dictionary: Dictionary, gold: Dictionary) -> dict[str, Any]:
    """P@1 and coverage against a dictionary made by people, case folded on both sides.

    Returns:
        precision_at_1: of the gold words that the dictionary has, the share whose most probable translation is one of
        gold's; any_right: the share with any translation of gold's; right_when_drawn: the mean probability that a
        translation drawn by p(target | source), as in code-switching, is one of gold's; coverage: share of gold's words
        that the dictionary has; right_at_1: precision_at_1 times coverage, the share of all gold words answered
        rightly; and the sizes.
    """
    found = answers(dictionary, gold)
    sizes = {
        "entries": len(dictionary),
        "source_words": len(_folded_translations(dictionary)),
        "gold_words": len(found),
    }
    return share_of_answers(found.sum(axis=0)) | sizes


def answers(dictionary: Dictionary, gold: Dictionary) -> NDArray[np.float64]:
    """What a dictionary says to each word of a gold dictionary, case folded, [gold words, 5].

    Columns: 1; whether it has the word; whether its most probable translation is one of gold's; whether any is; the
    probability that one drawn by p(target | source) is.
    """
    right = {word: {target for _, target in found} for word, found in _folded_translations(gold).items()}
    ours = _folded_translations(dictionary)
    rows = np.zeros((len(right), 5))
    rows[:, 0] = 1.0
    for row, (word, targets) in zip(rows, right.items()):
        if found := ours.get(word):
            hits = [target in targets for _, target in found]
            drawn = _share(sum(p for (p, _), hit in zip(found, hits) if hit), sum(p for p, _ in found))
            row[1:] = 1.0, hits[0], any(hits), drawn
    return rows


def share_of_answers(sums: NDArray[np.float64]) -> dict[str, float]:
    """The shares that `against_gold` names, from the columns of `answers` summed over words (or averaged), [5]."""
    words, covered, first, any_right, drawn = sums.tolist()
    return {
        "precision_at_1": _share(first, covered),
        "any_right": _share(any_right, covered),
        "right_when_drawn": _share(drawn, covered),
        "coverage": _share(covered, words),
        "right_at_1": _share(first, words),
    }


def _folded_translations(dictionary: Dictionary) -> dict[str, list[tuple[float, str]]]:
    """Folded source word -> p(target | source) and folded target, most probable first, then most counted."""
    grouped: dict[str, list[tuple[float, int, str]]] = {}
    for entry in dictionary.entries:
        folded = fold(entry.source, dictionary.source_language)
        target = fold(entry.target, dictionary.target_language)
        grouped.setdefault(folded, []).append((-entry.p_target_given_source, -entry.count, target))
    return {word: [(-minus_p, target) for minus_p, _, target in sorted(found)] for word, found in grouped.items()}


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
