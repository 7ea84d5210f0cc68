"""The dictionary type: order, writing and reading back, splitting, inverting."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.entries import Entry
from prealign.errors import PrealignError

PAIRS = [("bank", "Bank"), ("bank", "Ufer"), ("bank", "Bank"), ("house", "Haus"), ("shore", "Ufer")]
WORD = st.text(st.characters(categories=("L", "N", "P", "M"), codec="utf-8"), min_size=1, max_size=6)


def test_pairs_become_entries_with_shares() -> None:
    dictionary = Dictionary.from_pairs(PAIRS, "en", "de")
    assert dictionary.entries == [
        Entry("bank", "Bank", 2, 0.666667, 1.0),
        Entry("bank", "Ufer", 1, 0.333333, 0.5),
        Entry("house", "Haus", 1, 1.0, 1.0),
        Entry("shore", "Ufer", 1, 1.0, 0.5),
    ]
    assert len(dictionary) == 4
    assert [entry.target for entry in dictionary.by_source()["bank"]] == ["Bank", "Ufer"]


def test_the_folder_is_readable_and_comes_back_equal(tmp_path: Path) -> None:
    dictionary = Dictionary.from_pairs(PAIRS, "en", "de")
    dictionary.card["aligner"] = {"name": "statistical"}
    dictionary.write(tmp_path / "en-de")
    assert (tmp_path / "en-de" / "entries.tsv").read_text().splitlines()[:3] == [
        "source\ttarget\tcount\tp_target_given_source\tp_source_given_target",
        "bank\tBank\t2\t0.666667\t1",
        "bank\tUfer\t1\t0.333333\t0.5",
    ]
    card = json.loads((tmp_path / "en-de" / "card.json").read_text())
    assert card == {
        "source_language": "en",
        "target_language": "de",
        "entries": 4,
        "source_words": 3,
        "aligner": {"name": "statistical"},
    }
    for path in (tmp_path / "en-de", tmp_path / "en-de" / "entries.tsv"):
        again = Dictionary.read(path)
        assert (again.source_language, again.target_language) == ("en", "de")
        assert again.entries == dictionary.entries
        assert again.card["aligner"] == {"name": "statistical"}


@given(st.lists(st.tuples(WORD, WORD), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_writing_and_reading_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]
) -> None:
    import unicodedata

    pairs = [(unicodedata.normalize("NFC", source), unicodedata.normalize("NFC", target)) for source, target in pairs]
    dictionary = Dictionary.from_pairs(pairs, "en", "en-x-clone")
    folder = tmp_path_factory.mktemp("dictionary") / "d"
    dictionary.write(folder)
    assert Dictionary.read(folder).entries == dictionary.entries


def test_words_are_split_whole_and_by_their_folded_form() -> None:
    pairs = [(f"Word{number}", f"Wort{number}{letter}") for number in range(400) for letter in "ab"]
    trained, held_out = Dictionary.from_pairs(pairs, "en", "de").split(0.25, seed=3)
    words = set(trained.by_source()), set(held_out.by_source())
    assert not words[0] & words[1]
    assert len(words[0] | words[1]) == 400
    assert 70 < len(words[1]) < 130
    assert all(len(entries) == 2 for entries in held_out.by_source().values())
    upper = Dictionary.from_pairs([(source.upper(), target) for source, target in pairs], "en", "fr").split(
        0.25, seed=3
    )
    assert set(upper[1].by_source()) == {word.upper() for word in words[1]}
    other_seed = Dictionary.from_pairs(pairs, "en", "de").split(0.25, seed=4)[1]
    assert set(other_seed.by_source()) != words[1]
    assert len(Dictionary.from_pairs(pairs, "en", "de").split(0.0, seed=3)[1]) == 0


def test_inverting_swaps_sides_and_probabilities() -> None:
    dictionary = Dictionary.from_pairs(PAIRS, "en", "de")
    inverted = dictionary.inverted()
    assert (inverted.source_language, inverted.target_language) == ("de", "en")
    assert inverted.by_source()["Ufer"] == [
        Entry("Ufer", "bank", 1, 0.5, 0.333333),
        Entry("Ufer", "shore", 1, 0.5, 1.0),
    ]
    assert inverted.card["inverted"] is True
    assert inverted.inverted().entries == dictionary.entries


def test_languages_must_be_known_and_agree_with_the_card(tmp_path: Path) -> None:
    Dictionary.from_pairs(PAIRS, "en", "de").write(tmp_path / "d")
    with pytest.raises(PrealignError, match="its card says target_language de, but fr was asked for"):
        Dictionary.read(tmp_path / "d", "en", "fr")
    table = tmp_path / "words.txt"
    table.write_text("bank Bank\n")
    with pytest.raises(PrealignError, match=r"words\.txt: .* says the source_language"):
        Dictionary.read(table)
    assert Dictionary.read(table, "en", "de").entries == [Entry("bank", "Bank", 1, 1.0, 1.0)]
    named = tmp_path / "muse.test.en-de.tsv"
    named.write_text("bank\tBank\tn\n")
    assert Dictionary.read(named).target_language == "de"
    with pytest.raises(PrealignError, match="does not exist"):
        Dictionary.read(tmp_path / "nothing.en-de.tsv")
    with pytest.raises(PrealignError, match=r"card\.json does not exist"):
        (tmp_path / "empty").mkdir()
        Dictionary.read(tmp_path / "empty")
