"""Sentence pairs cut into words: what every aligner is given and what it gives back.

`dictionary.induce` makes them from a corpus. The built-in aligner reads the numbers of the word types only; libraries
and programs read the words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prealign.alignment.bitext import Side, SideBuilder, starts_of
from prealign.alignment.links import UNLINKED, Symmetrisation, symmetrise

WordPair = tuple[list[str], list[str]]
"""The words of a sentence and of its translation."""


class Links(NamedTuple):
    """The links of a corpus: sentence pair s has `links[offsets[s]:offsets[s + 1]]`."""

    offsets: NDArray[np.int64]
    """[sentence pairs + 1]"""
    links: NDArray[np.int32]
    """[links, 2] positions of the source and the target word in their sentences"""


@dataclass(frozen=True, slots=True)
class ParallelWords:
    """A corpus of sentence pairs as words; either side of a pair may be empty."""

    source: Side
    target: Side
    source_types: Sequence[str]
    """[types] how each source type is spelt"""
    target_types: Sequence[str]
    """[types] how each target type is spelt"""

    @classmethod
    def of(cls, pairs: Iterable[tuple[Sequence[str], Sequence[str]]]) -> ParallelWords:
        """The corpus of sentence pairs given as words."""
        source, target = SideBuilder(), SideBuilder()
        for source_words, target_words in pairs:
            source.add(source_words)
            target.add(target_words)
        return cls(source.side(), target.side(), list(source.types), list(target.types))

    def __len__(self) -> int:
        return len(self.source)

    def __iter__(self) -> Iterator[WordPair]:
        for sources, targets in zip(_sentences(self.source), _sentences(self.target), strict=True):
            yield [self.source_types[i] for i in sources], [self.target_types[j] for j in targets]

    def full(self) -> NDArray[np.bool_]:
        """[sentence pairs] whether both sides have words; programs stumble over empty lines."""
        return (np.diff(self.source.offsets) > 0) & (np.diff(self.target.offsets) > 0)

    def directions(self) -> Directions:
        """Where the two directions of this corpus are collected."""
        forward = np.full(len(self.target.words), UNLINKED, dtype=np.int32)
        return Directions(self, forward, np.full(len(self.source.words), UNLINKED, dtype=np.int32))


@dataclass(frozen=True, slots=True)
class Directions:
    """One partner at most for every word, in each direction; nothing is linked at first."""

    text: ParallelWords
    forward: NDArray[np.int32]
    """[target words of the corpus] position of the source word linked to each, or -1"""
    backward: NDArray[np.int32]
    """[source words of the corpus] position of the target word linked to each, or -1"""

    def set_forward(self, pair: int, links: NDArray[np.integer]) -> None:
        """Put in the forward links [links, 2] of a sentence pair, source positions first."""
        self.forward[self.text.target.offsets[pair] + links[:, 1]] = links[:, 0]

    def set_backward(self, pair: int, links: NDArray[np.integer]) -> None:
        """Put in the backward links [links, 2] of a sentence pair, source positions first."""
        self.backward[self.text.source.offsets[pair] + links[:, 0]] = links[:, 1]

    def join(self, method: Symmetrisation) -> Links:
        """The links of both directions, joined."""
        source, target = self.text.source, self.text.target
        return Links(*symmetrise(self.forward, self.backward, source.offsets, target.offsets, method))


def gather_links(of_pairs: Sequence[NDArray[np.int32]]) -> Links:
    """One array of links [links, 2] per sentence pair as the links of the corpus."""
    offsets = starts_of(np.array([len(links) for links in of_pairs], dtype=np.int64))
    return Links(offsets, np.concatenate([np.empty((0, 2), dtype=np.int32), *of_pairs]))


def _sentences(side: Side) -> Iterator[list[int]]:
    for start, end in zip(side.offsets[:-1].tolist(), side.offsets[1:].tolist()):
        yield side.words[start:end].tolist()
