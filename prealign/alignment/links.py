"""Word links: reading and writing them, and joining two directions.

A link (i, j) says that source word i and target word j translate each other. An aligner gives two directions:
`forward` names for each target word the source word that made it, `backward` the reverse; `symmetrise` joins them.
Text form is Pharaoh's: `0-0 1-2`, counted from 0, one sentence per line.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numba import njit
from numpy.typing import NDArray

from prealign.errors import PrealignError

Symmetrisation = Literal["intersect", "union", "grow-diag", "grow-diag-final-and"]
METHODS: tuple[Symmetrisation, ...] = get_args(Symmetrisation)
UNLINKED = -1
LAST_WORD = np.iinfo(np.int32).max
INTERSECT, UNION, GROW_DIAG, GROW_DIAG_FINAL_AND = range(4)
"""The methods as numbers for the compiled code, in the order of `METHODS`."""


def parse_pharaoh(line: str, source_words: int | None = None, target_words: int | None = None) -> NDArray[np.int32]:
    """Links [links, 2] of one line such as `0-0 1-2`, in the order of the line.

    Args:
        source_words, target_words: the sentence's lengths; a link outside them is an error.
    """
    links = []
    for item in line.split():
        source, dash, target = item.partition("-")
        if not (dash and source.isdecimal() and target.isdecimal()):
            raise PrealignError(f"{item!r} is not a link; links are written as source-target, such as 0-0 1-2.")
        links.append((int(source), int(target)))
    for column, words, side in ((0, source_words, "source"), (1, target_words, "target")):
        last = max((link[column] for link in links), default=-1)
        if words is not None and last >= words:
            raise PrealignError(
                f"a link names {side} word {last}, but the sentence has {words} words, and they count from 0."
            )
        if last > LAST_WORD:
            raise PrealignError(f"a link names {side} word {last}, and no sentence has so many.")
    return np.array(links, dtype=np.int32).reshape(-1, 2)


def format_pharaoh(links: NDArray[np.int32]) -> str:
    """The line for links [links, 2]: `0-0 1-2`."""
    return " ".join(f"{source}-{target}" for source, target in links.tolist())


def symmetrise(
    forward: NDArray[np.int32],
    backward: NDArray[np.int32],
    source_offsets: NDArray[np.int64],
    target_offsets: NDArray[np.int64],
    method: Symmetrisation,
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Join the two directions of a whole corpus.

    intersect: links of both; union: links of either; grow-diag: the intersection, grown step by step by links of the
    union that touch a link (also diagonally) and give a word its first link; grow-diag-final-and: then also links of
    either direction between two words that have none (Koehn, Och, Marcu 2003; Koehn and others 2005).

    Args:
        forward: [target words of the corpus] position in the sentence of the linked source word, or -1.
        backward: [source words of the corpus] position of the linked target word, or -1.
        source_offsets, target_offsets: [sentences + 1] where each sentence's words begin.
    Returns:
        offsets [sentences + 1] and links [links, 2] sorted by source, then target; sentence s has
        links[offsets[s]:offsets[s + 1]].
    """
    if method not in METHODS:
        raise PrealignError(f"{method!r} is no way to join two directions; use one of: {', '.join(METHODS)}.")
    links = np.empty((len(forward) + len(backward), 2), dtype=np.int32)  # the union can be no larger
    offsets = np.zeros(len(source_offsets), dtype=np.int64)
    total = _symmetrise(forward, backward, source_offsets, target_offsets, METHODS.index(method), offsets, links)
    return offsets, links[:total].copy()


@njit(cache=True)
def _symmetrise(forward, backward, source_offsets, target_offsets, method, offsets, links):  # type: ignore[no-untyped-def]
    total = 0
    for sentence in range(len(offsets) - 1):
        ahead = forward[target_offsets[sentence] : target_offsets[sentence + 1]]
        back = backward[source_offsets[sentence] : source_offsets[sentence + 1]]
        rows, columns = len(back), len(ahead)
        votes = np.zeros((rows, columns), dtype=np.int8)  # how many directions have this link
        for j in range(columns):
            if ahead[j] >= 0:
                votes[ahead[j], j] += 1
        for i in range(rows):
            if back[i] >= 0:
                votes[i, back[i]] += 1
        kept = votes >= (1 if method == UNION else 2)
        if method in (GROW_DIAG, GROW_DIAG_FINAL_AND):
            _grow_diagonally(votes, kept, ahead, back, method == GROW_DIAG_FINAL_AND)
        for i in range(rows):
            for j in range(columns):
                if kept[i, j]:
                    links[total, 0] = i
                    links[total, 1] = j
                    total += 1
        offsets[sentence + 1] = total
    return total


@njit(cache=True)
def _grow_diagonally(votes, kept, ahead, back, final_and):  # type: ignore[no-untyped-def]
    rows, columns = votes.shape
    row_linked = np.zeros(rows, dtype=np.bool_)
    column_linked = np.zeros(columns, dtype=np.bool_)
    for i in range(rows):
        for j in range(columns):
            if kept[i, j]:
                row_linked[i] = True
                column_linked[j] = True
    grown = True
    while grown:
        grown = False
        for i in range(rows):
            for j in range(columns):
                if not kept[i, j]:
                    continue
                for k in range(max(i - 1, 0), min(i + 2, rows)):
                    for m in range(max(j - 1, 0), min(j + 2, columns)):
                        if votes[k, m] and not kept[k, m] and not (row_linked[k] and column_linked[m]):
                            kept[k, m] = row_linked[k] = column_linked[m] = grown = True
    if final_and:
        for j in range(columns):
            i = ahead[j]
            if i >= 0 and not row_linked[i] and not column_linked[j]:
                kept[i, j] = row_linked[i] = column_linked[j] = True
        for i in range(rows):
            j = back[i]
            if j >= 0 and not row_linked[i] and not column_linked[j]:
                kept[i, j] = row_linked[i] = column_linked[j] = True
