"""The pair table against plain Python sets and dictionaries."""

from __future__ import annotations

import numpy as np
import pytest

from prealign import draws
from prealign.alignment.bitext import Side, cut_into_chunks
from prealign.alignment.cooccurrence import PairTable


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
    source_totals = np.arange(1, SOURCE.n_types + 1, dtype=np.float32)
    target_totals = np.arange(1, TARGET.n_types + 1, dtype=np.float32)
    counts = np.zeros_like(values)
    expected = np.zeros_like(values)
    sentence = 0
    for chunk in cut_into_chunks(SOURCE, TARGET, cells_per_chunk):
        n_cells = int(chunk.cell_offsets[-1])
        pairs, cells = np.full(n_cells, -1, dtype=np.int32), np.empty((2, n_cells), dtype=np.float32)
        table.gather(chunk, TARGET.words, values, source_totals, target_totals, pairs, cells)
        wanted, totals = [], []
        for _ in range(len(chunk.cell_offsets) - 1):
            for i in words_of(SOURCE, sentence):
                for j in words_of(TARGET, sentence):
                    wanted.append(pair_of[i, j])
                    totals.append((i + 1, j + 1))
            sentence += 1
        assert pairs.tolist() == wanted
        np.testing.assert_allclose(cells.T, values[pairs] / np.reshape(totals, (-1, 2)), rtol=1e-6)
        table.add(chunk, pairs, cells, counts)
        np.add.at(expected, pairs, cells.T)
    assert np.array_equal(counts, expected)
