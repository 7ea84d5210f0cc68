"""Runs of two or three words that mean one word of the other language: "no one" and "niemand", "twice" and "deux fois".

Part of counting links where `multi_word` is set. A run is tied to a word when each of its words is linked to that word
alone, and the word to nothing outside the run; so it takes links of several words to one, as grow-diag makes them. What
is tied counts as one link between the run and the word. Else only links of one word to one are counted, since those
that tie neither two words nor a run are often wrong: of the first translations of single words 61.1 % are right so, and
59.5 % when all links of grow-diag are counted word by word (docs/benchmarks.md, "By aligner": 100,000 pairs en-de of
Tatoeba and news, XLING train 5k).

A run may be tied rarely and stand everywhere ("in the" and German "ins"). Its probabilities must be shares of all its
occurrences, so the others are counted too, as links to the empty word; `LinkCounts` keeps those rows to itself. In a
part of a corpus every run is counted, since another part may tie it. Most are met once, and take most of the memory.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prealign.alignment.bitext import Side
from prealign.alignment.parallel_words import Links

LENGTHS = (2, 3)
BREAK, SPACE, NOTHING = range(3)
"""What stands before a word: the beginning of the sentence or punctuation, one space, or nothing at all."""


class Tied(NamedTuple):
    """Runs and the words that they are tied to, as places in the two sides of a corpus; all [tied]."""

    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    words: NDArray[np.int64]

    def holds(self, n_words: int) -> NDArray[np.bool_]:
        """[words] whether a word of the runs' side belongs to one of them."""
        edges = np.bincount(self.starts, minlength=n_words + 1) - np.bincount(
            self.starts + self.lengths, minlength=n_words + 1
        )
        return edges.cumsum()[:n_words] > 0


@dataclass(frozen=True, slots=True)
class Text:
    """One side of a corpus, as it is read for runs."""

    folded: Side
    folded_types: Sequence[str]
    spelt: Side
    spelt_types: Sequence[str]
    joins: NDArray[np.uint8]
    """[words] BREAK, SPACE or NOTHING"""
    opens: NDArray[np.uint8]
    """[words] 1 for the first word of a sentence or quotation"""

    def run(self, start: int, length: int) -> str:
        """The run in folded words."""
        return self._joined(self.folded, self.folded_types, start, length)

    def form(self, start: int, length: int) -> str:
        """The run as it is spelt there."""
        return self._joined(self.spelt, self.spelt_types, start, length)

    def occurrences(self, weights: NDArray[np.float32]) -> Iterator[tuple[str, float]]:
        """Every run of the text and how often it occurs, each occurrence by the weight of its sentence [sentences]."""
        of_words = np.repeat(weights, np.diff(self.folded.offsets))
        joined = self.folded.words.astype(np.int64) * 3 + self.joins
        for length in LENGTHS:
            starts = np.arange(max(0, len(joined) - length + 1))
            starts = starts[np.all([self.joins[starts + k] != BREAK for k in range(1, length)], axis=0)]
            keys = self.folded.words[starts].astype(np.int64)
            for k in range(1, length):
                keys = np.unique(keys * (3 * self.folded.n_types) + joined[starts + k], return_inverse=True)[1]
            _, first, of_run = np.unique(keys, return_index=True, return_inverse=True)
            totals = np.bincount(of_run, of_words[starts], minlength=len(first))
            for start, total in zip(starts[first].tolist(), totals.tolist()):
                yield self.run(start, length), total

    def _joined(self, side: Side, types: Sequence[str], start: int, length: int) -> str:
        words = [types[number] for number in side.words[start : start + length]]
        gaps = (" " if join == SPACE else "" for join in self.joins[start + 1 : start + length])
        return words[0] + "".join(gap + word for gap, word in zip(gaps, words[1:]))


class LinkedRuns(NamedTuple):
    """What `count_runs` gives; adds to the counts of single words."""

    counts: dict[tuple[str, str], float]
    """folded source and target, one of them a run -> sum of weights; the other is empty for untied occurrences"""
    source_forms: Counter[str]
    """form of a run that is tied -> how often it stands so inside a sentence"""
    target_forms: Counter[str]
    left_over: NDArray[np.bool_]
    """[links] those that tie neither two words nor a run to a word"""


def places_of(links: Links, source: Side, target: Side) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The links as places in the two sides, each [links]."""
    sentences = np.repeat(np.arange(len(source)), np.diff(links.offsets))
    return source.offsets[sentences] + links.links[:, 0], target.offsets[sentences] + links.links[:, 1]


def one_to_one(places: tuple[NDArray[np.int64], NDArray[np.int64]]) -> NDArray[np.bool_]:
    """[links] whether both words of a link have no other."""
    source, target = places
    return (np.bincount(source)[source] == 1) & (np.bincount(target)[target] == 1)


def tied(run_places: NDArray[np.int64], word_places: NDArray[np.int64], joins: NDArray[np.uint8]) -> Tied:
    """The runs that are tied to one word.

    Args:
        run_places, word_places: the links [links] as places in the side of the runs and in the other.
        joins: of the side of the runs, [words].
    """
    if not len(run_places):
        return Tied(*(np.empty(0, dtype=np.int64) for _ in Tied._fields))
    order = np.lexsort((run_places, word_places))
    alone = np.bincount(run_places)[run_places] == 1
    places, words, alone = run_places[order], word_places[order], alone[order]
    first = np.flatnonzero(np.append(True, words[1:] != words[:-1]))
    lengths = np.diff(np.append(first, len(words)))
    follows = np.append(False, (np.diff(places) == 1) & (joins[places[1:]] != BREAK))
    follows[first] = True
    whole = np.logical_and.reduceat(alone & follows, first) & np.isin(lengths, LENGTHS)
    return Tied(places[first[whole]], lengths[whole], words[first[whole]])


def count_runs(
    source: Text, target: Text, links: Links, weights: NDArray[np.float32], *, whole: bool = False
) -> LinkedRuns:
    """Count the runs of both languages that are tied to a word of the other.

    Args:
        weights: of each sentence pair, [sentences].
        whole: this is all of the corpus, so that runs that it ties nowhere need no counts.
    """
    counts: dict[tuple[str, str], float] = defaultdict(float)
    forms: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    places = places_of(links, source.folded, target.folded)
    left_over = ~one_to_one(places)
    for number, (one, other) in enumerate(((source, target), (target, source))):
        of_words = np.repeat(weights, np.diff(one.folded.offsets))
        found = tied(places[number], places[1 - number], one.joins)
        left_over &= ~found.holds(len(of_words))[places[number]]
        runs = set()
        for start, length, place in zip(*(column.tolist() for column in found)):
            run, word = one.run(start, length), other.folded_types[other.folded.words[place]]
            weight = float(of_words[start])
            counts[_pair(run, word, number)] += weight
            counts[_pair(run, "", number)] -= weight
            forms[number][one.form(start, length)] += 1 - int(one.opens[start])
            runs.add(run)
        for run, total in one.occurrences(weights):
            if run in runs or not whole:
                counts[_pair(run, "", number)] += total
    return LinkedRuns(counts, *forms, left_over)


def _pair(run: str, other: str, number: int) -> tuple[str, str]:
    """(source, target) of a run of the first or the second side."""
    return (other, run) if number else (run, other)
