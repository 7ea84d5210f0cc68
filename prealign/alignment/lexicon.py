"""The translation probabilities of both directions, estimated from expected counts: the aligner's M-step.

Most word types are rare, and what a rare word translates to is decided by the prior. Here the prior of a pair comes
from the other pairs of the same classes, words that begin or end alike: that "prends" was seen with "take" speaks for
"prenez" with "takes". With c the expected counts, E and F the classes of e and f, and s(f) the share of f among
the occurrences of its class, the mass of a pair is

    m(e, f) = c(e, f) + ALPHA + sum over the two kinds of classes of s(f) (BACK_OFF q(F | e) + COGNATE [E = F])
    q(F | e) = (c(E, F) - c(e, f)) / (c(E) - c(e) + CAUTION)

(COGNATE for beginnings only), and p(f | e) is its share of the masses of e, where a pair that never occurs has ALPHA.
The pair's own count is left out of q, for a count must not vouch for itself. Smoothing by pseudo-counts from a coarser
distribution follows MacKay and Peto (1995).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from prealign.alignment.affixes import Classes
from prealign.alignment.bitext import Side, starts_of
from prealign.alignment.cooccurrence import PairTable
from prealign.alignment.parts import PARTS, run_parts

ALPHA = 0.001
"""Mass of any pair at all."""
BACK_OFF = 6.0
"""How many counts the other pairs of both classes are worth."""
COGNATE = 0.5
"""How many counts it is worth that two words begin alike."""
CAUTION = 3.0
"""How many counts of a class weigh as much as having seen nothing."""


class Lexicon:
    """p(target | source) and p(source | target) of every pair of a table, kept as masses and totals.

    A probability is the pair's mass over the total of its type; kept apart, so that a word's own link can be left out
    of both.
    """

    masses: NDArray[np.float32]
    """[pairs, 2]"""
    source_totals: NDArray[np.float32]
    """[source types]"""
    target_totals: NDArray[np.float32]
    """[target types]"""

    def __init__(self, table: PairTable, source: Side, target: Side, beginnings: Classes, endings: Classes) -> None:
        """All translations are equally probable at first."""
        self._table = table
        self._priors = [
            _Prior(beginnings, source.frequencies(), target.frequencies(), COGNATE),
            _Prior(endings, source.frequencies(), target.frequencies(), 0.0),
        ]
        # The masses of pairs that never occur. A word whose sentences have an empty other side may have no pair at all.
        met_by_source = np.diff(table.row_offsets)
        met_by_target = np.bincount(table.targets, minlength=target.n_types)
        self._source_rest = ALPHA * np.maximum(target.n_types - met_by_source, 1)
        self._target_rest = ALPHA * np.maximum(source.n_types - met_by_target, 1)
        self.masses = np.ones((len(table), 2), dtype=np.float32)
        self.source_totals = np.full(source.n_types, max(target.n_types, 1), dtype=np.float32)
        self.target_totals = np.full(target.n_types, max(source.n_types, 1), dtype=np.float32)

    def estimate(self, counts: NDArray[np.float32]) -> None:
        """Set masses and totals from expected counts [pairs, 2], which are set to zero for the next round."""
        source_counts, target_counts = self._sums_of_types(counts)
        np.add(counts, np.float32(ALPHA), out=self.masses)
        for prior in self._priors:
            prior.add(self._table, counts, source_counts, target_counts, self.masses)
        counts[:] = 0.0
        source_masses, target_masses = self._sums_of_types(self.masses)
        self.source_totals[:] = source_masses + self._source_rest
        self.target_totals[:] = target_masses + self._target_rest

    def _sums_of_types(self, values: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The sums of values [pairs, 2]: of the first column for every source type, of the second for target types."""
        of_sources, of_targets = np.zeros(len(self.source_totals)), np.zeros(len(self.target_totals))
        _add_up(self._table.row_offsets, self._table.targets, values, of_sources, of_targets)
        return of_sources, of_targets


class _Prior:
    """What one kind of classes adds to the masses."""

    def __init__(
        self,
        classes: Classes,
        source_frequencies: NDArray[np.int64],
        target_frequencies: NDArray[np.int64],
        cognate: float,
    ) -> None:
        self._classes, self._cognate = classes, cognate
        self._n_classes = int(max(classes.source.max(initial=-1), classes.target.max(initial=-1))) + 1
        self._by_class = np.argsort(classes.source, kind="stable")
        self._class_offsets = starts_of(np.bincount(classes.source, minlength=self._n_classes))
        self._source_shares = _share_of_class(source_frequencies, classes.source)
        self._target_shares = _share_of_class(target_frequencies, classes.target)

    def add(
        self,
        table: PairTable,
        counts: NDArray[np.float32],
        source_counts: NDArray[np.float64],
        target_counts: NDArray[np.float64],
        masses: NDArray[np.float32],
    ) -> None:
        """Add to the masses [pairs, 2] what the counts of the other pairs [pairs, 2] say."""
        source_weights = self._weights(source_counts, self._classes.source)
        target_weights = self._weights(target_counts, self._classes.target)
        run_parts(
            lambda part: _add_prior(
                part, self._class_offsets, self._by_class, self._classes.target, table.row_offsets, table.targets,
                self._source_shares, self._target_shares, source_weights, target_weights, self._cognate, counts, masses,
            )
        )  # fmt: skip

    def _weights(self, counts: NDArray[np.float64], classes: NDArray[np.int32]) -> NDArray[np.float64]:
        """[types] BACK_OFF / (c(E) - c(e) + CAUTION) from the counts of the types."""
        others = np.bincount(classes, counts, minlength=self._n_classes)[classes] - counts
        return BACK_OFF / (np.maximum(others, 0.0) + CAUTION)


def _share_of_class(frequencies: NDArray[np.int64], classes: NDArray[np.int32]) -> NDArray[np.float64]:
    """[types] how much of its class's occurrences a type has."""
    return frequencies / np.maximum(np.bincount(classes, frequencies)[classes], 1.0)


@njit(cache=True)
def _add_up(row_offsets, row_targets, counts, source_counts, target_counts):  # type: ignore[no-untyped-def]
    for source in range(len(row_offsets) - 1):
        for pair in range(row_offsets[source], row_offsets[source + 1]):
            source_counts[source] += counts[pair, 0]
            target_counts[row_targets[pair]] += counts[pair, 1]


@njit(cache=True, nogil=True)
def _add_prior(  # type: ignore[no-untyped-def]
    part, class_offsets, by_class, target_classes, row_offsets, row_targets, source_shares, target_shares,
    source_weights, target_weights, cognate, counts, masses,
):  # fmt: skip
    """Add the prior to all pairs whose source class falls to this part; class after class, so that sums are dense."""
    sums = np.zeros((len(class_offsets) - 1, 2))  # c(E, F) in both directions, for one source class E at a time
    for source_class in range(part, len(class_offsets) - 1, PARTS):
        members = by_class[class_offsets[source_class] : class_offsets[source_class + 1]]
        for source in members:
            for pair in range(row_offsets[source], row_offsets[source + 1]):
                target_class = target_classes[row_targets[pair]]
                sums[target_class, 0] += counts[pair, 0]
                sums[target_class, 1] += counts[pair, 1]
        for source in members:
            for pair in range(row_offsets[source], row_offsets[source + 1]):
                target = row_targets[pair]
                target_class = target_classes[target]
                alike = cognate if target_class == source_class else 0.0
                forward = max(sums[target_class, 0] - counts[pair, 0], 0.0) * source_weights[source] + alike
                backward = max(sums[target_class, 1] - counts[pair, 1], 0.0) * target_weights[target] + alike
                masses[pair, 0] += target_shares[target] * forward
                masses[pair, 1] += source_shares[source] * backward
        for source in members:
            for target in row_targets[row_offsets[source] : row_offsets[source + 1]]:
                sums[target_classes[target]] = 0.0
