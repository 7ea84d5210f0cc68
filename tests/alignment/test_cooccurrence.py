"""The pair table against plain Python sets and dictionaries."""

from __future__ import annotations

import math

import numpy as np
import pytest

from prealign import draws
from prealign.alignment.bitext import Side, cut_into_chunks
from prealign.alignment.cooccurrence import PairTable, exp_digamma

EULER = 0.5772156649015329


def random_side(name: str, n_sentences: int, n_types: int) -> Side:
    generator = draws.generator("test pair table", name)
    lengths = generator.integers(0, 6, n_sentences)
    words = generator.integers(0, n_types, lengths.sum()).astype(np.int32)
    return Side(words, np.concatenate([[0], np.cumsum(lengths)]), n_types)


SOURCE = random_side("source", 40, 12)
TARGET = random_side("target", 40, 9)


def words_of(side: Side, sentence: int) -> list[int]:
    return side.words[side.offsets[sentence] : side.offsets[sentence + 1]].tolist()


def rows(table: PairTable) -> list[list[int]]:
    return [table.targets[first:last].tolist() for first, last in zip(table.row_offsets[:-1], table.row_offsets[1:])]


def test_rows_hold_the_types_that_occur_together() -> None:
    together: list[set[int]] = [set() for _ in range(SOURCE.n_types)]
    for sentence in range(len(SOURCE)):
        for word in words_of(SOURCE, sentence):
            together[word] |= set(words_of(TARGET, sentence))
    assert rows(PairTable.build(SOURCE, TARGET)) == [sorted(types) for types in together]


@pytest.mark.parametrize("cells_per_chunk", [5, 10_000])
def test_gathering_and_adding_meet_every_cell(cells_per_chunk: int) -> None:
    table = PairTable.build(SOURCE, TARGET)
    values = np.arange(2 * len(table), dtype=np.float32).reshape(-1, 2)
    pair_of = {
        (source, target): int(table.row_offsets[source]) + place
        for source, row in enumerate(rows(table))
        for place, target in enumerate(row)
    }
    counts = np.zeros_like(values)
    expected = np.zeros_like(values)
    sentence = 0
    for chunk in cut_into_chunks(SOURCE, TARGET, cells_per_chunk):
        n_cells = int(chunk.cell_offsets[-1])
        pairs, cells = np.full(n_cells, -1, dtype=np.int32), np.empty((2, n_cells), dtype=np.float32)
        table.gather(chunk, TARGET.words, values, pairs, cells)
        wanted = []
        for _ in range(len(chunk.cell_offsets) - 1):
            wanted += [pair_of[i, j] for i in words_of(SOURCE, sentence) for j in words_of(TARGET, sentence)]
            sentence += 1
        assert pairs.tolist() == wanted
        assert np.array_equal(cells.T, values[pairs])
        table.add(chunk, pairs, cells, counts)
        np.add.at(expected, pairs, cells.T)
    assert np.array_equal(counts, expected)


def test_estimates_are_nearly_shares_of_large_counts() -> None:
    table = PairTable(np.array([0, 2, 3]), np.array([0, 1, 1], dtype=np.int32), 2)
    counts = np.array([[3000, 2000], [1000, 1000], [500, 3000]], dtype=np.float32)
    probabilities = np.empty_like(counts)
    table.estimate(counts, 0.01, probabilities)
    assert probabilities == pytest.approx(np.array([[0.75, 1.0], [0.25, 0.25], [1.0, 0.75]]), rel=2e-3)
    assert not counts.any()


def test_estimates_take_about_half_a_count_from_every_pair() -> None:
    table = PairTable(np.array([0, 2]), np.array([0, 1], dtype=np.int32), 2)
    probabilities = np.empty((2, 2), dtype=np.float32)
    table.estimate(np.array([[99.0, 1.0], [1.0, 1.0]], dtype=np.float32), 0.01, probabilities)
    # psi(1.01) = -0.5609, psi(100.02) = 4.6004
    assert probabilities[1, 0] == pytest.approx(math.exp(-0.5609 - 4.6004), rel=1e-3)


def test_exp_digamma_at_known_points() -> None:
    assert exp_digamma(1.0) == pytest.approx(math.exp(-EULER), rel=1e-7)
    assert exp_digamma(0.5) == pytest.approx(math.exp(-EULER) / 4, rel=1e-7)
    assert exp_digamma(2.0) == pytest.approx(math.exp(1 - EULER), rel=1e-7)
    assert exp_digamma(1e6) == pytest.approx(1e6 - 0.5, rel=1e-9)
    assert exp_digamma(0.001) == pytest.approx(0.0, abs=1e-300)
