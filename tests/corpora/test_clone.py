"""English-Clone: a swap of characters that every stage treats like English."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icu4py.breakers import WordBreaker

from prealign.corpora.clone import CLONE, ENGLISH, clone, has_clone_characters
from prealign.corpora.python_docs import python_documents


@pytest.mark.parametrize(
    ("english", "cloned"),
    [
        ("", ""),
        ("Hello, world!", "Ըելլկ։ շկղլդ⸘"),
        ("I don't (know):", "Թ դկծ‧մ ⸨իծկշ⸩՟"),
        ("naïve_x = [3.14];", "ծաïնե⁀ո ⍓ ⸢۳‘۱۴⸣߸"),
        ("\n\t  日本\u00a0é", "\n\t  日本\u00a0é"),
    ],
)
def test_small_cases(english: str, cloned: str) -> None:
    assert clone(english) == cloned
    assert clone(cloned) == english


def test_every_printable_ascii_character_has_one_partner_of_its_own() -> None:
    assert sorted(ENGLISH) == [chr(code) for code in range(0x21, 0x7F)]
    assert len(set(CLONE)) == len(ENGLISH) == len(CLONE)
    assert not any(character.isascii() for character in CLONE)


@pytest.mark.parametrize(("english", "cloned"), zip(ENGLISH, CLONE, strict=True))
def test_partners_behave_like_their_originals(english: str, cloned: str) -> None:
    assert {unicodedata.normalize(form, cloned) for form in ("NFC", "NFD", "NFKC", "NFKD")} == {cloned}
    assert unicodedata.category(english)[0] == unicodedata.category(cloned)[0]
    assert cloned.isdigit() == english.isdigit()
    for change in (str.upper, str.lower, str.casefold, str.title):
        assert change(cloned) == clone(change(english))
    # Left to right or neutral: the clone reads in English's order.
    assert unicodedata.bidirectional(cloned) in ("L", "EN", "ON")


@given(st.text(st.characters(codec="utf-8") | st.sampled_from(ENGLISH + CLONE)))
def test_the_clone_of_the_clone_is_the_text(text: str) -> None:
    assert clone(clone(text)) == text
    assert len(clone(text)) == len(text)


@given(st.text(st.sampled_from(ENGLISH + " \n")))
def test_case_and_cloning_may_be_done_in_any_order(text: str) -> None:
    assert clone(text).lower() == clone(text.lower())
    assert clone(text).upper() == clone(text.upper())


def test_characters_of_the_other_side_are_found() -> None:
    assert not has_clone_characters("plain")
    assert not has_clone_characters("it’s “naïve” – 日本")
    assert has_clone_characters("a ‘quoted’ word")
    assert has_clone_characters("Հայաստան")


def test_icu_finds_the_words_of_the_clone_where_it_finds_those_of_english() -> None:
    documents = list(python_documents())[::8]
    same = different = 0
    for document in documents:
        english = set(WordBreaker(document, "en").segments())
        cloned = set(WordBreaker(clone(document), "en-x-clone").segments())
        same += len(english & cloned)
        different += len(english ^ cloned)
    assert same > 70_000
    assert different / same < 0.001
