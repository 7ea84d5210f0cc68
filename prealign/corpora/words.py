"""Words as spans of text: where the words of a sentence begin and end, in any script.

Used wherever words count: word alignment, dictionaries, coverage, evaluation. Word borders come from ICU (Unicode
Annex 29 and ICU's dictionaries for Thai, Lao, Khmer, Burmese, Japanese); Chinese goes through jieba, which finds
longer words; French, Italian, Catalan and Occitan are cut after an elided word ("l'" and "homme"); text that is
segmented already is cut at its spaces, and Python users may bring a segmenter of their own.
Spans are offsets into the Python string, so `text[start:end]` is the word, astral characters included.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import version

import rjieba
from icu4py import icu_version
from icu4py.breakers import SentenceBreaker, WordBreaker

from prealign.errors import PrealignError

SPACES = re.compile(r"(\s+)")
BLANK_LINES = re.compile(r"\n\s*\n")
TURKIC = {"tr", "az"}
"""Languages whose capital I is a dotless ı in lower case."""
SENTENCE_END = frozenset('.!?:;…。！？：；؟।\n"“”„«»')
"""Marks after which a capital letter says nothing about the word: it may only begin a sentence or a quotation."""
ELIDED = {
    "fr": "l d j m t s n c ç qu jusqu lorsqu puisqu quoiqu",
    "it": "l gl un nessun alcun ciascun d all coll dall dell nell sull quell quest c m n s t v ch com cos dov "
    "anch neanch",
    "ca": "l d m t s n",
    "oc": "l d m t s n qu",
}
"""Words that lose their vowel before another word and are written together with it: articles, prepositions, pronouns,
conjunctions, some adverbs. French, Catalan and the core of Italian agree with the elision filters of Apache Lucene; ç'
is from French grammars ("ç'a été"), the Italian demonstratives and the like from Italian ones (Fornaciari, Grammatica
italiana, ch. XI), Occitan from the writing advice of Lo Congrès permanent de la lenga occitana. No reader of Italian,
Catalan or Occitan has checked the lists. What else holds an apostrophe stays whole: "aujourd'hui", "quelqu'un",
"presqu'île", "mezz'ora", "O'Connor". A name such as "N'Djamena" is cut, as it looks no different."""
ELISION_RULES = 1
"""Their version, for the signature: dictionaries made under other rules have other words."""
ONE_SPELLING = str.maketrans({"’": "'", "\u00ad": None})
"""Two apostrophes of one meaning, and the soft hyphen, which only shows where a line may end."""


class Segmenter:
    """Finds the words of one language.

    A word is a piece between two borders that holds at least one letter or digit: spaces, punctuation and symbols are
    not words. "don't", "3.14" and "U.S.A" are one word each; "e-mail" is two, and so is French "l'été": "l'" and "été".
    """

    def __init__(self, language: str, method: str | Callable[[str], Iterable[str]] = "auto") -> None:
        """Choose how words are found.

        Args:
            language: BCP 47 code; `auto` goes by its first part.
            method: `icu`, `rjieba`, `spaces` (for text that is segmented already), `auto` (rjieba for Chinese, else
                icu), or a function that gives the words of a text in order. What such a function leaves out, spaces
                for instance, must hold no letter or digit.
        """
        self.language = language
        self._pieces: Callable[[str], list[str]]
        """Cuts a text at every border; the pieces joined are the text again."""
        if method == "auto":
            method = "rjieba" if _primary(language) == "zh" else "icu"
        if method == "rjieba":
            self._pieces, self.signature = rjieba.cut, f"rjieba {version('rjieba')}"
        elif method == "icu":
            self._pieces, self.signature = partial(_icu_pieces, language), f"icu {icu_version}"
            if elided := ELIDED.get(_primary(language)):
                pattern = re.compile(f"(?:{'|'.join(elided.split())})['’]", re.IGNORECASE)
                self._pieces = partial(_pieces_after_elision, pattern, language)
                self.signature += f" elision {ELISION_RULES}"
        elif method == "spaces":
            self._pieces, self.signature = SPACES.split, "spaces"
        elif callable(method):
            self._pieces, self.signature = partial(_pieces_around, method), _name(method)
        else:
            raise PrealignError(f"There is no segmenter {method!r}; choose auto, icu, rjieba or spaces.")

    def spans(self, text: str) -> list[tuple[int, int]]:
        """(start, end) of every word, in order; offsets count Python characters."""
        spans = []
        start = 0
        for piece in self._pieces(text):
            end = start + len(piece)
            if _is_word(piece):
                spans.append((start, end))
            start = end
        return spans

    def words(self, text: str) -> list[str]:
        """The words of `text`, in order."""
        return [piece for piece in self._pieces(text) if _is_word(piece)]

    def words_and_openings(self, text: str) -> tuple[list[str], list[bool]]:
        """The words, and for each whether it opens a sentence or quotation: its capital may not be its own there."""
        words: list[str] = []
        openings: list[bool] = []
        opening = True
        for piece in self._pieces(text):
            if _is_word(piece):
                words.append(piece)
                openings.append(opening)
                opening = False
            elif not opening and not SENTENCE_END.isdisjoint(piece):
                opening = True
        return words, openings


def sentences(text: str, language: str) -> list[str]:
    """The sentences of a text by ICU's sentence borders, white space folded to single spaces, none of them empty.

    Blank lines end a sentence, single line ends do not: running text may be wrapped by hand.
    """
    paragraphs = (" ".join(paragraph.split()) for paragraph in BLANK_LINES.split(text))
    return [sentence.strip() for paragraph in paragraphs for sentence in SentenceBreaker(paragraph, language)]


def has_digit(word: str) -> bool:
    """Whether the word is a number or holds one ("1990s", "3.14"): such words stay out of dictionaries."""
    return any(character.isdigit() for character in word)


def fold(word: str, language: str = "") -> str:
    """The form under which spellings of a word meet: full Unicode case folding in NFC, with the Turkish and Azeri I.

    "Straße" and "STRASSE" fold alike, and so do "don't" and "don’t"; soft hyphens are dropped. In Turkish "I" folds to
    "ı" and "İ" to "i".
    """
    return unicodedata.normalize("NFC", lower(word, language).casefold().translate(ONE_SPELLING))


def without_soft_hyphens(word: str) -> str:
    """The word without the places where a line may break it."""
    return word.replace("\u00ad", "")


def lower(word: str, language: str = "") -> str:
    """The word in lower case, as it is spelt inside a sentence, with the Turkish and Azeri I."""
    if _primary(language) in TURKIC:
        word = word.replace("İ", "i").replace("I", "ı")
    return word.lower()


def _icu_pieces(language: str, text: str) -> list[str]:
    return list(WordBreaker(text, language))


def _pieces_after_elision(elided: re.Pattern[str], language: str, text: str) -> list[str]:
    """ICU's pieces, cut once more after every elided word: "d'aujourd'hui" is "d'" and "aujourd'hui"."""
    pieces = _icu_pieces(language, text)
    if "'" not in text and "’" not in text:
        return pieces
    parts = []
    for piece in pieces:
        place = 0
        while found := elided.match(piece, place):
            parts.append(found[0])
            place = found.end()
        parts.append(piece[place:])
    return parts


def _pieces_around(words_of: Callable[[str], Iterable[str]], text: str) -> list[str]:
    """The words that a user's function finds, and what stands between them."""
    pieces = []
    place = 0
    for word in words_of(text):
        start = text.find(word, place)
        if start < 0 or _is_word(text[place:start]):
            raise PrealignError(
                f"The segmenter {_name(words_of)} gave {word!r} where the text has {text[place : place + 40]!r}. "
                "It must give the words as they are spelt in the text, in order, and leave out no letter or digit."
            )
        pieces += [text[place:start], word]
        place = start + len(word)
    if _is_word(text[place:]):
        raise PrealignError(
            f"The segmenter {_name(words_of)} left out the end of a text: {text[place : place + 40]!r}."
        )
    return [*pieces, text[place:]]


def _name(function: Callable[..., object]) -> str:
    """How a dictionary's card names a user's segmenter."""
    return f"{function.__module__}.{getattr(function, '__qualname__', type(function).__qualname__)}"


def _primary(language: str) -> str:
    return language.partition("-")[0].lower()


def _is_word(piece: str) -> bool:
    # Most pieces are all letters; marks inside a word ("é" decomposed, Thai vowels) are neither letters nor digits.
    return piece.isalnum() or any(map(str.isalnum, piece))
