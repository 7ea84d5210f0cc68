"""Links from a matrix of similarities between the tokens of two sentences.

The decisions of the neural aligners (`neural` computes the similarities), as pure functions. argmax and itermax are
those of SimAlign (Jalili Sabet, Dufter, Yvon, Schütze 2020, section 3), softmax that of awesome-align (Dou and Neubig
2021, section 2.2). SimAlign's third, a maximum weight matching ("match"), is left out: its cost grows with the cube of
the sentence length.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
"""[source tokens, target tokens], neither of them zero."""
ALPHA = 0.9
"""What itermax takes of a similarity where one of both tokens is linked already."""
ROUNDS = 2
"""Rounds of itermax, the first of which is argmax."""
SOFTMAX_THRESHOLD = 1e-3
"""Least probability of a link in both directions."""


def argmax(similarity: Matrix) -> NDArray[np.bool_]:
    """Link two tokens when each is the most similar of all to the other; of equals, the first."""
    rows, columns = similarity.shape
    to_column = np.zeros(similarity.shape, dtype=bool)
    to_column[np.arange(rows), similarity.argmax(axis=1)] = True
    to_row = np.zeros(similarity.shape, dtype=bool)
    to_row[similarity.argmax(axis=0), np.arange(columns)] = True
    return to_column & to_row


def itermax(similarity: Matrix) -> NDArray[np.bool_]:
    """Argmax, then argmax again among the pairs of which a token is still free.

    In later rounds a similarity counts whole where both tokens are free, ALPHA of it where one is, nothing where none
    is. As in the authors' program, it ends when one sentence has no free token left, and sentences of one or two tokens
    get argmax alone.

    Args:
        similarity: not negative, so that nothing is less than what does not count.
    """
    links = argmax(similarity)
    if min(similarity.shape) <= 2:
        return links
    for _ in range(ROUNDS - 1):
        taken_rows, taken_columns = np.any(links, axis=1, keepdims=True), np.any(links, axis=0, keepdims=True)
        if np.all(taken_rows) or np.all(taken_columns):
            break
        free = 2 - taken_rows.astype(np.int8) - taken_columns  # [rows, columns] how many of both tokens
        weighed = similarity * np.array([0.0, ALPHA, 1.0], dtype=np.float32)[free]
        more = argmax(weighed) & (free > 0)
        if not more.any():
            break
        links |= more
    return links


def softmax(products: Matrix) -> NDArray[np.bool_]:
    """Link two tokens when the softmax of the products over either sentence gives the pair more than the threshold.

    Args:
        products: dot products of the tokens' states.
    """
    return (_softmax(products, axis=1) > SOFTMAX_THRESHOLD) & (_softmax(products, axis=0) > SOFTMAX_THRESHOLD)


def _softmax(products: Matrix, axis: int) -> Matrix:
    powers = np.exp(products - products.max(axis=axis, keepdims=True))
    probabilities: Matrix = powers / powers.sum(axis=axis, keepdims=True)
    return probabilities


def linked_words(
    tokens: NDArray[np.integer], source_words: NDArray[np.int32], target_words: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Links between tokens [links, 2] as links between words [links, 2], sorted, each once: any link of tokens counts.

    source_words, target_words: [tokens] the position of the word that each token is a part of.
    """
    words = np.stack([source_words[tokens[:, 0]], target_words[tokens[:, 1]]], axis=1)
    return np.unique(words, axis=0).astype(np.int32)
