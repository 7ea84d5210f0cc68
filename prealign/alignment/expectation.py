"""The E-step of the built-in aligner over a whole corpus, chunk by chunk, compiled and multi-threaded.

`statistical` holds the parameters and the order of the rounds; here they meet the text. `posteriors` has the models,
`expectation_torch` does the same work on a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from prealign.alignment import posteriors
from prealign.alignment.bitext import Side, cut_into_chunks
from prealign.alignment.cooccurrence import PairTable
from prealign.alignment.lexicon import Lexicon
from prealign.alignment.parts import PARTS, run_parts

CELLS_PER_CHUNK = 2_000_000
"""Cells in memory at once, 12 bytes each; smaller chunks read the rows of the pair table more often."""
RARE = 16.0
"""Mass of a pair below which a word's own link is left out; one link in more makes little difference."""
NOTEWORTHY = 1 / 256
"""Least posterior that is left out. At 1/32 error rates rise by almost one point."""
LEAST_MASS = np.float32(1e-6)
"""What is left of a mass at least, against rounding."""
THRESHOLD = 0.05
"""Least product of both posteriors of a link."""
FORWARD, BACKWARD = 0, 1
"""The two directions: in the first the source words make the target words."""


@dataclass(slots=True)
class Parameters:
    """What the E-step reads and the M-step sets. Pairs of values are for FORWARD and BACKWARD."""

    lexicon: Lexicon
    made_by_none: tuple[NDArray[np.float64], NDArray[np.float64]]
    """[target types] and [source types] probability of each among the words that are made by none"""
    jump_weights: NDArray[np.float64]
    """[2, jumps], see `posteriors`"""
    model: int = posteriors.IBM1
    """The model of this round."""

    @property
    def agree(self) -> bool:
        """Whether both directions learn from the product of their posteriors."""
        return self.model == posteriors.HMM


class Expected(NamedTuple):
    """Expected counts of one round, but those of pairs of types."""

    by_none: tuple[NDArray[np.float64], NDArray[np.float64]]
    """[target types] and [source types] how often a word of each was made by none"""
    jumps: NDArray[np.float64]
    """[2, jumps], zero unless the model is the HMM"""


class EStep(Protocol):
    """The posteriors of a corpus, on some device."""

    def collect(self, parameters: Parameters, counts: NDArray[np.float32]) -> Expected:
        """Add the expected links to `counts` [pairs, 2]; return what else is counted.

        With the HMM the links of rare pairs are remembered, to be left out the next time.
        """

    def directions(self, parameters: Parameters) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The best partner of every word, -1 for none: forward [target words], backward [source words].

        A partner is the position of a word in the other sentence. Both directions look at the product of the two
        posteriors and take the best cell of their column or row if it exceeds THRESHOLD.
        """


class CompiledEStep:
    """On the CPU: `posteriors.expect` on the cells of one chunk after the other."""

    def __init__(self, source: Side, target: Side, table: PairTable) -> None:
        self._source, self._target, self._table = source, target, table
        self._chunks = cut_into_chunks(source, target, CELLS_PER_CHUNK)
        self._own_links = [(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)) for _ in self._chunks]
        largest = max((int(chunk.cell_offsets[-1]) for chunk in self._chunks), default=0)
        self._pairs = np.empty(largest, dtype=np.int32)
        self._cells = np.empty((2, largest), dtype=np.float32)

    def collect(self, parameters: Parameters, counts: NDArray[np.float32]) -> Expected:
        """See `EStep.collect`."""
        target_none, source_none = np.zeros(self._target.n_types), np.zeros(self._source.n_types)
        jumps = _no_jumps()
        for number, chunk in enumerate(self._chunks):
            target_by_none, source_by_none = self._expect(number, parameters, jumps, agree=parameters.agree)
            self._table.add(chunk, self._pairs, self._cells, counts)
            if parameters.agree:
                self._own_links[number] = self._links_of_rare_pairs(parameters.lexicon, int(chunk.cell_offsets[-1]))
            target_none += _sums_of_types(self._target, chunk.target_offsets, target_by_none)
            source_none += _sums_of_types(self._source, chunk.source_offsets, source_by_none)
        return Expected((target_none, source_none), jumps.sum(axis=0))

    def directions(self, parameters: Parameters) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """See `EStep.directions`."""
        forward = np.empty(len(self._target.words), dtype=np.int32)
        backward = np.empty(len(self._source.words), dtype=np.int32)
        jumps = _no_jumps()
        for number, chunk in enumerate(self._chunks):
            self._expect(number, parameters, jumps, agree=True)
            _best(chunk.source_offsets, chunk.target_offsets, chunk.cell_offsets, self._cells, forward, backward)
        return forward, backward

    def _expect(
        self, number: int, parameters: Parameters, jumps: NDArray[np.float64], *, agree: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Fill the cells with a chunk's posteriors; return those of its target and source words being made by none."""
        chunk, lexicon = self._chunks[number], parameters.lexicon
        self._table.gather(
            chunk, self._target.words, lexicon.masses, lexicon.source_totals, lexicon.target_totals,
            self._pairs, self._cells,
        )  # fmt: skip
        self._leave_out(lexicon, *self._own_links[number])
        target_by_none = np.empty(chunk.target_offsets[-1] - chunk.target_offsets[0], dtype=np.float32)
        source_by_none = np.empty(chunk.source_offsets[-1] - chunk.source_offsets[0], dtype=np.float32)
        run_parts(
            lambda part: posteriors.expect(
                part, parameters.model, agree, chunk.source_offsets, chunk.target_offsets, chunk.cell_offsets,
                self._source.words, self._target.words, *parameters.made_by_none, parameters.jump_weights,
                self._cells, target_by_none, source_by_none, jumps,
            )
        )  # fmt: skip
        return target_by_none, source_by_none

    def _links_of_rare_pairs(self, lexicon: Lexicon, n_cells: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The cells of a rare pair that hold a noteworthy posterior, and these posteriors."""
        cells = np.flatnonzero(self._cells[0, :n_cells] > NOTEWORTHY)
        cells = cells[lexicon.masses[self._pairs[cells], 0] < RARE]
        return cells, self._cells[0, cells]

    def _leave_out(self, lexicon: Lexicon, cells: NDArray[np.int64], links: NDArray[np.float32]) -> None:
        """Take from the probability m / n of a cell what the cell itself gave: (m - link) / (n - link)."""
        for probabilities, masses in zip(self._cells, lexicon.masses[self._pairs[cells]].T):
            totals = masses / probabilities[cells]
            probabilities[cells] = np.maximum(masses - links, LEAST_MASS) / (totals - links)


def _no_jumps() -> NDArray[np.float64]:
    return np.zeros((PARTS, 2, 2 * posteriors.MAX_JUMP + 1))


def _sums_of_types(side: Side, offsets: NDArray[np.int64], values: NDArray[np.float32]) -> NDArray[Any]:
    """[types] sums of values [words of a chunk]; `offsets` are the chunk's into the words."""
    return np.bincount(side.words[offsets[0] : offsets[-1]], values, minlength=side.n_types)


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
