"""A word-segmented parallel corpus as flat integer arrays: what the aligner works on.

A word costs 4 bytes here, and a source word 12 more when the chunks have listed it: measured with the offsets, 17 bytes
for a source word and 4.5 for a target word. The cells (source word, target word) of sentence pairs are worked on in
chunks, so they never need to be in memory together.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Side:
    """One language of the corpus: `words[offsets[s]:offsets[s + 1]]` are the word types of sentence s."""

    words: NDArray[np.int32]
    """[words] numbers of word types, from 0"""
    offsets: NDArray[np.int64]
    """[sentences + 1]"""
    n_types: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def by_frequency(self) -> NDArray[np.int64]:
        """[types] the types, the most frequent first."""
        return np.argsort(-self.frequencies(), kind="stable")

    def renumbered(self, order: NDArray[np.int64]) -> Side:
        """The same words with type order[k] called k.

        In order of frequency, the rows of the pair table that are read most lie together in memory.
        """
        numbers = np.empty(self.n_types, dtype=np.int32)
        numbers[order] = np.arange(self.n_types, dtype=np.int32)
        return Side(numbers[self.words], self.offsets, self.n_types)

    def frequencies(self) -> NDArray[np.int64]:
        """[types] how often each type occurs."""
        return np.bincount(self.words, minlength=self.n_types)


class SideBuilder:
    """Collects the sentences of one language and numbers their word types in order of appearance."""

    def __init__(self) -> None:
        self.types: dict[str, int] = {}
        self._words = array("i")
        self._offsets = array("q", [0])

    def add(self, words: Iterable[str]) -> None:
        """Append one sentence."""
        types = self.types
        self._words.extend([types.setdefault(word, len(types)) for word in words])
        self._offsets.append(len(self._words))

    def side(self) -> Side:
        """The sentences so far."""
        return Side(np.array(self._words, dtype=np.int32), np.array(self._offsets, dtype=np.int64), len(self.types))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of sentence pairs whose cells are in memory together.

    The cells of a sentence pair form a matrix [source words, target words]; the matrices of the chunk lie one after the
    other in a flat array. The source words of the chunk are also listed type by type: each has one row of cells.
    """

    source_offsets: NDArray[np.int64]
    """[sentences + 1] into the words of the corpus"""
    target_offsets: NDArray[np.int64]
    """[sentences + 1] into the words of the corpus"""
    cell_offsets: NDArray[np.int64]
    """[sentences + 1] into the cells of the chunk"""
    types: NDArray[np.int32]
    """[types in the chunk] its source types, ascending"""
    type_offsets: NDArray[np.int64]
    """[types in the chunk + 1] into `row_cells` and `row_sentences`"""
    row_cells: NDArray[np.int64]
    """[source words of the chunk] first cell of the word's row, words sorted by type"""
    row_sentences: NDArray[np.int32]
    """[source words of the chunk] the word's sentence, from 0 in the chunk"""


def cut_into_chunks(source: Side, target: Side, cells_per_chunk: int) -> list[Chunk]:
    """Cut the corpus into chunks of about `cells_per_chunk` cells, never inside a sentence pair."""
    cells = np.diff(source.offsets) * np.diff(target.offsets)
    ends = np.cumsum(cells)
    borders = [0]
    while borders[-1] < len(cells):
        done = ends[borders[-1] - 1] if borders[-1] else 0
        border = int(np.searchsorted(ends, done + cells_per_chunk, side="right"))
        borders.append(max(borders[-1] + 1, border))
    return [_chunk(source, target, cells, first, last) for first, last in pairwise(borders)]


def _chunk(source: Side, target: Side, cells: NDArray[np.int64], first: int, last: int) -> Chunk:
    source_offsets = source.offsets[first : last + 1]
    target_offsets = target.offsets[first : last + 1]
    cell_offsets = starts_of(cells[first:last])
    words = source.words[source_offsets[0] : source_offsets[-1]]
    sentences = np.repeat(np.arange(last - first, dtype=np.int32), np.diff(source_offsets))
    place = np.arange(len(words)) - (source_offsets[:-1] - source_offsets[0])[sentences]
    row_cells = cell_offsets[sentences] + place * np.diff(target_offsets)[sentences]
    by_type = np.argsort(words, kind="stable")
    types, counts = np.unique(words, return_counts=True)
    return Chunk(
        source_offsets, target_offsets, cell_offsets, types, starts_of(counts), row_cells[by_type], sentences[by_type]
    )


def starts_of(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """[n + 1] where each of n runs begins, and the end of the last."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
