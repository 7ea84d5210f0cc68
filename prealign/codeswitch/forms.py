"""The forms a dictionary word takes in running text, and the same form given to its translation.

An entry `haus` is met as `haus`, `Haus` and `HAUS`, composed (NFC) or decomposed (NFD), with either apostrophe, and in
full case folding (`straße` and `STRASSE`). Turkish and Azeri pair i with İ and ı with I. The translation takes the
shape of the place: `Haus` at the beginning of a sentence becomes `House`, and a script without case ignores all this.

A phrase written small may hold a name (`the netherlands`, `king of england`), so that of two or three words each may
have a capital: one more form for two words, five more for three. An entry that has capitals says itself where they
belong: `New York` is not met as `new York`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from itertools import product
from typing import Literal

Shape = Literal["as is", "capital", "title", "upper"]
"""How a form differs from its entry: not at all, a capital first letter, one on every word, capitals throughout."""

DOTTED_I_LANGUAGES = frozenset({"tr", "az"})
LOWER_DOTTED = str.maketrans({"I": "ı", "İ": "i"})
UPPER_DOTTED = str.maketrans({"ı": "I", "i": "İ"})
WORD_GAP = re.compile("([ -])")
MOST_MIXED_WORDS = 3
APOSTROPHES = "'\u2019"


def has_dotted_i(language: str) -> bool:
    """Whether the language (BCP 47) pairs i with İ and ı with I."""
    return language[:2] in DOTTED_I_LANGUAGES and language[2:3] in ("", "-")


def compose(text: str) -> str:
    """The text in NFC; a decomposed İ would else be taken for an I."""
    return unicodedata.normalize("NFC", text)


def lower(text: str, language: str) -> str:
    return (compose(text).translate(LOWER_DOTTED) if has_dotted_i(language) else text).lower()


def upper(text: str, language: str) -> str:
    return (text.translate(UPPER_DOTTED) if has_dotted_i(language) else text).upper()


def fold(text: str, language: str) -> str:
    """What two spellings share when they differ in case or composition only: NFC of the full case folding."""
    dotted = compose(text).translate(LOWER_DOTTED) if has_dotted_i(language) else text
    return compose(dotted.casefold())


def capitalise(word: str, language: str) -> str:
    """The word with its first letter in title case; the rest stays, so that `iPhone` becomes `IPhone`."""
    if has_dotted_i(language):
        return _first_letter(word, lambda letter: upper(letter, language))
    if word[:1].isalpha():  # nearly all
        return word[0].title() + word[1:]
    return _first_letter(word, str.title)


def _first_letter(word: str, change: Callable[[str], str]) -> str:
    for place, character in enumerate(word):
        if character.isalpha():
            return word[:place] + change(character) + word[place + 1 :]
    return word


def in_shape(text: str, shape: Shape, language: str) -> str:
    """The text in the shape of its place; unchanged in scripts without case."""
    if shape == "as is":
        return text
    if shape == "upper":
        return upper(text, language)
    if shape == "capital":
        return capitalise(text, language)
    return "".join(capitalise(word, language) for word in WORD_GAP.split(text))


def surface_forms(entry: str, language: str) -> dict[str, Shape]:
    """Every form in which the entry is matched, with the shape it gives to the translation; the entry itself comes
    first.

    >>> surface_forms("maß", "de")
    {'maß': 'as is', 'Maß': 'capital', 'mass': 'as is', 'Mass': 'capital', 'MASS': 'upper', 'MAẞ': 'upper'}
    """
    forms: dict[str, Shape] = {entry: "as is"}
    small, folded = lower(entry, language), fold(entry, language)
    for text in (entry, compose(entry), small, folded):
        forms.setdefault(text, "as is")
        forms.setdefault(capitalise(text, language), "capital")
        if WORD_GAP.search(text):
            forms.setdefault(in_shape(text, "title", language), "title")
    if entry == small and " " in entry:
        first = entry.partition(" ")[0]
        for text in _mixed_capitals(entry, language):
            forms.setdefault(text, "as is" if text.startswith(first) else "capital")
    forms.setdefault(upper(small, language), "upper")
    if "ß" in small:
        forms.setdefault(upper(small.replace("ß", "ẞ"), language), "upper")
    if any(mark in entry for mark in APOSTROPHES):
        for text, shape in list(forms.items()):
            for mark in APOSTROPHES:
                forms.setdefault(with_apostrophe(text, mark), shape)
    for text, shape in list(forms.items()):
        if not text.isascii():
            forms.setdefault(compose(text), shape)
            forms.setdefault(unicodedata.normalize("NFD", text), shape)
    return forms


def _mixed_capitals(phrase: str, language: str) -> list[str]:
    """A phrase of two or three words with capitals on any of them."""
    words = phrase.split(" ")
    if len(words) > MOST_MIXED_WORDS:
        return []
    return [" ".join(choice) for choice in product(*((word, capitalise(word, language)) for word in words))]


def with_apostrophe(text: str, mark: str) -> str:
    """The text with all its apostrophes (' or ’) written as `mark`."""
    return text.translate(dict.fromkeys(map(ord, APOSTROPHES), mark))
