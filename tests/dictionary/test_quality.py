"""Scores of dictionaries small enough to check by hand."""

from __future__ import annotations

from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.entries import Entry
from prealign.dictionary.quality import against_gold, against_mapping


def test_against_a_known_mapping() -> None:
    found = Dictionary(
        "en",
        "en-x-clone",
        [
            Entry("The", "EHT", 9, 0.9, 1.0),  # right; asked for in lower case
            Entry("The", "TAC", 1, 0.1, 0.5),  # wrong
            Entry("cat", "god", 2, 0.6, 0.5),  # wrong, and first
            Entry("cat", "tac", 1, 0.4, 0.5),  # right, but second
            Entry("cow", "xyz", 1, 1.0, 1.0),  # wrong
        ],
    )
    counts = {"the": 6, "cat": 2, "dog": 1, "cow": 1}
    assert against_mapping(found, lambda word: word[::-1], counts) == {
        "precision": 2 / 5,
        "precision_at_1": 1 / 3,
        "recall": 2 / 4,
        "recall_running": 8 / 10,
        "entries": 5,
        "source_words": 3,
        "words_asked": 4,
    }


def test_against_gold() -> None:
    gold = Dictionary.from_pairs(
        [("bank", "Bank"), ("bank", "Ufer"), ("house", "haus"), ("dog", "hund"), ("tree", "baum"), ("sea", "meer")],
        "en",
        "de",
    )
    found = Dictionary(
        "en",
        "de",
        [
            Entry("bank", "Ufer", 5, 0.9, 0.9),  # one of two right answers
            Entry("House", "Haus", 3, 0.5, 0.9),  # case does not count
            Entry("dog", "Katze", 2, 0.6, 0.1),  # wrong first, right second
            Entry("dog", "Hund", 1, 0.4, 1.0),
            Entry("tree", "Blatt", 1, 1.0, 1.0),  # wrong
            Entry("river", "Fluss", 1, 1.0, 1.0),  # not asked for
        ],
    )
    assert against_gold(found, gold) == {
        "precision_at_1": 2 / 4,
        "any_right": 3 / 4,
        "right_when_drawn": (1 + 1 + 0.4 + 0) / 4,
        "coverage": 4 / 5,
        "right_at_1": 2 / 5,
        "entries": 6,
        "source_words": 5,
        "gold_words": 5,
    }


def test_nothing_against_something_is_zero() -> None:
    gold = Dictionary.from_pairs([("bank", "Bank")], "en", "de")
    assert against_gold(Dictionary("en", "de", []), gold)["coverage"] == 0.0
    assert against_mapping(Dictionary("en", "de", []), str.upper, {})["recall"] == 0.0
