"""The pairs of word types that occur together in some sentence pair, and arrays of values over them.

What the aligner knows of translations (`lexicon`) are arrays over these pairs, so its memory grows with types and not
with the text. Each E-step needs the pair of every cell (source word, target word) of every sentence pair. Instead of
searching for it, cells are visited source type by source type: the type's row is spread over a dense array once, and
then each cell in all occurrences of the type is one read from it. A row belongs to one source type and a type to one
part of the work, so all that is added to it comes in a fixed order: results are the same bit for bit at any number of
threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from prealign.alignment.bitext import Chunk, Side, starts_of
from prealign.alignment.parts import PARTS, run_parts


@dataclass(frozen=True, slots=True)
class PairTable:
    """Pairs of types in rows: `targets[row_offsets[e]:row_offsets[e + 1]]` are the target types met with source type e.

    Arrays over pairs have two columns, one for each direction: p(target | source) and p(source | target).
    """

    row_offsets: NDArray[np.int64]
    """[source types + 1]"""
    targets: NDArray[np.int32]
    """[pairs] target types, ascending inside a row"""
    n_targets: int
    """Number of target types."""

    @classmethod
    def build(cls, source: Side, target: Side) -> PairTable:
        """All pairs that share a sentence pair."""
        by_type = np.argsort(target.words, kind="stable")
        sentences = np.repeat(np.arange(len(target), dtype=np.int32), np.diff(target.offsets))[by_type]
        type_offsets = starts_of(target.frequencies())
        lengths = np.zeros(source.n_types, dtype=np.int64)
        _walk_rows(type_offsets, sentences, source.words, source.offsets, lengths, np.empty(0, dtype=np.int32))
        row_offsets = starts_of(lengths)
        targets = np.empty(row_offsets[-1], dtype=np.int32)
        _walk_rows(type_offsets, sentences, source.words, source.offsets, row_offsets[:-1].copy(), targets)
        return cls(row_offsets, targets, target.n_types)

    def __len__(self) -> int:
        return len(self.targets)

    def gather(
        self,
        chunk: Chunk,
        target_words: NDArray[np.int32],
        masses: NDArray[np.float32],
        source_totals: NDArray[np.float32],
        target_totals: NDArray[np.float32],
        pairs: NDArray[np.int32],
        cells: NDArray[np.float32],
    ) -> None:
        """Write the pair of every cell of the chunk into `pairs` [cells], and into `cells` [2, cells] its masses, each
        over the total of its type.

        Args:
            target_words: the words of the whole corpus.
            masses: [pairs, 2], divided by `source_totals` [source types] and `target_totals` [target types].
        """
        run_parts(
            lambda part: _gather(
                part, chunk.types, chunk.type_offsets, chunk.row_cells, chunk.row_sentences, chunk.target_offsets,
                target_words, self.row_offsets, self.targets, self.n_targets, masses, source_totals, target_totals,
                pairs, cells,
            )
        )  # fmt: skip

    def add(
        self, chunk: Chunk, pairs: NDArray[np.int32], cells: NDArray[np.float32], counts: NDArray[np.float32]
    ) -> None:
        """Add the values of every cell [2, cells] to those of its pair, `counts` [pairs, 2]."""
        run_parts(
            lambda part: _add(
                part, chunk.type_offsets, chunk.row_cells, chunk.row_sentences, chunk.target_offsets,
                pairs, cells, counts,
            )
        )  # fmt: skip


@njit(cache=True)
def _walk_rows(type_offsets, sentences, words, offsets, ends, targets):  # type: ignore[no-untyped-def]
    """For every target type in turn, append it to the rows of the source types that it occurs with.

    Target types come in ascending order, so rows come out sorted. With an empty `targets` pairs are only counted.
    """
    last_seen = np.full(len(ends), -1, dtype=np.int32)
    for target in range(len(type_offsets) - 1):
        for place in range(type_offsets[target], type_offsets[target + 1]):
            sentence = sentences[place]
            for word in words[offsets[sentence] : offsets[sentence + 1]]:
                if last_seen[word] != target:
                    last_seen[word] = target
                    if len(targets):
                        targets[ends[word]] = target
                    ends[word] += 1


@njit(cache=True, nogil=True)
def _gather(  # type: ignore[no-untyped-def]
    part, types, type_offsets, row_cells, row_sentences, target_offsets, target_words,
    row_offsets, row_targets, n_targets, masses, source_totals, target_totals, pairs, cells,
):  # fmt: skip
    pair_of = np.empty(n_targets, dtype=np.int32)  # set for every target type that a row is asked for
    for t in range(part, len(types), PARTS):
        for pair in range(row_offsets[types[t]], row_offsets[types[t] + 1]):
            pair_of[row_targets[pair]] = pair
        share = np.float32(1.0) / source_totals[types[t]]
        for row in range(type_offsets[t], type_offsets[t + 1]):
            sentence = row_sentences[row]
            cell = row_cells[row]
            for word in target_words[target_offsets[sentence] : target_offsets[sentence + 1]]:
                pair = pair_of[word]
                pairs[cell] = pair
                cells[0, cell] = masses[pair, 0] * share
                cells[1, cell] = masses[pair, 1] / target_totals[word]
                cell += 1


@njit(cache=True, nogil=True)
def _add(part, type_offsets, row_cells, row_sentences, target_offsets, pairs, cells, counts):  # type: ignore[no-untyped-def]
    for t in range(part, len(type_offsets) - 1, PARTS):
        for row in range(type_offsets[t], type_offsets[t + 1]):
            sentence = row_sentences[row]
            first = row_cells[row]
            for cell in range(first, first + target_offsets[sentence + 1] - target_offsets[sentence]):
                counts[pairs[cell], 0] += cells[0, cell]
                counts[pairs[cell], 1] += cells[1, cell]
