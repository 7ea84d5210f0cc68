"""The built-in word aligner: which words of a sentence pair translate each other, learnt from the pairs alone.

Expectation maximisation of both directions side by side (`posteriors`): IBM 1 first, then with a prior for the
diagonal, then an HMM whose two directions learn from the product of their posteriors, so that they come to agree
(Liang, Taskar, Klein 2006). Rare words get a prior from words like them (`lexicon`), and their own link is left out of
the counts by which it is judged, as in a collapsed Gibbs sampler (the zeroth-order collapsed variational update of
Asuncion and others 2009).
Otherwise a word that occurs once would believe in whatever it was linked to first.

All is array work over co-occurring pairs of word types (`cooccurrence`), compiled and multi-threaded. There is no
randomness: the same text gives the same links at any number of threads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prealign.alignment import posteriors
from prealign.alignment.affixes import Classes, beginning, ending
from prealign.alignment.bitext import Side
from prealign.alignment.cooccurrence import PairTable
from prealign.alignment.expectation import CompiledEStep, EStep, Parameters
from prealign.alignment.lexicon import ALPHA, Lexicon
from prealign.alignment.links import Symmetrisation, symmetrise
from prealign.alignment.model import Model, numbers_of, of_known
from prealign.alignment.parallel_words import ParallelWords

log = logging.getLogger(__name__)

ROUNDS = (posteriors.IBM1, *[posteriors.DIAGONAL] * 2, *[posteriors.HMM] * 3)
"""The model of each round. The first does not look at the order of words: with the diagonal from the start a language
that swaps neighbours was learnt badly from little text, and gold sentences were linked no better. Five HMM rounds would
learn that language without error, but link gold sentences less well than three."""
FIRST_JUMPS = np.exp(-0.5 * np.abs(np.arange(-posteriors.MAX_JUMP, posteriors.MAX_JUMP + 1) - 1))
"""Jump weights before the first HMM round: a step forward by one is the most probable."""
FAR_JUMPS = 8.0
"""How many jumps the outermost weight stands for, roughly; sentences are too short for most of those beyond it."""


class StatisticalAligner:
    """Trains on a corpus and links its words."""

    def __init__(self, text: ParallelWords, e_step: Callable[[Side, Side, PairTable], EStep] = CompiledEStep) -> None:
        """e_step: what computes posteriors, made from both sides of the text and the table of their pairs."""
        source_order, target_order = text.source.by_frequency(), text.target.by_frequency()
        self._source, self._target = text.source.renumbered(source_order), text.target.renumbered(target_order)
        self._source_types = [text.source_types[place] for place in source_order]
        self._target_types = [text.target_types[place] for place in target_order]
        self._table = PairTable.build(self._source, self._target)
        beginnings, endings = (
            Classes.of(affix, self._source_types, self._target_types) for affix in (beginning, ending)
        )
        lexicon = Lexicon(self._table, self._source, self._target, beginnings, endings)
        made_by_none = _shares(self._target.frequencies()), _shares(self._source.frequencies())
        self._parameters = Parameters(lexicon, made_by_none, np.stack([FIRST_JUMPS, FIRST_JUMPS]))
        self._e_step = e_step(self._source, self._target, self._table)

    def train(self) -> None:
        """Run the rounds of all models, one after the other."""
        parameters = self._parameters
        counts = np.zeros_like(parameters.lexicon.masses)
        n_words = len(self._target.words) + len(self._source.words)
        for number, model in enumerate(ROUNDS, start=1):
            parameters.model = model
            expected = self._e_step.collect(parameters, counts)
            parameters.lexicon.estimate(counts)
            by_target, by_source = expected.by_none
            parameters.made_by_none = _shares(by_target), _shares(by_source)
            if model == posteriors.HMM:
                parameters.jump_weights = _jump_weights(expected.jumps)
            by_none = (by_target.sum() + by_source.sum()) / max(n_words, 1)
            log.debug("aligner: round %d of %d, words made by none: %.3f", number, len(ROUNDS), by_none)

    def model(self) -> Model:
        """What has been learnt, to be saved and applied to other text."""
        parameters, lexicon = self._parameters, self._parameters.lexicon
        return Model(
            self._source_types, self._target_types, self._table.row_offsets, self._table.targets, lexicon.masses,
            lexicon.source_totals, lexicon.target_totals, *parameters.made_by_none, parameters.jump_weights,
        ).pruned()  # fmt: skip

    def adopt(self, model: Model) -> None:
        """Link with what was learnt from other text, instead of training."""
        sources = numbers_of(self._source_types, model.source_types)
        targets = numbers_of(self._target_types, model.target_types)
        n_sources, n_targets = max(len(model.source_types), 1), max(len(model.target_types), 1)
        lexicon = self._parameters.lexicon
        lexicon.masses[:] = model.masses_of(self._table, sources, targets)
        lexicon.source_totals[:] = of_known(model.source_totals, sources, ALPHA * n_targets)
        lexicon.target_totals[:] = of_known(model.target_totals, targets, ALPHA * n_sources)
        made_by_none = (
            of_known(model.none_makes_target, targets, 1.0 / n_targets),
            of_known(model.none_makes_source, sources, 1.0 / n_sources),
        )
        self._parameters = Parameters(lexicon, made_by_none, model.jump_weights, posteriors.HMM)

    def links(self, symmetrisation: Symmetrisation) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """The links of the corpus: offsets [sentences + 1], links [links, 2]; see `links.symmetrise`."""
        forward, backward = self.directions()
        return symmetrise(forward, backward, self._source.offsets, self._target.offsets, symmetrisation)

    def directions(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The best partner of every word, -1 for none; see `EStep.directions`."""
        return self._e_step.directions(self._parameters)

    @staticmethod
    def signature() -> dict[str, Any]:
        """What a dictionary's card says of the aligner."""
        names = {posteriors.IBM1: "ibm1", posteriors.DIAGONAL: "diagonal", posteriors.HMM: "hmm"}
        models = ", ".join(f"{name} {ROUNDS.count(model)}" for model, name in names.items())
        return {"name": "statistical", "models": models}


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


def _shares(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Counts as shares of their sum, none of them quite zero."""
    return counts / max(float(counts.sum()), 1.0) + 1e-9


def _jump_weights(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights [2, jumps] for expected counts; the outermost weight stands for several jumps that share it."""
    weights = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0) + 1e-6
    weights[:, [0, -1]] /= FAR_JUMPS
    return weights
