"""Words in several scripts, checked by eye, and offsets that are exact for any text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icu4py import icu_version

from prealign.corpora.words import Segmenter, fold, has_digit, sentences
from prealign.errors import PrealignError

WORDS = [
    ("en", "Hello, world! I don't pay 3.14 dollars.", ["Hello", "world", "I", "don't", "pay", "3.14", "dollars"]),
    ("en", "an e-mail (to the U.S.A.)", ["an", "e", "mail", "to", "the", "U.S.A"]),
    ("de", "Die Millionen-Grenze für Straßen", ["Die", "Millionen", "Grenze", "für", "Straßen"]),
    ("fr", "aujourd'hui, « l'été »", ["aujourd'hui", "l'", "été"]),
    ("fr", "L’homme qu'il n’a d'aujourd'hui", ["L’", "homme", "qu'", "il", "n’", "a", "d'", "aujourd'hui"]),
    ("fr-CA", "JUSQU'À LORSQU’ELLE C'EST ç'a été", ["JUSQU'", "À", "LORSQU’", "ELLE", "C'", "EST", "ç'", "a", "été"]),
    ("fr", "quelqu'un, prud’homme, presqu'île, entr'ouvert", ["quelqu'un", "prud’homme", "presqu'île", "entr'ouvert"]),
    ("fr", "O'Connor l' homme d’«Ubu»", ["O'Connor", "l", "homme", "d", "Ubu"]),
    ("it", "Dell'acqua, c'è un po' d’ombra", ["Dell'", "acqua", "c'", "è", "un", "po", "d’", "ombra"]),
    ("it", "un'altra mezz'ora", ["un'", "altra", "mezz'ora"]),
    ("ca", "L'home d’aquí s'ha compra'l", ["L'", "home", "d’", "aquí", "s'", "ha", "compra'l"]),
    ("oc", "L'òme qu’es d'aicí", ["L'", "òme", "qu’", "es", "d'", "aicí"]),
    ("en", "l'homme d’Artagnan", ["l'homme", "d’Artagnan"]),
    ("en", "the si\u00adnk", ["the", "si\u00adnk"]),
    ("ru", "Ёлка — это дерево.", ["Ёлка", "это", "дерево"]),
    ("ar", "السلام عليكم، كيف الحال؟", ["السلام", "عليكم", "كيف", "الحال"]),
    ("zh", "我喜欢学习汉语。她3岁", ["我", "喜欢", "学习", "汉语", "她", "3", "岁"]),
    ("zh-Hant-TW", "我学习", ["我", "学习"]),
    ("ja", "私は東京に", ["私", "は", "東京", "に"]),
    ("th", "ฉันรักภาษาไทย", ["ฉัน", "รัก", "ภาษา", "ไทย"]),
    ("en-x-clone", "𐐐𐐯𐑊, 𐐶! 😀 x", ["𐐐𐐯𐑊", "𐐶", "x"]),
    ("en", "!? … 😀 — ++", []),
    ("en", "", []),
]
CHARACTERS = "abdlqu1.,'’\u00ad_ \n\t我学校é́𝒳😀👨‍👩𐐲ไทยสว์日ほ\u200b\u2028🇩🇪\x00"


def in_threes(text: str) -> list[str]:
    """A stand-in for a segmenter that a user brings: drops what is no letter, cuts the rest in threes."""
    return [part[place : place + 3] for part in text.split() for place in range(0, len(part), 3)]


@pytest.mark.parametrize(("language", "text", "expected"), WORDS)
def test_words(language: str, text: str, expected: list[str]) -> None:
    segmenter = Segmenter(language)
    assert segmenter.words(text) == expected
    assert [text[start:end] for start, end in segmenter.spans(text)] == expected


@pytest.mark.parametrize(
    "segmenter",
    [*map(Segmenter, ("en", "fr", "zh", "th")), Segmenter("en", "spaces"), Segmenter("zh", in_threes)],
    ids=["icu-en", "icu-fr", "rjieba", "icu-th", "spaces", "function"],
)
@given(text=st.text(alphabet=st.sampled_from(CHARACTERS), max_size=30))
@settings(max_examples=150, deadline=None)
def test_spans_are_ordered_and_leave_out_no_letter(segmenter: Segmenter, text: str) -> None:
    spans = segmenter.spans(text)
    assert [text[start:end] for start, end in spans] == segmenter.words(text)
    assert all(start < end for start, end in spans)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    inside = {place for start, end in spans for place in range(start, end)}
    assert all(place in inside for place, character in enumerate(text) if character.isalnum())


def test_text_that_is_segmented_already_is_cut_at_spaces() -> None:
    segmenter = Segmenter("zh", "spaces")
    text = "我们 喜欢\t学习 汉语 。 don't e-mail  !"
    assert segmenter.words(text) == ["我们", "喜欢", "学习", "汉语", "don't", "e-mail"]
    assert [text[start:end] for start, end in segmenter.spans(text)] == segmenter.words(text)
    assert segmenter.signature == "spaces"
    assert Segmenter("zh", "icu").signature.startswith("icu ")


def test_a_segmenter_of_ones_own() -> None:
    segmenter = Segmenter("th", in_threes)
    assert segmenter.words("ฉันรักภาษาไทย  and, you") == ["ฉัน", "รัก", "ภาษ", "าไท", "ย", "and", "you"]
    assert segmenter.spans("abcd  ef") == [(0, 3), (3, 4), (6, 8)]
    assert segmenter.words_and_openings("ab. cd") == (["ab.", "cd"], [True, False])
    assert segmenter.signature.endswith(".in_threes")


@pytest.mark.parametrize("wrong", [["b", "a"], ["A", "b"], ["b"], ["a"], []])
def test_a_segmenter_that_changes_the_text_is_refused(wrong: list[str]) -> None:
    def faulty(text: str) -> list[str]:
        return wrong

    with pytest.raises(PrealignError, match=r"The segmenter .*faulty (gave|left out)"):
        Segmenter("en", faulty).words("a b")


def test_an_unknown_segmenter_is_refused() -> None:
    with pytest.raises(PrealignError, match="no segmenter 'mecab'; choose auto, icu, rjieba or spaces"):
        Segmenter("ja", "mecab")


def test_signature_names_the_segmenter_and_its_version() -> None:
    assert Segmenter("de").signature == f"icu {icu_version}"
    assert Segmenter("fr").signature == f"icu {icu_version} elision 1"
    assert Segmenter("fr", "spaces").signature == "spaces"
    assert Segmenter("zh").signature.startswith("rjieba ")


OPENINGS = [
    ("en", "The cat. Then he said: “Come!”", ["The", "Then", "Come"]),
    ("de", "Am Haus, dem Haus", ["Am"]),
    ("zh", "我们学习。他们喜欢", ["我们", "他们"]),
    ("en", "(Well) then", ["Well"]),
    ("fr", "L'Église et l'État", ["L'"]),
]


@pytest.mark.parametrize(("language", "text", "expected"), OPENINGS)
def test_openings(language: str, text: str, expected: list[str]) -> None:
    words, openings = Segmenter(language).words_and_openings(text)
    assert words == Segmenter(language).words(text)
    assert [word for word, opens in zip(words, openings) if opens] == expected


def test_sentences() -> None:
    assert sentences("One\n two. Three?\n \nA heading\n\nFour.", "en") == ["One two.", "Three?", "A heading", "Four."]
    assert sentences("他来。我走。", "zh") == ["他来。", "我走。"]
    assert sentences(" \n ", "en") == []


@pytest.mark.parametrize(
    ("word", "language", "folded"),
    [
        ("Straße", "de", "strasse"),
        ("STRASSE", "de", "strasse"),
        ("Ёлка", "ru", "ёлка"),
        ("ISI", "en", "isi"),
        ("ISI", "tr", "ısı"),
        ("İ", "tr", "i"),
        ("İ", "az-Latn", "i"),
        ("e\u0301", "fr", "é"),
        ("汉语", "zh", "汉语"),
        ("Don’t", "en", "don't"),
        ("si\u00adnk", "en", "sink"),
    ],
)
def test_fold(word: str, language: str, folded: str) -> None:
    assert fold(word, language) == folded


def test_has_digit() -> None:
    assert has_digit("3.14")
    assert has_digit("1990s")
    assert has_digit("٣")
    assert not has_digit("three")
    assert not has_digit("三")
