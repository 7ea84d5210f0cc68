"""Unions of dictionaries: what counts together, what is an opinion of its own, and whose spelling holds."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.entries import Entry
from prealign.dictionary.merge import merge
from prealign.errors import PrealignError


def counted(counts: dict[tuple[str, str], int]) -> Dictionary:
    return Dictionary.from_pairs(Counter(counts).elements(), "en", "de")


def numbers(dictionary: Dictionary) -> dict[tuple[str, str], tuple[int, float, float]]:
    return {
        (e.source, e.target): (e.count, e.p_target_given_source, e.p_source_given_target) for e in dictionary.entries
    }


PAIR = st.tuples(st.sampled_from("abcd"), st.sampled_from("wxyz"))
COUNTS = st.dictionaries(PAIR, st.integers(2, 50), min_size=1, max_size=8)


@given(COUNTS, COUNTS)
@settings(max_examples=100, deadline=None)
def test_merging_counted_dictionaries_is_counting_both_texts(
    first: dict[tuple[str, str], int], second: dict[tuple[str, str], int]
) -> None:
    merged = numbers(merge([counted(first), counted(second)]))
    together = numbers(counted(dict(Counter(first) + Counter(second))))
    assert merged.keys() == together.keys()
    for pair, (count, forward, backward) in together.items():
        assert merged[pair] == (count, pytest.approx(forward, rel=1e-4), pytest.approx(backward, rel=1e-4))


def test_links_below_the_thresholds_still_count() -> None:
    # "bank" was linked 100 times in each text; 40 links of the first and 20 of the second went to words that were
    # left out there.
    first = Dictionary("en", "de", [Entry("bank", "Bank", 60, 0.6, 1.0)])
    second = Dictionary("en", "de", [Entry("bank", "Ufer", 80, 0.8, 1.0)])
    assert numbers(merge([first, second])) == {("bank", "Bank"): (60, 0.3, 1.0), ("bank", "Ufer"): (80, 0.4, 1.0)}


def test_a_list_without_counts_is_an_opinion_beside_the_counts() -> None:
    text = counted({("bank", "Bank"): 900, ("bank", "Bänke"): 100, ("tree", "Baum"): 10})
    people = Dictionary.from_pairs([("bank", "Bank"), ("bank", "Ufer"), ("sea", "Meer"), ("sea", "See")], "en", "de")
    for merged in (merge([text, people]), merge([people, text])):
        assert numbers(merged) == {
            ("bank", "Bank"): (901, 0.7, 1.0),  # (0.9 + 0.5) / 2
            ("bank", "Ufer"): (1, 0.25, 1.0),  # (0.0 + 0.5) / 2
            ("bank", "Bänke"): (100, 0.05, 1.0),  # (0.1 + 0.0) / 2
            ("tree", "Baum"): (10, 1.0, 1.0),
            ("sea", "Meer"): (1, 0.5, 1.0),
            ("sea", "See"): (1, 0.5, 1.0),
        }


def test_lists_without_counts_add_up_like_one_file() -> None:
    first, second = [("bank", "Bank"), ("bank", "Ufer")], [("bank", "Bank"), ("shore", "Ufer")]
    lists = [Dictionary.from_pairs(pairs, "en", "de") for pairs in (first, second)]
    assert numbers(merge(lists)) == numbers(Dictionary.from_pairs(first + second, "en", "de"))


def test_the_first_dictionary_has_the_say_in_spelling() -> None:
    cased = counted({("house", "Haus"): 8, ("eat", "essen"): 5, ("food", "Essen"): 5, ("Polish", "polnisch"): 4})
    lower = Dictionary.from_pairs(
        [("House", "haus"), ("eat", "essen"), ("meal", "essen"), ("polish", "polieren"), ("street", "straße")],
        "en",
        "de",
    )
    assert numbers(merge([cased, lower])) == {
        ("house", "Haus"): (9, 1.0, 1.0),
        ("eat", "essen"): (6, 1.0, 0.75),  # of essen: 5 of 5 links, and one of two in the list
        ("food", "Essen"): (5, 1.0, 1.0),
        ("meal", "essen"): (1, 1.0, 0.25),
        ("Polish", "polnisch"): (4, 0.5, 1.0),
        ("Polish", "polieren"): (1, 0.5, 1.0),
        ("street", "straße"): (1, 1.0, 1.0),
    }


def test_spellings_that_become_one_word_share_its_probability() -> None:
    first = counted({("may", "Mai"): 2, ("may", "darf"): 6})
    both = Dictionary.from_pairs([("May", "Mai"), ("may", "darf"), ("MAY", "Mai")], "en", "de")
    second = Dictionary("en", "de", [*both.entries])
    merged = merge([first, second])
    assert sum(e.p_target_given_source for e in merged.by_source()["may"]) == pytest.approx(1.0)
    assert numbers(merged)["may", "Mai"][:2] == (4, pytest.approx((0.25 + 2 / 3) / 2, rel=1e-4))


def test_the_card_holds_the_parts_and_their_licences() -> None:
    parts = [counted({("a", "b"): 5}), Dictionary.from_pairs([("a", "b")], "en", "de")]
    parts[0].card["licence"] = "CC0 1.0"
    assert "licence" not in merge(parts).card
    parts[1].card |= {"licence": "CC BY-SA 4.0", "imported_from": {"file": "list.tsv"}}
    assert merge(parts).card == {
        "merged_from": [
            {"licence": "CC0 1.0", "entries": 1, "counted": True},
            {"licence": "CC BY-SA 4.0", "imported_from": {"file": "list.tsv"}, "entries": 1, "counted": False},
        ],
        "licence": "CC0 1.0; CC BY-SA 4.0",
    }


def test_mistakes() -> None:
    one = Dictionary.from_pairs([("a", "b")], "en", "de")
    with pytest.raises(PrealignError, match="at least two"):
        merge([one])
    with pytest.raises(PrealignError, match="of the same two languages can be merged; these are en-de, de-en"):
        merge([one, one.inverted()])


def test_counts_and_probabilities_of_zero() -> None:
    rare = Dictionary("en", "de", [Entry("a", "b", 0, 0.5, 0.0), Entry("c", "d", 0, 0.0, 0.0)])
    common = counted({("a", "x"): 9, ("c", "d"): 9})
    found = numbers(merge([rare, common]))
    assert found == {
        ("a", "b"): (0, 0.25, 0.0),  # (0.5 + 0.0) / 2, and nobody says anything of p(a | b)
        ("a", "x"): (9, 0.5, 1.0),
        ("c", "d"): (9, 1.0, 1.0),
    }
