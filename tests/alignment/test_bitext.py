"""The corpus as arrays: numbering, ranking, chunks."""

from __future__ import annotations

import numpy as np

from prealign.alignment.bitext import Side, SideBuilder, cut_into_chunks


def side(*sentences: str) -> Side:
    builder = SideBuilder()
    for sentence in sentences:
        builder.add(sentence.split())
    return builder.side()


def test_words_are_numbered_in_order_of_appearance() -> None:
    built = side("a b a", "", "c b")
    assert built.words.tolist() == [0, 1, 0, 2, 1]
    assert built.offsets.tolist() == [0, 3, 3, 5]
    assert (len(built), built.n_types) == (3, 3)


def test_renumbering_puts_the_most_frequent_first_and_keeps_the_order_of_equals() -> None:
    built = side("a b c c b c d")
    order = built.by_frequency()
    assert order.tolist() == [2, 1, 0, 3]  # c three times, b twice, a and d once
    assert built.renumbered(order).words.tolist() == [2, 1, 0, 0, 1, 0, 3]


def test_chunks_cover_every_cell_once() -> None:
    source = side("a b", "b", "", "a a c", "c")
    target = side("x y z", "x", "y", "z x", "y y")
    for cells_per_chunk in (1, 7, 1000):
        seen = 0
        for chunk in cut_into_chunks(source, target, cells_per_chunk):
            first = seen
            lengths = zip(np.diff(chunk.source_offsets), np.diff(chunk.target_offsets))
            assert np.diff(chunk.cell_offsets).tolist() == [rows * columns for rows, columns in lengths]
            seen += len(chunk.cell_offsets) - 1
            # Every row of cells is listed once, under the type of its word.
            listed = {}
            for place, word_type in enumerate(chunk.types.tolist()):
                for row in range(chunk.type_offsets[place], chunk.type_offsets[place + 1]):
                    listed[int(chunk.row_cells[row]), int(chunk.row_sentences[row])] = word_type
            expected = {}
            for sentence in range(first, seen):
                words = source.words[source.offsets[sentence] : source.offsets[sentence + 1]]
                columns = int(target.offsets[sentence + 1] - target.offsets[sentence])
                for i, word in enumerate(words.tolist()):
                    expected[int(chunk.cell_offsets[sentence - first]) + i * columns, sentence - first] = word
            assert listed == expected
        assert seen == len(source)


def test_an_empty_corpus_has_no_chunks() -> None:
    assert cut_into_chunks(side(), side(), 10) == []
