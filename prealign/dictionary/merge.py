"""Several dictionaries of the same two languages joined into one.

Counts add up, as if the links had been counted together. With w_i(s) for how often dictionary i saw the word s,

    p(t | s) = sum_i w_i(s) p_i(t | s) / sum_i w_i(s),      w_i(s) = sum_t count_i(s, t) / sum_t p_i(t | s),

and the same for p(s | t). For dictionaries that `build-dict` counted, w_i(s) is the number of all links of s, those
below its thresholds included. So merging gives what counting both corpora would have given, but for the links of a pair
that one of the dictionaries left out.

A dictionary made by people has no counts: all its pairs stand there once, and against the thousands of a counted one
they would vanish. It is an opinion of its own instead: for a word that counted dictionaries have too, each uncounted
one weighs as much as all counted ones together. Uncounted ones among themselves add up as if their files were one.

Spellings: a word that an earlier dictionary has is the same word; one that differs from a word there only in case is
taken for that word, and spelt as there. So a lower-cased German list does not add "haus" beside "Haus".
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from prealign.corpora.words import fold
from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.entries import Entry, probability
from prealign.errors import PrealignError

COUNTED_FROM = 1.5
"""Mean count from which a dictionary is taken for a counted one. Lists have 1.0, or a little more where a pair stands
there twice; dictionaries induced with `min_count` 2 have at least 2."""
Pair = tuple[str, str]


def merge(dictionaries: Sequence[Dictionary]) -> Dictionary:
    """The union of the entries; its card holds the cards of the parts, with their licences.

    Args:
        dictionaries: of the same two languages; the first have the say in spelling.
    Raises:
        PrealignError: fewer than two dictionaries, or languages that differ.
    """
    if len(dictionaries) < 2:
        raise PrealignError("Merging takes at least two dictionaries.")
    languages = [(d.source_language, d.target_language) for d in dictionaries]
    if len(set(languages)) > 1:
        told = ", ".join("-".join(pair) for pair in languages)
        raise PrealignError(f"Only dictionaries of the same two languages can be merged; these are {told}.")
    spellings = _Spellings(languages[0][0]), _Spellings(languages[0][1])
    counts: dict[Pair, int] = defaultdict(int)
    evidence: tuple[list[_Evidence], list[_Evidence]] = ([], [])
    for dictionary in dictionaries:
        sources = spellings[0].of(entry.source for entry in dictionary.entries)
        targets = spellings[1].of(entry.target for entry in dictionary.entries)
        is_counted = _is_counted(dictionary)
        forward, backward = _Evidence(is_counted), _Evidence(is_counted)
        for source, of_one_word in dictionary.by_source().items():
            forward.add(sources[source], [((sources[source], targets[e.target]), e) for e in of_one_word])
        for target, of_one_word in dictionary.inverted().by_source().items():
            backward.add(targets[target], [((sources[e.target], targets[target]), e) for e in of_one_word])
        for entry in dictionary.entries:
            counts[sources[entry.source], targets[entry.target]] += entry.count
        evidence[0].append(forward)
        evidence[1].append(backward)
    p_target, p_source = _probabilities(evidence[0], 0), _probabilities(evidence[1], 1)
    entries = [Entry(*pair, count, p_target[pair], p_source[pair]) for pair, count in counts.items()]
    return Dictionary(*languages[0], entries, _card(dictionaries))


class _Spellings:
    """How the dictionaries so far spell the words of one language."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._known: set[str] = set()
        self._by_fold: dict[str, str] = {}

    def of(self, words: Iterable[str]) -> dict[str, str]:
        """word -> its merged spelling; the words are known from now on."""
        merged = {
            word: word if word in self._known else self._by_fold.get(fold(word, self._language), word) for word in words
        }
        for spelling in merged.values():
            self._known.add(spelling)
            self._by_fold.setdefault(fold(spelling, self._language), spelling)
        return merged


class _Evidence:
    """What one dictionary says of one direction, p(other | given), in the merged spelling."""

    def __init__(self, is_counted: bool) -> None:
        self.is_counted = is_counted
        self.weight: dict[str, float] = defaultdict(float)
        """w(given); where two spellings have become one word, their sum."""
        self.mass: dict[Pair, float] = defaultdict(float)
        """w(given) p(other | given) by (source, target)."""

    def add(self, given: str, entries: Sequence[tuple[Pair, Entry]]) -> None:
        """Take in the entries of one word; they are turned so that it is their source."""
        p = sum(entry.p_target_given_source for _, entry in entries)
        weight = max(1, sum(entry.count for _, entry in entries)) / p if p else 0.0
        if weight:
            self.weight[given] += weight
        for pair, entry in entries:
            self.mass[pair] += weight * entry.p_target_given_source


def _probabilities(evidence: Sequence[_Evidence], given: int) -> dict[Pair, float]:
    """p(other | given) of every pair; given: the place of the given word in the pair."""
    of_counted: dict[str, float] = defaultdict(float)
    for part in evidence:
        if part.is_counted:
            for word, weight in part.weight.items():
                of_counted[word] += weight
    total: dict[str, float] = defaultdict(float)
    mass: dict[Pair, float] = defaultdict(float)
    for part in evidence:
        scale = {
            word: 1.0 if part.is_counted else of_counted.get(word, weight) / weight
            for word, weight in part.weight.items()
        }
        for word, weight in part.weight.items():
            total[word] += scale[word] * weight
        for pair, of_pair in part.mass.items():
            mass[pair] += scale.get(pair[given], 0.0) * of_pair
    return {
        pair: min(1.0, probability(of_pair, total[pair[given]])) if of_pair else 0.0 for pair, of_pair in mass.items()
    }


def _is_counted(dictionary: Dictionary) -> bool:
    return sum(entry.count for entry in dictionary.entries) >= COUNTED_FROM * max(1, len(dictionary))


def _card(dictionaries: Sequence[Dictionary]) -> dict[str, Any]:
    cards = [
        copy.deepcopy(dictionary.card) | {"entries": len(dictionary), "counted": _is_counted(dictionary)}
        for dictionary in dictionaries
    ]
    card: dict[str, Any] = {"merged_from": cards}
    licences = [part.get("licence") for part in cards]
    if all(licences):
        card["licence"] = "; ".join(dict.fromkeys(map(str, licences)))
    return card
