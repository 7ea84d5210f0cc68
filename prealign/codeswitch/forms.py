"""The forms a dictionary word takes in running text, and the same form given to its translation.

An entry `haus` is met as `haus`, `Haus` and `HAUS`, composed (NFC) or decomposed (NFD), and in full case folding
(`straße` and `STRASSE`). Turkish and Azeri pair i with İ and ı with I. The translation takes the shape of the place:
`Haus` at the beginning of a sentence becomes `House`, and a script without case ignores all this.
"""

from __future__ import annotations

import unicodedata
from typing import Literal

Shape = Literal["as is", "capital", "title", "upper"]
"""How a form differs from its entry: not at all, a capital first letter, one on every word, capitals throughout."""

DOTTED_I_LANGUAGES = frozenset({"tr", "az"})
LOWER_DOTTED = str.maketrans({"I": "ı", "İ": "i"})
UPPER_DOTTED = str.maketrans({"ı": "I", "i": "İ"})


def has_dotted_i(language: str) -> bool:
    """Whether the language (BCP 47) pairs i with İ and ı with I."""
    return language[:2] in DOTTED_I_LANGUAGES and language[2:3] in ("", "-")


def lower(text: str, language: str) -> str:
    return (text.translate(LOWER_DOTTED) if has_dotted_i(language) else text).lower()


def upper(text: str, language: str) -> str:
    return (text.translate(UPPER_DOTTED) if has_dotted_i(language) else text).upper()


def fold(text: str, language: str) -> str:
    """What two spellings share when they differ in case or composition only: NFC of the full case folding."""
    dotted = text.translate(LOWER_DOTTED) if has_dotted_i(language) else text
    return unicodedata.normalize("NFC", dotted.casefold())


def capitalise(word: str, language: str) -> str:
    """The word with its first letter in title case; the rest stays, so that `iPhone` becomes `IPhone`."""
    for place, character in enumerate(word):  # mostly the first one
        if character.isalpha():
            large = upper(character, language) if has_dotted_i(language) else character.title()
            return word[:place] + large + word[place + 1 :]
    return word


def in_shape(text: str, shape: Shape, language: str) -> str:
    """The text in the shape of its place; unchanged in scripts without case."""
    if shape == "as is":
        return text
    if shape == "upper":
        return upper(text, language)
    if shape == "capital":
        return capitalise(text, language)
    return " ".join(capitalise(word, language) for word in text.split(" "))


def surface_forms(entry: str, language: str) -> dict[str, Shape]:
    """Every form in which the entry is matched, with the shape it gives to the translation; the entry itself comes
    first.

    >>> surface_forms("straße", "de")
    {'straße': 'as is', 'Straße': 'capital', 'strasse': 'as is', 'Strasse': 'capital', 'STRASSE': 'upper'}
    """
    forms: dict[str, Shape] = {entry: "as is"}
    small, folded = lower(entry, language), fold(entry, language)
    for text in (entry, small, folded):
        forms.setdefault(text, "as is")
        forms.setdefault(capitalise(text, language), "capital")
        if " " in text:
            forms.setdefault(in_shape(text, "title", language), "title")
    forms.setdefault(upper(small, language), "upper")
    for text, shape in list(forms.items()):
        forms.setdefault(unicodedata.normalize("NFD", text), shape)
    return forms
