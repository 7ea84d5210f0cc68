"""Pharaoh text, symmetrisation and alignment error rate against tables small enough to check by hand."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from prealign.alignment.links import (
    Symmetrisation,
    format_pharaoh,
    parse_pharaoh,
    symmetrise,
)
from prealign.errors import PrealignError


def joined(forward: list[int], backward: list[int], method: Symmetrisation) -> set[tuple[int, int]]:
    """Symmetrise one sentence pair."""
    offsets, links = symmetrise(
        np.array(forward, dtype=np.int32),
        np.array(backward, dtype=np.int32),
        np.array([0, len(backward)]),
        np.array([0, len(forward)]),
        method,
    )
    assert offsets.tolist() == [0, len(links)]
    return {(i, j) for i, j in links.tolist()}


def array(*links: tuple[int, int]) -> NDArray[np.int32]:
    return np.array(links, dtype=np.int32).reshape(-1, 2)


# Source words 0-3 down, target words 0-4 across; F forward only, B backward only, X both.
#
#        0 1 2 3 4
#     0  X . . . .      (0,0) is agreed
#     1  . B F . .      (1,1) touches (0,0); (1,2) then touches (1,1)
#     2  . . . . F      touches nothing agreed: only final-and brings it in,
#     3  . . . . .      and word 3 and target word 3 have no link at all
FORWARD = [0, -1, 1, -1, 2]
BACKWARD = [0, 1, -1, -1]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("intersect", {(0, 0)}),
        ("grow-diag", {(0, 0), (1, 1), (1, 2)}),
        ("grow-diag-final-and", {(0, 0), (1, 1), (1, 2), (2, 4)}),
        ("union", {(0, 0), (1, 1), (1, 2), (2, 4)}),
    ],
)
def test_symmetrisation_by_hand(method: Symmetrisation, expected: set[tuple[int, int]]) -> None:
    assert joined(FORWARD, BACKWARD, method) == expected


def test_final_and_asks_for_two_words_without_links() -> None:
    # Forward: target 0 and 3 by source 0; backward: source 0 by target 0. (0,3) touches nothing and source 0 is linked.
    assert joined([0, -1, -1, 0], [0], "grow-diag-final-and") == {(0, 0)}
    assert joined([0, -1, -1, 0], [0], "union") == {(0, 0), (0, 3)}


def test_growing_needs_a_word_that_has_no_link_yet() -> None:
    # (0,0) and (1,1) are agreed, so their neighbour (0,1) would link two words that both have a link.
    forward, backward = [0, 1, -1], [0, 1]
    assert joined(forward, [0, 1], "grow-diag") == {(0, 0), (1, 1)}
    assert joined([0, 0], [0, 1], "grow-diag") == {(0, 0), (1, 1), (0, 1)}
    assert joined(forward, backward, "union") == {(0, 0), (1, 1)}


def test_sentences_do_not_mix_and_may_be_empty() -> None:
    offsets, links = symmetrise(
        np.array([0, 1, 0], dtype=np.int32),
        np.array([0, 1, 0], dtype=np.int32),
        np.array([0, 2, 2, 3]),
        np.array([0, 2, 2, 3]),
        "intersect",
    )
    assert offsets.tolist() == [0, 2, 2, 3]
    assert links.tolist() == [[0, 0], [1, 1], [0, 0]]


@st.composite
def directions(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    rows, columns = draw(st.integers(0, 7)), draw(st.integers(0, 7))
    forward = draw(st.lists(st.integers(-1, rows - 1), min_size=columns, max_size=columns))
    backward = draw(st.lists(st.integers(-1, columns - 1), min_size=rows, max_size=rows))
    return forward, backward


def plain_growth(forward: list[int], backward: list[int], final_and: bool) -> set[tuple[int, int]]:
    """The published description with Python sets: the oracle of the compiled code."""
    ahead = [(i, j) for j, i in enumerate(forward) if i >= 0]
    back = [(i, j) for i, j in enumerate(backward) if j >= 0]
    links = set(ahead) & set(back)
    grown = True
    while grown:
        grown = False
        for i, j in [(i, j) for i in range(len(backward)) for j in range(len(forward))]:
            if (i, j) not in links:
                continue
            for near in [(i + a, j + b) for a in (-1, 0, 1) for b in (-1, 0, 1)]:
                free = near[0] not in {i for i, _ in links} or near[1] not in {j for _, j in links}
                if near in set(ahead) | set(back) and near not in links and free:
                    links.add(near)
                    grown = True
    for link in (ahead + back) if final_and else []:
        if link[0] not in {i for i, _ in links} and link[1] not in {j for _, j in links}:
            links.add(link)
    return links


@given(directions())
@settings(max_examples=300, deadline=None)
def test_compiled_growth_equals_the_plain_one(pair: tuple[list[int], list[int]]) -> None:
    assert joined(*pair, "grow-diag") == plain_growth(*pair, final_and=False)
    assert joined(*pair, "grow-diag-final-and") == plain_growth(*pair, final_and=True)


@given(directions())
@settings(max_examples=300, deadline=None)
def test_methods_contain_one_another(pair: tuple[list[int], list[int]]) -> None:
    chain: list[Symmetrisation] = ["intersect", "grow-diag", "grow-diag-final-and", "union"]
    assert set(chain) == set(get_args(Symmetrisation))
    for narrow, wide in pairwise(chain):
        assert joined(*pair, narrow) <= joined(*pair, wide)


@given(directions())
@settings(max_examples=200, deadline=None)
def test_swapping_the_sides_turns_intersection_and_union(pair: tuple[list[int], list[int]]) -> None:
    forward, backward = pair
    for method in ("intersect", "union"):
        assert joined(backward, forward, method) == {(j, i) for i, j in joined(forward, backward, method)}


def test_unknown_method_is_named() -> None:
    with pytest.raises(PrealignError, match=r"'grow' is no way .* intersect, union, grow-diag, grow-diag-final-and"):
        joined([0], [0], "grow")  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99))))
def test_pharaoh_there_and_back(links: list[tuple[int, int]]) -> None:
    assert [tuple(link) for link in parse_pharaoh(format_pharaoh(array(*links))).tolist()] == links


@pytest.mark.parametrize("line", ["0", "0-", "-0", "a-b", "0-1-2", "0–1", "1.0-2"])
def test_bad_pharaoh_is_quoted(line: str) -> None:
    with pytest.raises(PrealignError, match=f"'{line}' is not a link"):
        parse_pharaoh(f"0-0 {line}")


def test_links_outside_the_sentence_are_refused() -> None:
    parse_pharaoh("0-0 1-2", 2, 3)
    with pytest.raises(PrealignError, match="names target word 2, but the sentence has 2 words, and they count from 0"):
        parse_pharaoh("0-0 1-2", 2, 2)
    with pytest.raises(PrealignError, match="names source word 1, but the sentence has 1 words"):
        parse_pharaoh("0-0 1-2", 1, 3)
    with pytest.raises(PrealignError, match="names target word 99999999999, but the sentence has 2 words"):
        parse_pharaoh("0-99999999999", 2, 2)
    with pytest.raises(PrealignError, match="names source word 2147483648, and no sentence has so many"):
        parse_pharaoh("2147483648-0")
