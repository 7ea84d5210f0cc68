"""The built-in word aligner: which words of a sentence pair translate each other, learnt from the pairs alone.

Expectation maximisation of both directions side by side: first IBM 1 with a prior for the diagonal (`posteriors`), then
an HMM whose two directions learn from the product of their posteriors, so that they come to agree (Liang, Taskar, Klein
2006). Rare words get a prior from words like them (`lexicon`), and their own link is left out of the counts by which it
is judged, as in a collapsed Gibbs sampler (the zeroth-order collapsed variational update of Asuncion and others 2009).
Otherwise a word that occurs once would believe in whatever it was linked to first.

All is array work over co-occurring pairs of word types (`cooccurrence`), compiled and multi-threaded. There is no
randomness: the same text gives the same links at any number of threads.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from prealign.alignment import posteriors
from prealign.alignment.affixes import Classes, beginning, ending
from prealign.alignment.bitext import Side, cut_into_chunks
from prealign.alignment.cooccurrence import PairTable
from prealign.alignment.lexicon import ALPHA, Lexicon
from prealign.alignment.links import Symmetrisation, symmetrise
from prealign.alignment.model import Model, numbers_of, of_known
from prealign.alignment.parallel_words import ParallelWords
from prealign.alignment.parts import PARTS, run_parts

log = logging.getLogger(__name__)

CELLS_PER_CHUNK = 2_000_000
"""Cells in memory at once, 12 bytes each; smaller chunks read the rows of the pair table more often."""
DIAGONAL_ROUNDS = 3
HMM_ROUNDS = 3
RARE = 16.0
"""Mass of a pair below which a word's own link is left out; one link in more makes little difference."""
NOTEWORTHY = 1 / 256
"""Least posterior that is left out. At 1/32 error rates rise by almost one point."""
LEAST_MASS = np.float32(1e-6)
"""What is left of a mass at least, against rounding."""
THRESHOLD = 0.05
"""Least product of both posteriors of a link."""
FIRST_JUMPS = np.exp(-0.5 * np.abs(np.arange(-posteriors.MAX_JUMP, posteriors.MAX_JUMP + 1) - 1))
"""Jump weights before the first HMM round: a step forward by one is the most probable."""
FAR_JUMPS = 8.0
"""How many jumps the outermost weight stands for, roughly; sentences are too short for most of those beyond it."""


class StatisticalAligner:
    """Trains on a corpus and links its words."""

    def __init__(self, text: ParallelWords) -> None:
        source_order, target_order = text.source.by_frequency(), text.target.by_frequency()
        self._source, self._target = text.source.renumbered(source_order), text.target.renumbered(target_order)
        self._source_types = [text.source_types[place] for place in source_order]
        self._target_types = [text.target_types[place] for place in target_order]
        self._table = PairTable.build(self._source, self._target)
        beginnings, endings = (
            Classes.of(affix, self._source_types, self._target_types) for affix in (beginning, ending)
        )
        self._lexicon = Lexicon(self._table, self._source, self._target, beginnings, endings)
        self._chunks = cut_into_chunks(self._source, self._target, CELLS_PER_CHUNK)
        self._own_links = [(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)) for _ in self._chunks]
        self._none_makes_target = _shares(self._target.frequencies())
        self._none_makes_source = _shares(self._source.frequencies())
        self._jump_weights = np.stack([FIRST_JUMPS, FIRST_JUMPS])
        self._model = posteriors.DIAGONAL
        largest = max((int(chunk.cell_offsets[-1]) for chunk in self._chunks), default=0)
        self._pairs = np.empty(largest, dtype=np.int32)
        self._cells = np.empty((2, largest), dtype=np.float32)

    def train(self) -> None:
        """Run the rounds of both models, one after the other."""
        counts = np.zeros_like(self._lexicon.masses)
        models = [posteriors.DIAGONAL] * DIAGONAL_ROUNDS + [posteriors.HMM] * HMM_ROUNDS
        for number, self._model in enumerate(models, start=1):
            by_none = self._round(counts)
            log.debug("aligner: round %d of %d, words made by none: %.3f", number, len(models), by_none)

    def model(self) -> Model:
        """What has been learnt, to be saved and applied to other text."""
        lexicon = self._lexicon
        return Model(
            self._source_types, self._target_types, self._table.row_offsets, self._table.targets, lexicon.masses,
            lexicon.source_totals, lexicon.target_totals, self._none_makes_target, self._none_makes_source,
            self._jump_weights,
        ).pruned()  # fmt: skip

    def adopt(self, model: Model) -> None:
        """Link with what was learnt from other text, instead of training."""
        sources = numbers_of(self._source_types, model.source_types)
        targets = numbers_of(self._target_types, model.target_types)
        self._lexicon.masses[:] = model.masses_of(self._table, sources, targets)
        self._lexicon.source_totals[:] = of_known(model.source_totals, sources, ALPHA * max(len(model.target_types), 1))
        self._lexicon.target_totals[:] = of_known(model.target_totals, targets, ALPHA * max(len(model.source_types), 1))
        self._none_makes_target = of_known(model.none_makes_target, targets, 1.0 / max(len(model.target_types), 1))
        self._none_makes_source = of_known(model.none_makes_source, sources, 1.0 / max(len(model.source_types), 1))
        self._jump_weights = model.jump_weights
        self._model = posteriors.HMM

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
        for number, chunk in enumerate(self._chunks):
            self._expect(number, jumps, agree=True)
            _best(chunk.source_offsets, chunk.target_offsets, chunk.cell_offsets, self._cells, forward, backward)
        return forward, backward

    @staticmethod
    def signature() -> dict[str, Any]:
        """What a dictionary's card says of the aligner."""
        return {"name": "statistical", "models": f"diagonal {DIAGONAL_ROUNDS}, hmm {HMM_ROUNDS}"}

    def _round(self, counts: NDArray[np.float32]) -> float:
        """One round of EM; `counts` [pairs, 2] is zero before and after. Returns the share of words made by none."""
        target_none = np.zeros(self._target.n_types)
        source_none = np.zeros(self._source.n_types)
        jumps = self._no_jumps()
        agree = self._model == posteriors.HMM
        for number, chunk in enumerate(self._chunks):
            target_by_none, source_by_none = self._expect(number, jumps, agree=agree)
            self._table.add(chunk, self._pairs, self._cells, counts)
            if agree:
                self._own_links[number] = self._links_of_rare_pairs(int(chunk.cell_offsets[-1]))
            target_none += np.bincount(
                _words(self._target, chunk.target_offsets), target_by_none, minlength=self._target.n_types
            )
            source_none += np.bincount(
                _words(self._source, chunk.source_offsets), source_by_none, minlength=self._source.n_types
            )
        self._lexicon.estimate(counts)
        self._none_makes_target, self._none_makes_source = _shares(target_none), _shares(source_none)
        if self._model == posteriors.HMM:
            self._jump_weights = _jump_weights(jumps.sum(axis=0))
        n_words = len(self._target.words) + len(self._source.words)
        return float(target_none.sum() + source_none.sum()) / max(n_words, 1)

    def _expect(
        self, number: int, jumps: NDArray[np.float64], *, agree: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Fill the cells with a chunk's posteriors; return those of its target and source words being made by none."""
        chunk, lexicon = self._chunks[number], self._lexicon
        self._table.gather(
            chunk, self._target.words, lexicon.masses, lexicon.source_totals, lexicon.target_totals,
            self._pairs, self._cells,
        )  # fmt: skip
        self._leave_out(*self._own_links[number])
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

    def _links_of_rare_pairs(self, n_cells: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The cells of a rare pair that hold a noteworthy posterior, and these posteriors."""
        cells = np.flatnonzero(self._cells[0, :n_cells] > NOTEWORTHY)
        cells = cells[self._lexicon.masses[self._pairs[cells], 0] < RARE]
        return cells, self._cells[0, cells]

    def _leave_out(self, cells: NDArray[np.int64], links: NDArray[np.float32]) -> None:
        """Take from the probability m / n of a cell what the cell itself gave: (m - link) / (n - link)."""
        for probabilities, masses in zip(self._cells, self._lexicon.masses[self._pairs[cells]].T):
            totals = masses / probabilities[cells]
            probabilities[cells] = np.maximum(masses - links, LEAST_MASS) / (totals - links)

    def _no_jumps(self) -> NDArray[np.float64]:
        return np.zeros((PARTS, 2, 2 * posteriors.MAX_JUMP + 1))


def align(
    pairs: Sequence[tuple[Sequence[str], Sequence[str]]], *, symmetrisation: Symmetrisation = "intersect"
) -> list[NDArray[np.int32]]:
    """Train on sentence pairs given as words and link them: one array of links [links, 2] per pair.

    Words are taken as they are; lower-case them first if their case should not count.
    """
    aligner = StatisticalAligner(ParallelWords.of(pairs))
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
