"""What a character means for word borders: the rule that keeps a match from ever being part of a longer word.

Every code point has one class, made from its Unicode category and, for scripts without spaces, its block. A place
between two characters is a word border unless the class before it joins the class after it:

    before \\ after      letter   unspaced   mark, joiner
    other (space, ...)      |         |          |            | border
    letter, digit           +         |          +            + no border
    unspaced                |         |          +
    joiner, leading vowel   +         +          +

`unspaced` are the letters of scripts written without spaces: there every character border counts, except before what
leans on the character before it (vowel signs, small kana, the length mark) and after what leans on the next (Thai
leading vowels).
"""

from __future__ import annotations

import sys
import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

OTHER, LETTER, UNSPACED, MARK, UNSPACED_MARK, JOINER, LEADING = range(7)

# One bit for each kind of beginning; a kind of ending is the set of beginnings that it joins.
BEGINS_LETTER, BEGINS_UNSPACED, BEGINS_LEANING, BEGINS_UNKNOWN, PARTIAL = 1, 2, 4, 8, 128
"""PARTIAL marks a token that begins or ends inside a character: the neighbouring tokens decide."""
JOINS_NOTHING = 0
JOINS_LETTERS = BEGINS_LETTER | BEGINS_LEANING | BEGINS_UNKNOWN
JOINS_MARKS = BEGINS_LEANING | BEGINS_UNKNOWN
JOINS_ALL = BEGINS_LETTER | BEGINS_UNSPACED | BEGINS_LEANING | BEGINS_UNKNOWN

BEGINS = np.array(
    [0, BEGINS_LETTER, BEGINS_UNSPACED, BEGINS_LEANING, BEGINS_LEANING, BEGINS_LEANING, BEGINS_UNSPACED], dtype=np.uint8
)
"""Class of a first character -> how its token begins."""
JOINS = np.array(
    [JOINS_NOTHING, JOINS_LETTERS, JOINS_MARKS, JOINS_LETTERS, JOINS_MARKS, JOINS_ALL, JOINS_ALL], dtype=np.uint8
)
"""Class of a last character -> the beginnings that it joins."""

UNSPACED_BLOCKS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x3005, 0x3007),  # iteration mark, closing mark, zero
    (0x3021, 0x312F),  # Hangzhou numerals, Hiragana, Katakana, Bopomofo
    (0x31A0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xA980, 0xA9FF),  # Javanese, Myanmar extended
    (0xAA60, 0xAA7F),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x1B000, 0x1B16F),
    (0x20000, 0x323AF),
)
LEADING_VOWELS = frozenset("เแโใไເແໂໃໄ")
LEANING_LETTERS = frozenset("ะาำๅๆะາຳໆぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶー々ゝゞヽヾｧｨｩｪｫｬｭｮｯｰ")
"""Letters by category that never begin a word: they belong to the character before."""
JOINERS = frozenset("\u00ad\u1039\u17d2\u200c\u200d\u2060\ufeff")
"""Invisible characters and stackers that hold two characters together."""
CODE_CHARACTERS = frozenset("@\\")
"""Like the underscore (category Pc) they make a name or an address out of the letters beside them."""


def class_of(character: str) -> int:
    """The class of one character."""
    category = unicodedata.category(character)
    code = ord(character)
    if character in JOINERS or 0xE0020 <= code <= 0xE007F:
        return JOINER
    if character in LEADING_VOWELS:
        return LEADING
    unspaced = category != "Nd" and any(low <= code <= high for low, high in UNSPACED_BLOCKS)
    if category[0] == "M" or character in LEANING_LETTERS:
        return UNSPACED_MARK if unspaced else MARK
    if category[0] in "LN" or category == "Pc" or character in CODE_CHARACTERS:
        return UNSPACED if unspaced and category[0] != "P" else LETTER
    return OTHER


@cache
def class_table() -> NDArray[np.uint8]:
    """The class of every code point, [0x110000] uint8; takes 0.5 s once, and is saved with tables that need it."""
    table = np.zeros(sys.maxunicode + 1, dtype=np.uint8)
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code))[0] in "LNMPC":
            table[code] = class_of(chr(code))
    return table


def is_border(before: str, after: str) -> bool:
    """Whether a word may end after the character `before` and another thing begin with `after`; "" is the edge of the
    text."""
    if not before or not after:
        return True
    return not JOINS[class_of(before)] & BEGINS[class_of(after)]


def has_letter(text: str) -> bool:
    """Whether the text has a letter at all; what has none is no word."""
    return text.isalpha() or any(character.isalpha() for character in text)


def is_code_like(text: str) -> bool:
    """Whether the text holds a digit, an underscore, @ or a backslash: such things are never switched."""
    return not text.isalpha() and any(
        c in CODE_CHARACTERS or unicodedata.category(c) in ("Nd", "No", "Pc") for c in text
    )
