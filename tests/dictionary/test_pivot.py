"""Dictionaries by way of a third language, small enough to check by hand."""

from __future__ import annotations

import pytest

from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.entries import Entry
from prealign.dictionary.pivot import pivot
from prealign.errors import PrealignError

EN_DE = Dictionary(
    "en",
    "de",
    [
        Entry("bank", "Bank", 30, 0.6, 0.75),
        Entry("bank", "Ufer", 20, 0.4, 0.4),
        Entry("shore", "Ufer", 30, 1.0, 0.6),
        Entry("bench", "Bank", 10, 1.0, 0.25),
        Entry("tree", "Baum", 5, 1.0, 1.0),
    ],
    {"licence": "CC0"},
)
EN_FR = Dictionary(
    "en",
    "fr",
    [
        Entry("bank", "banque", 40, 0.8, 1.0),
        Entry("bank", "rive", 10, 0.2, 0.5),
        Entry("shore", "rive", 10, 1.0, 0.5),
        Entry("bench", "banc", 7, 1.0, 1.0),
    ],
    {"licence": "CC BY 4.0"},
)


def numbers(dictionary: Dictionary) -> dict[tuple[str, str], tuple[int, float, float]]:
    return {
        (e.source, e.target): (e.count, e.p_target_given_source, e.p_source_given_target) for e in dictionary.entries
    }


def test_probabilities_are_summed_over_the_words_passed_by() -> None:
    found = pivot(EN_DE, EN_FR, 0.0, 9)
    assert (found.source_language, found.target_language) == ("de", "fr")
    assert numbers(found) == {
        ("Bank", "banque"): (30, 0.6, 0.6),  # 0.75 * 0.8, 0.6 * 1.0
        ("Bank", "banc"): (7, 0.25, 1.0),  # by bench
        ("Bank", "rive"): (10, 0.15, 0.3),
        ("Ufer", "rive"): (20, 0.68, 0.7),  # 0.4 * 0.2 + 0.6 * 1.0, 0.4 * 0.5 + 1.0 * 0.5
        ("Ufer", "banque"): (20, 0.32, 0.4),  # the price of ambiguity
    }
    assert found.card == {
        "pivot": "en",
        "pivot_from": [{"licence": "CC0", "entries": 5}, {"licence": "CC BY 4.0", "entries": 4}],
        "min_probability": 0.0,
        "top_k": 9,
        "licence": "CC0; CC BY 4.0",
    }


def test_dictionaries_are_turned_as_needed() -> None:
    expected = numbers(pivot(EN_DE, EN_FR, 0.0, 9))
    assert numbers(pivot(EN_DE.inverted(), EN_FR, 0.0, 9)) == expected
    assert numbers(pivot(EN_DE.inverted(), EN_FR.inverted(), 0.0, 9)) == expected
    assert numbers(pivot(EN_FR, EN_DE, 0.0, 9).inverted()) == expected


def test_thresholds_hold() -> None:
    assert set(numbers(pivot(EN_DE, EN_FR, 0.35, 9))) == {("Bank", "banque"), ("Ufer", "rive")}
    assert set(numbers(pivot(EN_DE, EN_FR, 0.0, 1))) == {("Bank", "banque"), ("Ufer", "rive")}


def test_case_is_bridged_where_no_other_word_goes_there() -> None:
    upper = Dictionary.from_pairs([("Polish", "polnisch"), ("POLISH", "polieren"), ("English", "englisch")], "en", "de")
    lower = Dictionary.from_pairs([("Polish", "polonais"), ("polish", "cirer"), ("english", "anglais")], "en", "fr")
    assert set(numbers(pivot(upper, lower, 0.0, 9))) == {
        ("polnisch", "polonais"),
        ("polieren", "cirer"),
        ("englisch", "anglais"),
    }


def test_mistakes() -> None:
    with pytest.raises(PrealignError, match="en-de and en-de have both languages in common"):
        pivot(EN_DE, EN_DE, 0.0, 1)
    with pytest.raises(PrealignError, match="en-de and fr-sw have no language in common"):
        pivot(EN_DE, Dictionary.from_pairs([("eau", "maji")], "fr", "sw"), 0.0, 1)
