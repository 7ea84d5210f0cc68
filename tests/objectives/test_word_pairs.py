"""Who is compared with whom: a table checked by eye, and a loop over all pairs."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prealign.objectives.word_pairs import Counts, Pairs, Relations, anchors, sources

# good: gut, prima / well: gut / taxi: taxi / alone
WORDS = ["good", "gut", "prima", "well", "gut", "taxi", "taxi", "alone"]
GROUPS = torch.tensor([7, 7, 7, 3, 3, 9, 9, 1])
FORMS = torch.tensor([10, 20, 30, 40, 20, 50, 50, 60])
# A row for each anchor: + positive, - negative, . neither.
TABLE = {
    "good": ".++..---",
    "gut": "+.+..---",
    "prima": "++...---",
    "well": "....+---",
    "gut of well": "...+.---",
}


def drawn(groups: torch.Tensor, forms: torch.Tensor, places: torch.Tensor) -> list[str]:
    pairs = Pairs.of(Relations.of(groups, forms), places)
    rows = [["." if out else "-" for out in row] for row in pairs.left_out.tolist()]
    for anchor, word in zip(pairs.anchor.tolist(), pairs.word.tolist(), strict=True):
        assert rows[anchor][word] == "-"
        rows[anchor][word] = "+"
    return ["".join(row) for row in rows]


def test_table() -> None:
    places = anchors(GROUPS, FORMS).nonzero().squeeze(1)
    assert places.tolist() == [0, 1, 2, 3, 4]  # taxi has nothing to learn, alone has no translation
    assert drawn(GROUPS, FORMS, places) == list(TABLE.values())
    assert drawn(GROUPS, FORMS, places[2:4]) == list(TABLE.values())[2:4]


# One form each: car 1, Auto 2, automobile 3, house 4, Haus 5, maison 6, tree 7, Baum 8; the groups {car, Auto},
# {automobile, Auto}, {house, Haus}, {Haus, maison} and {tree, Baum}.
SHARING = """
    .+..------
    +...------
    ...+------
    ..+.------
    ----.+..--
    ----+...--
    ----...+--
    ----..+.--
    --------.+
    --------+.
"""


def test_groups_that_share_a_form_are_no_negatives_of_each_other() -> None:
    groups, forms = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3, 4, 4]), torch.tensor([1, 2, 3, 2, 4, 5, 5, 6, 7, 8])
    assert drawn(groups, forms, torch.arange(10)) == SHARING.split()
    minus = SHARING.count("-")
    assert Counts.of(groups, forms) == Counts(anchors=10, pairs=90, negatives=minus, kept_out=90 - minus - 10)


def test_sharing_goes_from_group_to_group_and_no_further() -> None:
    # {1, 2}, {2, 3}, {3, 4}: the first and the last have nothing in common.
    groups, forms = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([1, 2, 2, 3, 3, 4])
    assert drawn(groups, forms, torch.tensor([0, 2, 4])) == [".+..--", "...+..", "--...+"]


def test_counts_when_words_written_alike_are_compared_like_others() -> None:
    # Anchors are good, well and taxi; each meets the seven others, and its own translations are the positives.
    assert Counts.of(GROUPS, FORMS, alike=True) == Counts(anchors=3, pairs=21, negatives=21 - 2 - 1 - 1, kept_out=0)


def test_counts_of_the_table() -> None:
    # The first dot of a row is the anchor itself.
    dots = sum(row.count(".") - 1 for row in TABLE.values())
    minus = sum(row.count("-") for row in TABLE.values())
    assert Counts.of(GROUPS, FORMS) == Counts(anchors=5, pairs=5 * 7, negatives=minus, kept_out=dots)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=10))
@settings(max_examples=80, deadline=None)
def test_equals_a_loop_over_pairs(words: list[tuple[int, int]]) -> None:
    expected, places = [], []
    for i, (group, form) in enumerate(words):
        members = {other for its, other in words if its == group}
        sharing = {its for its, other in words if other in members}
        if members == {form}:
            continue
        places.append(i)
        row = ""
        for its, other in words:
            row += ("+" if other != form else ".") if its == group else "." if its in sharing else "-"
        expected.append(row)
    groups, forms = (torch.tensor(column) for column in zip(*words, strict=True))
    assert anchors(groups, forms).nonzero().squeeze(1).tolist() == places
    assert drawn(groups, forms, torch.tensor(places, dtype=torch.int64)) == expected
    counts = Counts.of(groups, forms)
    assert counts.negatives == sum(row.count("-") for row in expected)
    assert counts.kept_out == sum(row.count(".") - 1 for row in expected)


def test_sources_stand_first_in_their_group() -> None:
    assert sources(GROUPS).tolist() == [True, False, False, True, False, True, False, True]
