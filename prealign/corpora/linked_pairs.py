"""Linked sentence pairs, kept by `build-dict` beside a dictionary: where words are read in context later.

`links.tsv` has a line for each pair: source sentence, target sentence, the places of the source words ("0-3 4-9": first
character, and the one after the last), those of the target words, and the links between words in Pharaoh's form
("0-0 1-2"). The words are the ones that the aligner saw, so no reader needs to cut the sentences again.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prealign import draws
from prealign.corpora.sentence_pairs import SentencePair
from prealign.corpora.words import Segmenter
from prealign.errors import PrealignError

LINKED_PAIRS_FILE = "links.tsv"
SPACED = str.maketrans("\t\n\r", "   ")
"""What would break a line; one character for one, so that places stay."""

Spans = list[tuple[int, int]]


class LinkedPair(NamedTuple):
    """A sentence pair with its words and the links between them."""

    source: str
    target: str
    source_words: Spans
    """(start, end) of each word, in characters."""
    target_words: Spans
    links: Spans
    """(source word, target word), by their places in the two lists."""


class LinkedPairs:
    """Keeps some pairs of a corpus that streams by, and the links that an aligner gives a stretch of it later.

    Those with the smallest keyed hashes are kept, so neither chunks nor the order of the corpus decide, and fewer are
    a part of more.

    Args:
        at_most: pairs kept; what is kept is in memory.
    """

    def __init__(self, at_most: int, seed: int, segmenters: tuple[Segmenter, Segmenter]) -> None:
        self._at_most, self._seed, self._segmenters = at_most, seed, segmenters
        self._kept: list[tuple[int, int, SentencePair]] = []  # a heap of (-hash, number, pair): the largest hash first
        self._links: dict[int, Spans] = {}
        self._offered = self._linked = 0

    def offer(self, pair: SentencePair) -> None:
        """The next pair of the corpus."""
        item = (-draws.key(self._seed, "linked pairs", pair.source, pair.target), self._offered, pair)
        self._offered += 1
        if len(self._kept) < self._at_most:
            heapq.heappush(self._kept, item)
        else:
            _, number, _ = heapq.heappushpop(self._kept, item)
            self._links.pop(number, None)

    def link(self, offsets: NDArray[np.int64], links: NDArray[np.int32]) -> None:
        """The links [links, 2] of the pairs offered since the last call; pair s has those from offsets[s] on."""
        for _, number, _ in self._kept:
            place = number - self._linked
            if place >= 0:
                self._links[number] = [(i, j) for i, j in links[offsets[place] : offsets[place + 1]].tolist()]
        self._linked = self._offered

    def write(self, path: Path) -> None:
        """Write what is kept, in the order of the hashes."""
        with path.open("w", encoding="utf-8", newline="\n") as file:
            for _, number, pair in sorted(self._kept, reverse=True):
                words = [cut.spans(text) for cut, text in zip(self._segmenters, pair[:2], strict=True)]
                texts = [text.translate(SPACED) for text in pair[:2]]
                numbers = [" ".join(f"{a}-{b}" for a, b in spans) for spans in (*words, self._links[number])]
                file.write("\t".join((*texts, *numbers)) + "\n")


def read_linked_pairs(path: Path) -> Iterator[LinkedPair]:
    """The pairs of a file that `LinkedPairs` wrote.

    Raises:
        PrealignError: a line is not of this form, or names a place that its sentence does not have.
    """
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            columns = line.rstrip("\n").split("\t")
            try:
                source, target, *places = columns
                source_words, target_words, links = (
                    [(int(a), int(b)) for a, b in (span.split("-") for span in column.split())] for column in places
                )
                _check(source_words, len(source))
                _check(target_words, len(target))
                if any(i >= len(source_words) or j >= len(target_words) for i, j in links):
                    raise ValueError
            except ValueError:
                raise PrealignError(
                    f"{path}, line {number}: not a linked sentence pair. The file was changed or cut off; make it "
                    "again with: prealign build-dict RECIPE --fresh dictionary"
                ) from None
            yield LinkedPair(source, target, source_words, target_words, links)


def _check(words: Spans, length: int) -> None:
    """Words stand in the sentence one after the other."""
    place = 0
    for start, end in words:
        if not place <= start < end <= length:
            raise ValueError
        place = end
