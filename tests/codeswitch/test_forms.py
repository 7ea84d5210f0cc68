"""Surface forms and word borders, by eye."""

from __future__ import annotations

import unicodedata

import pytest

from prealign.codeswitch.characters import beginning, ending, has_letter, is_code_like
from prealign.codeswitch.forms import fold, in_shape, surface_forms


@pytest.mark.parametrize(
    ("entry", "language", "forms"),
    [
        ("dog", "en", {"dog": "as is", "Dog": "capital", "DOG": "upper"}),
        ("a", "en", {"a": "as is", "A": "capital"}),
        ("Haus", "de", {"Haus": "as is", "haus": "as is", "HAUS": "upper"}),
        (
            "straße",
            "de",
            {
                "straße": "as is",
                "Straße": "capital",
                "strasse": "as is",
                "Strasse": "capital",
                "STRASSE": "upper",
                "STRAẞE": "upper",
            },
        ),
        (
            "big city",
            "en",
            {
                "big city": "as is",
                "Big city": "capital",
                "Big City": "title",
                "big City": "as is",
                "BIG CITY": "upper",
            },
        ),
        (
            "king of spain",
            "en",
            {
                "king of spain": "as is",
                "King of spain": "capital",
                "King Of Spain": "title",
                "king of Spain": "as is",
                "king Of spain": "as is",
                "king Of Spain": "as is",
                "King of Spain": "capital",
                "King Of spain": "capital",
                "KING OF SPAIN": "upper",
            },
        ),
        (
            "New York",
            "en",
            {"New York": "as is", "new york": "as is", "New york": "capital", "NEW YORK": "upper"},
        ),
        (
            "at the end of",
            "en",
            {
                "at the end of": "as is",
                "At the end of": "capital",
                "At The End Of": "title",
                "AT THE END OF": "upper",
            },
        ),
        (
            "saint-denis",
            "fr",
            {"saint-denis": "as is", "Saint-denis": "capital", "Saint-Denis": "title", "SAINT-DENIS": "upper"},
        ),
        (
            "don't",
            "en",
            {
                "don't": "as is",
                "Don't": "capital",
                "DON'T": "upper",
                "don’t": "as is",
                "Don’t": "capital",
                "DON’T": "upper",
            },
        ),
        ("I\u0307lk", "tr", {"İlk": "as is", "ilk": "as is", "İLK": "upper"}),
        ("ilk", "tr", {"ilk": "as is", "İlk": "capital", "İLK": "upper"}),
        ("ışık", "tr", {"ışık": "as is", "Işık": "capital", "IŞIK": "upper"}),
        ("房子", "zh", {"房子": "as is"}),
        ("कुत्ता", "hi", {"कुत्ता": "as is"}),
        ("дом", "ru", {"дом": "as is", "Дом": "capital", "ДОМ": "upper"}),
    ],
)
def test_surface_forms(entry: str, language: str, forms: dict[str, str]) -> None:
    found = {unicodedata.normalize("NFC", form): shape for form, shape in surface_forms(entry, language).items()}
    assert found == forms
    assert next(iter(surface_forms(entry, language))) == entry


def test_decomposed_forms_are_matched_too() -> None:
    assert "cafe\u0301" in surface_forms("café", "fr")
    assert surface_forms("CAFE\u0301", "fr").get("café") == "as is"


@pytest.mark.parametrize(
    ("text", "shape", "language", "shaped"),
    [
        ("große Stadt", "capital", "de", "Große Stadt"),
        ("große Stadt", "title", "de", "Große Stadt"),
        ("große Stadt", "upper", "de", "GROSSE STADT"),
        ("iki", "capital", "tr", "İki"),
        ("iki", "capital", "en", "Iki"),
        ("l’eau", "capital", "fr", "L’eau"),
        ("الماء", "upper", "ar", "الماء"),
    ],
)
def test_in_shape(text: str, shape: str, language: str, shaped: str) -> None:
    assert in_shape(text, shape, language) == shaped  # type: ignore[arg-type]


def test_fold() -> None:
    assert fold("STRASSE", "de") == fold("Straße", "de") == "strasse"
    assert fold("IŞIK", "tr") == "ışık"
    assert fold("İLK", "tr") == "ilk"
    assert fold("cafe\u0301", "fr") == fold("CAFÉ", "fr")


@pytest.mark.parametrize(
    ("before", "after", "border"),
    [
        (" ", "a", True), ("a", ".", True), ("“", "a", True), ("a", "’", True),
        ("-", "a", True), ("a", "b", False), ("a", "1", False), ("3", "k", False), ("_", "a", False), ("@", "a", False),
        ("e", "\u0301", False), ("к", "и", False), ("ك", "ت", False), ("क", "ु", False), ("한", "국", False),
        ("中", "国", True), ("中", "G", True), ("G", "中", True), ("月", "3", True), ("は", "水", True),
        ("キ", "ャ", False), ("ヒ", "ー", False), ("ก", "า", False), ("เ", "ก", False), ("น", "ก", True),
        ("ก", "็", False),
        ("a", "😀", True), ("😀", "a", True), ("م", "\u200c", False), ("\u200c", "ه", False), ("a", "\u200b", True),
        ("\u2764\ufe0f", "a", True), ("7\ufe0f\u20e3", "a", True), ("\u00ad", "w", False), ("e", "\u00ad", False),
        ("\u17d2", "ក", False), ("ក", "\u17d7", False), ("ｶ", "\uff9e", False),
        (".", "a", False), ("..", "a", True), (" .", "n", False), (".", "7", False), (".", "中", True),
        (".”", "W", True), ("s", ".", True), ("s", ".p", False), ("s", ". P", True), ("·", "l", False),
    ],
)  # fmt: skip
def test_borders(before: str, after: str, border: bool) -> None:
    assert (not ending(before) & beginning(after)) == border


def test_what_is_no_word() -> None:
    assert [has_letter(text) for text in ("dog", "...", "42", "中", "\u0301")] == [True, False, False, True, False]
    assert [is_code_like(text) for text in ("well-known", "don't", "v2", "a_b", "me@home", "x²")] == [
        False,
        False,
        *[True] * 4,
    ]
