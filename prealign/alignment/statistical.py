"""The built-in word aligner: which words of a sentence pair translate each other, learnt from the pairs alone.

Expectation maximisation of both directions side by side: first IBM 1 with a prior for the diagonal, then an HMM. All
is array work over co-occurring pairs of word types (`cooccurrence`), compiled and multi-threaded. There is no
randomness: the same text gives the same links at any number of threads.

Links are read off where both directions agree: from the product of their posteriors (Liang, Taskar, Klein 2006).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from prealign.alignment import posteriors
from prealign.alignment.bitext import Chunk, Side, SideBuilder, cut_into_chunks
from prealign.alignment.cooccurrence import PairTable
from prealign.alignment.links import Symmetrisation, symmetrise
from prealign.alignment.parts import PARTS, run_parts

log = logging.getLogger(__name__)

CELLS_PER_CHUNK = 2_000_000
"""Cells in memory at once, 12 bytes each; smaller chunks read the rows of the pair table more often."""
DIAGONAL_ROUNDS = 4
HMM_ROUNDS = 4
ALPHA = 0.08
"""Concentration of the Dirichlet prior of translation probabilities. Chosen on gold sentences of en-fr, en-ru and en-zh
with 12 to 30 thousand pairs: the error rates were 10.2, 23.3, 36.6 at 0.01, 9.9, 20.2, 31.7 at 0.1 and 11.7, 20.4, 35.3
at 0.2."""
THRESHOLD = 0.1
"""Least product of both posteriors of a link."""
FIRST_JUMPS = np.exp(-0.5 * np.abs(np.arange(-posteriors.MAX_JUMP, posteriors.MAX_JUMP + 1) - 1))
"""Jump weights before the first HMM round: a step forward by one is the most probable."""
FAR_JUMPS = 8.0
"""How many jumps the outermost weight stands for, roughly; sentences are too short for most of those beyond it."""


class StatisticalAligner:
    """Trains on a corpus and links its words."""

    def __init__(self, source: Side, target: Side) -> None:
        """source, target: the two sides, with the same number of sentences; sentences may be empty."""
        assert len(source) == len(target)
        self._source, self._target = source.ranked_by_frequency(), target.ranked_by_frequency()
        self._table = PairTable.build(self._source, self._target)
        self._chunks = cut_into_chunks(self._source, self._target, CELLS_PER_CHUNK)
        self._probabilities = np.empty((len(self._table), 2), dtype=np.float32)
        self._probabilities[:] = 1.0 / max(target.n_types, 1), 1.0 / max(source.n_types, 1)
        self._none_makes_target = _shares(self._target.frequencies())
        self._none_makes_source = _shares(self._source.frequencies())
        self._jump_weights = np.stack([FIRST_JUMPS, FIRST_JUMPS])
        self._model = posteriors.DIAGONAL
        largest = max((int(chunk.cell_offsets[-1]) for chunk in self._chunks), default=0)
        self._pairs = np.empty(largest, dtype=np.int32)
        self._cells = np.empty((2, largest), dtype=np.float32)

    def train(self) -> None:
        """Run the rounds of both models, one after the other."""
        counts = np.zeros_like(self._probabilities)
        models = [posteriors.DIAGONAL] * DIAGONAL_ROUNDS + [posteriors.HMM] * HMM_ROUNDS
        for number, self._model in enumerate(models, start=1):
            by_none = self._round(counts)
            log.debug("aligner: round %d of %d, words made by none: %.3f", number, len(models), by_none)

    def links(self, symmetrisation: Symmetrisation) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """The links of the corpus: offsets [sentences + 1], links [links, 2]; see `links.symmetrise`."""
        forward, backward = self.directions()
        return symmetrise(forward, backward, self._source.offsets, self._target.offsets, symmetrisation)

    def directions(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The best partner of every word, -1 for none: forward [target words], backward [source words].

        A partner is the position of a word in the other sentence. Both directions look at the product of the two
        posteriors and take the best cell of their column or row if it exceeds THRESHOLD.
        """
        forward = np.empty(len(self._target.words), dtype=np.int32)
        backward = np.empty(len(self._source.words), dtype=np.int32)
        jumps = self._no_jumps()
        for chunk in self._chunks:
            self._expect(chunk, jumps, agree=True)
            _best(chunk.source_offsets, chunk.target_offsets, chunk.cell_offsets, self._cells, forward, backward)
        return forward, backward

    def signature(self) -> dict[str, Any]:
        """What a dictionary's card says of the aligner."""
        return {"name": "statistical", "models": f"diagonal {DIAGONAL_ROUNDS}, hmm {HMM_ROUNDS}", "alpha": ALPHA}

    def _round(self, counts: NDArray[np.float32]) -> float:
        """One round of EM; `counts` [pairs, 2] is zero before and after. Returns the share of words made by none."""
        target_none = np.zeros(self._target.n_types)
        source_none = np.zeros(self._source.n_types)
        jumps = self._no_jumps()
        for chunk in self._chunks:
            target_by_none, source_by_none = self._expect(chunk, jumps, agree=self._model == posteriors.HMM)
            self._table.add(chunk, self._pairs, self._cells, counts)
            target_none += np.bincount(
                _words(self._target, chunk.target_offsets), target_by_none, minlength=self._target.n_types
            )
            source_none += np.bincount(
                _words(self._source, chunk.source_offsets), source_by_none, minlength=self._source.n_types
            )
        self._table.estimate(counts, ALPHA, self._probabilities)
        self._none_makes_target, self._none_makes_source = _shares(target_none), _shares(source_none)
        if self._model == posteriors.HMM:
            self._jump_weights = _jump_weights(jumps.sum(axis=0))
        n_words = len(self._target.words) + len(self._source.words)
        return float(target_none.sum() + source_none.sum()) / max(n_words, 1)

    def _expect(
        self, chunk: Chunk, jumps: NDArray[np.float64], *, agree: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Fill the cells with a chunk's posteriors; return those of its target and source words being made by none."""
        self._table.gather(chunk, self._target.words, self._probabilities, self._pairs, self._cells)
        target_by_none = np.empty(chunk.target_offsets[-1] - chunk.target_offsets[0], dtype=np.float32)
        source_by_none = np.empty(chunk.source_offsets[-1] - chunk.source_offsets[0], dtype=np.float32)
        run_parts(
            lambda part: posteriors.expect(
                part, self._model, agree, chunk.source_offsets, chunk.target_offsets, chunk.cell_offsets,
                self._source.words, self._target.words, self._none_makes_target, self._none_makes_source,
                self._jump_weights, self._cells, target_by_none, source_by_none, jumps,
            )
        )  # fmt: skip
        return target_by_none, source_by_none

    def _no_jumps(self) -> NDArray[np.float64]:
        return np.zeros((PARTS, 2, 2 * posteriors.MAX_JUMP + 1))


def align(
    pairs: Sequence[tuple[Sequence[str], Sequence[str]]], *, symmetrisation: Symmetrisation = "intersect"
) -> list[NDArray[np.int32]]:
    """Train on sentence pairs given as words and link them: one array of links [links, 2] per pair.

    Words are taken as they are; lower-case them first if their case should not count.
    """
    source, target = SideBuilder(), SideBuilder()
    for source_words, target_words in pairs:
        source.add(source_words)
        target.add(target_words)
    aligner = StatisticalAligner(source.side(), target.side())
    aligner.train()
    offsets, links = aligner.links(symmetrisation)
    return np.split(links, offsets[1:-1]) if pairs else []


def _words(side: Side, offsets: NDArray[np.int64]) -> NDArray[np.int32]:
    return side.words[offsets[0] : offsets[-1]]


def _shares(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Counts as shares of their sum, none of them quite zero."""
    return counts / max(float(counts.sum()), 1.0) + 1e-9


def _jump_weights(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights [2, jumps] for expected counts; the outermost weight stands for several jumps that share it."""
    weights = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0) + 1e-6
    weights[:, [0, -1]] /= FAR_JUMPS
    return weights


@njit(cache=True)
def _best(  # type: ignore[no-untyped-def]
    source_offsets, target_offsets, cell_offsets, cells, forward, backward
):
    for s in range(len(cell_offsets) - 1):
        n_source = source_offsets[s + 1] - source_offsets[s]
        n_target = target_offsets[s + 1] - target_offsets[s]
        best_of_target = np.full(n_target, np.float32(THRESHOLD))
        for j in range(n_target):
            forward[target_offsets[s] + j] = -1
        cell = cell_offsets[s]
        for i in range(n_source):
            best_of_source = np.float32(THRESHOLD)
            backward[source_offsets[s] + i] = -1
            for j in range(n_target):
                agreement = cells[0, cell]
                if agreement > best_of_source:
                    best_of_source = agreement
                    backward[source_offsets[s] + i] = j
                if agreement > best_of_target[j]:
                    best_of_target[j] = agreement
                    forward[target_offsets[s] + j] = i
                cell += 1
