"""Which tokens are linked: small matrices decided by hand, and what holds for any matrix."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from prealign.alignment import matching


def links(decided: np.ndarray) -> list[list[int]]:
    return np.argwhere(decided).tolist()


def matrix(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


ONE_IS_FREE = matrix(
    [0.9, 0.2, 0.1, 0.0],
    [0.8, 0.5, 0.1, 0.0],  # likes column 0, which row 0 has
    [0.1, 0.2, 0.7, 0.6],
)
SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=7)
MATRICES = arrays(np.float32, SHAPES, elements=st.floats(0, 1, width=16))


def test_argmax_wants_both_to_choose_each_other() -> None:
    assert links(matching.argmax(ONE_IS_FREE)) == [[0, 0], [2, 2]]
    assert links(matching.argmax(matrix([0.5, 0.5], [0.5, 0.5]))) == [[0, 0]]  # of equals, the first
    assert links(matching.argmax(matrix([0.3]))) == [[0, 0]]


def test_itermax_goes_on_among_the_free() -> None:
    # Row 1: column 0 is taken and counts 0.72, column 1 is free but counts 0.5: both want column 0 of row 0, which is
    # taken twice over, so the best of row 1 is column 0, and the best of column 0 among the free rows is row 1.
    assert links(matching.itermax(ONE_IS_FREE)) == [[0, 0], [1, 0], [2, 2], [2, 3]]
    free_pair = matrix([0.9, 0.2, 0.1], [0.55, 0.5, 0.1], [0.1, 0.2, 0.7])
    assert links(matching.argmax(free_pair)) == [[0, 0], [2, 2]]
    assert links(matching.itermax(free_pair)) == [[0, 0], [1, 1], [2, 2]]  # 0.5 beats 0.9 x 0.55


def test_itermax_of_two_words_is_argmax() -> None:
    two = matrix([0.9, 0.2, 0.1], [0.8, 0.7, 0.1])
    assert links(matching.itermax(two)) == links(matching.argmax(two)) == [[0, 0]]


def test_softmax_links_what_is_probable_from_both_sides() -> None:
    products = matrix([10.0, 0.0], [9.0, 0.0])  # column 1: even, but seen from the rows it has e^-9 and less
    assert links(matching.softmax(products)) == [[0, 0], [1, 0]]
    products = matrix([10.0, 2.0], [0.0, 9.0])
    assert links(matching.softmax(products)) == [[0, 0], [1, 1]]
    assert links(matching.softmax(matrix([1e4, -1e4]))) == [[0, 0]]


@given(MATRICES)
def test_any_matrix(similarity: np.ndarray) -> None:
    one, more = matching.argmax(similarity), matching.itermax(similarity)
    assert one.any()  # the greatest of all is a link
    assert one.sum(axis=0).max() <= 1
    assert one.sum(axis=1).max() <= 1
    assert not (one & ~more).any()
    for row, column in np.argwhere(more & ~one):
        assert not one[row].any() or not one[:, column].any()  # one of both was free


@given(MATRICES)
def test_softmax_as_a_loop(products: np.ndarray) -> None:
    powers = np.exp(10.0 * products.astype(np.float64))
    expected = [
        [row, column]
        for row in range(products.shape[0])
        for column in range(products.shape[1])
        if min(
            powers[row, column] / sum(powers[row, k] for k in range(products.shape[1])),
            powers[row, column] / sum(powers[k, column] for k in range(products.shape[0])),
        )
        > 0.001
    ]
    assert links(matching.softmax(10.0 * products)) == expected


def test_words_are_linked_when_any_of_their_tokens_are() -> None:
    source, target = np.array([0, 0, 1, 2], dtype=np.int32), np.array([0, 1, 1], dtype=np.int32)
    tokens = np.array([[1, 2], [0, 1], [3, 0]])
    assert matching.linked_words(tokens, source, target).tolist() == [[0, 1], [2, 0]]
    assert matching.linked_words(np.empty((0, 2), dtype=np.int64), source, target).shape == (0, 2)
