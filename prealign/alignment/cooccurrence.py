"""The pairs of word types that occur together in some sentence pair, and arrays of values over them.

The translation probabilities of the aligner live here, so memory grows with types and not with the text. Each E-step
needs the pair of every cell (source word, target word) of every sentence pair. Instead of searching for it, cells are
visited source type by source type: the type's row is spread over a dense array once, and then each cell in all
occurrences of the type is one read from it (about 16 ns per cell with both probabilities). A row belongs to one source
type and a type to one part of the work, so all that is added to it comes in a fixed order: results are the same bit for
bit at any number of threads.
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
        probabilities: NDArray[np.float32],
        pairs: NDArray[np.int32],
        cells: NDArray[np.float32],
    ) -> None:
        """Write the pair of every cell of the chunk into `pairs` [cells] and its values into `cells` [2, cells].

        Args:
            target_words: the words of the whole corpus.
            probabilities: [pairs, 2].
        """
        run_parts(
            lambda part: _gather(
                part, chunk.types, chunk.type_offsets, chunk.row_cells, chunk.row_sentences, chunk.target_offsets,
                target_words, self.row_offsets, self.targets, self.n_targets, probabilities, pairs, cells,
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

    def estimate(self, counts: NDArray[np.float32], alpha: float, probabilities: NDArray[np.float32]) -> None:
        """The M-step: write the probabilities [pairs, 2] that expected counts [pairs, 2] give, in both directions.

        The variational estimate under a symmetric Dirichlet prior, exp(psi(c + alpha)) / exp(psi(sum(c + alpha)))
        with the digamma function psi (Riley and Gildea 2012). It takes about half a count from every pair, which
        keeps rare words from collecting translations that they met once. Probabilities stay above `FLOOR`.

        Args:
            counts: [pairs, 2]; set to zero for the next round.
            alpha: concentration of the prior, over 0.
        """
        _estimate(self.row_offsets, self.targets, self.n_targets, counts, alpha, probabilities)


FLOOR = np.float32(1e-9)
"""Lowest probability of a pair, so that no sentence becomes impossible."""


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
    row_offsets, row_targets, n_targets, probabilities, pairs, cells,
):  # fmt: skip
    pair_of = np.empty(n_targets, dtype=np.int32)  # set for every target type that a row is asked for
    for t in range(part, len(types), PARTS):
        for pair in range(row_offsets[types[t]], row_offsets[types[t] + 1]):
            pair_of[row_targets[pair]] = pair
        for row in range(type_offsets[t], type_offsets[t + 1]):
            sentence = row_sentences[row]
            cell = row_cells[row]
            for word in target_words[target_offsets[sentence] : target_offsets[sentence + 1]]:
                pair = pair_of[word]
                pairs[cell] = pair
                cells[0, cell] = probabilities[pair, 0]
                cells[1, cell] = probabilities[pair, 1]
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


@njit(cache=True)
def _estimate(row_offsets, row_targets, n_targets, counts, alpha, probabilities):  # type: ignore[no-untyped-def]
    of_target = np.zeros(n_targets, dtype=np.float64)
    for pair in range(len(row_targets)):
        of_target[row_targets[pair]] += counts[pair, 1] + alpha
    for target in range(n_targets):
        if of_target[target] > 0.0:  # a word whose sentences have an empty other side occurs with nothing
            of_target[target] = 1.0 / exp_digamma(of_target[target])
    for source in range(len(row_offsets) - 1):
        row = slice(row_offsets[source], row_offsets[source + 1])
        of_source = 0.0
        for pair in range(row.start, row.stop):
            of_source += counts[pair, 0] + alpha
        if of_source > 0.0:
            of_source = 1.0 / exp_digamma(of_source)
        for pair in range(row.start, row.stop):
            forward = exp_digamma(counts[pair, 0] + alpha) * of_source
            backward = exp_digamma(counts[pair, 1] + alpha) * of_target[row_targets[pair]]
            probabilities[pair, 0] = max(forward, FLOOR)
            probabilities[pair, 1] = max(backward, FLOOR)
            counts[pair, 0] = counts[pair, 1] = 0.0


@njit(cache=True)
def exp_digamma(x):  # type: ignore[no-untyped-def]
    """exp(psi(x)) for x > 0: the recurrence psi(x) = psi(x + 1) - 1 / x up to x >= 6, then the asymptotic series."""
    below = 0.0
    while x < 6.0:
        below += 1.0 / x
        x += 1.0
    square = 1.0 / (x * x)
    return np.exp(np.log(x) - 0.5 / x - square * (1.0 / 12.0 - square * (1.0 / 120.0 - square / 252.0)) - below)
