"""What a character means for word borders: the rule that keeps a match from ever being part of a longer word.

Every code point has one class, made from its Unicode category and, for scripts without spaces, its block. A place
between two characters is a word border unless the class before it joins the class after it:

    before \\ after      letter   unspaced   mark, joiner
    other (space, ...)      |         |          |            | border
    letter, digit           +         |          +            + no border
    unspaced                |         |          +
    joiner, leading vowel   +         +          +
    point                   +

`unspaced` are the letters of scripts written without spaces: there every character border counts, except before what
leans on the character before it (vowel signs, small kana, the length mark) and after what leans on the next (Thai
leading vowels).

A single point (period, middle dot) directly before a letter is no border either: in `os.path.join` and
`www.example.com` the words are parts of a name. Borders are known by the token, so the rule sees only what one token
writes: `path` is held where a token ends in one period (`.`), and `os` where the next one begins with a period and a
letter (`.path`); before a token that is a period alone `os` stays a word, as the last word of a sentence does. `...and`
keeps its border where one token writes the dots.
"""

from __future__ import annotations

import sys
import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

OTHER, LETTER, UNSPACED, MARK, UNSPACED_MARK, JOINER, LEADING, POINT = range(8)

# One bit for each kind of beginning; a kind of ending is the set of beginnings that it joins.
BEGINS_LETTER, BEGINS_UNSPACED, BEGINS_LEANING, BEGINS_UNKNOWN, BEGINS_APART, PARTIAL = 1, 2, 4, 8, 16, 32
"""BEGINS_APART marks a token that is no continuation, in vocabularies that write no spaces: only code characters hold
it. PARTIAL marks a token that begins or ends inside a character: the neighbouring tokens decide."""
JOINS_NOTHING = 0
JOINS_LETTERS = BEGINS_LETTER | BEGINS_LEANING | BEGINS_UNKNOWN
JOINS_MARKS = BEGINS_LEANING | BEGINS_UNKNOWN
JOINS_ALL = BEGINS_LETTER | BEGINS_UNSPACED | BEGINS_LEANING | BEGINS_UNKNOWN

BEGINS = np.array(
    [0, BEGINS_LETTER, BEGINS_UNSPACED, BEGINS_LEANING, BEGINS_LEANING, BEGINS_LEANING, BEGINS_UNSPACED, 0],
    dtype=np.uint8,
)
"""Class of a first character -> how its token begins."""
JOINS = np.array(
    [JOINS_NOTHING, JOINS_LETTERS, JOINS_MARKS, JOINS_LETTERS, JOINS_MARKS, JOINS_ALL, JOINS_ALL, BEGINS_LETTER],
    dtype=np.uint8,
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
LEANING_LETTERS = frozenset(
    "ะาำๅๆฯະາຳໆຯៗぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶー々ゝゞヽヾｧｨｩｪｫｬｭｮｯｰ\uff9e\uff9f"
)
"""Letters by category that never begin a word: they belong to the character before."""
JOINERS = frozenset("\u00ad\u1039\u17d2\u1a60\ua9c0\u200c\u200d\u2060\ufeff")
"""Invisible characters (soft hyphen, zero width joiners) and stackers that hold two characters together."""
EMOJI_PARTS = ((0x20E3, 0x20E3), (0xFE00, 0xFE0F), (0xE0020, 0xE007F), (0xE0100, 0xE01EF))
"""Keycap, variation selectors, tags: they lean on the character before, and a word may begin right after them."""
CODE_CHARACTERS = frozenset("@\\")
"""Like the underscore (category Pc) they make a name or an address out of the letters beside them."""
POINTS = frozenset(".·")
"""They join the letter after them: `os.path`, Catalan `col·lecció`."""


def class_of(character: str) -> int:
    """The class of one character."""
    category = unicodedata.category(character)
    code = ord(character)
    if character in JOINERS:
        return JOINER
    if any(low <= code <= high for low, high in EMOJI_PARTS):
        return UNSPACED_MARK
    if character in LEADING_VOWELS:
        return LEADING
    if character in POINTS:
        return POINT
    unspaced = category != "Nd" and any(low <= code <= high for low, high in UNSPACED_BLOCKS)
    if category[0] == "M" or character in LEANING_LETTERS:
        return UNSPACED_MARK if unspaced else MARK
    if category[0] in "LN" or is_code_character(character):
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


def beginning(text: str) -> int:
    """How a text begins: as its first character does, but a point and a letter (`.com`) as that letter."""
    if text[0] in POINTS and text[1:] and class_of(text[1]) == LETTER:
        return BEGINS_LETTER
    return int(BEGINS[class_of(text[0])])


def ending(text: str) -> int:
    """Which beginnings the end of a text joins: those that its last character joins, none after two points (`...`)."""
    if text[-1] in POINTS and text[-2:-1] == text[-1]:
        return JOINS_NOTHING
    return int(JOINS[class_of(text[-1])])


def has_letter(text: str) -> bool:
    """Whether the text has a letter at all; what has none is no word."""
    return text.isalpha() or any(map(str.isalpha, text))


def is_code_character(character: str) -> bool:
    """Whether the character makes a name or an address out of the letters beside it: _ and its kin, @, backslash."""
    return character in CODE_CHARACTERS or unicodedata.category(character) == "Pc"


def is_code_like(text: str) -> bool:
    """Whether the text holds a digit, an underscore, @ or a backslash: such things are never switched."""
    return not text.isalpha() and any(map(_is_code_or_digit, text))


@cache
def _is_code_or_digit(character: str) -> bool:
    return is_code_character(character) or unicodedata.category(character) in ("Nd", "No")
