"""Scripts of writing: whether a sentence can be of the language it is said to be.

A filter of `read_pairs`: an English sentence in the Russian column, where the translation is missing or the columns are
swapped, teaches the aligner nonsense. Only languages that are written in one script today are checked; Serbian, Uzbek,
Kazakh, Azerbaijani, Kurdish, Punjabi and others with two scripts in use are not, unless their code names one (sr-Cyrl).
"""

from __future__ import annotations

import unicodedata
from collections import Counter

SCRIPT_OF_CODE = {
    "Arab": {"ARABIC"},
    "Armn": {"ARMENIAN"},
    "Beng": {"BENGALI"},
    "Cyrl": {"CYRILLIC"},
    "Deva": {"DEVANAGARI"},
    "Ethi": {"ETHIOPIC"},
    "Geor": {"GEORGIAN"},
    "Grek": {"GREEK"},
    "Gujr": {"GUJARATI"},
    "Guru": {"GURMUKHI"},
    "Hani": {"CJK", "BOPOMOFO"},
    "Hans": {"CJK", "BOPOMOFO"},
    "Hant": {"CJK", "BOPOMOFO"},
    "Hebr": {"HEBREW"},
    "Jpan": {"CJK", "HIRAGANA", "KATAKANA"},
    "Khmr": {"KHMER"},
    "Knda": {"KANNADA"},
    "Kore": {"HANGUL", "CJK"},
    "Laoo": {"LAO"},
    "Latn": {"LATIN"},
    "Mlym": {"MALAYALAM"},
    "Mymr": {"MYANMAR"},
    "Orya": {"ORIYA"},
    "Sinh": {"SINHALA"},
    "Taml": {"TAMIL"},
    "Telu": {"TELUGU"},
    "Thai": {"THAI"},
}
"""ISO 15924 code -> first words of the Unicode names of its letters. Unicode's names stand for its Script property,
which Python does not have: the first word of a letter's name is its script, and letters named otherwise (MATHEMATICAL,
MODIFIER, FULLWIDTH ...) count for none."""

ONE_SCRIPT = {
    "Arab": "ar fa ps ur",
    "Armn": "hy",
    "Beng": "as bn",
    "Cyrl": "be bg mk ru tg uk",
    "Deva": "hi mr ne",
    "Ethi": "am ti",
    "Geor": "ka",
    "Grek": "el",
    "Gujr": "gu",
    "Hani": "zh yue",
    "Hebr": "he yi",
    "Jpan": "ja",
    "Khmr": "km",
    "Knda": "kn",
    "Kore": "ko",
    "Laoo": "lo",
    "Latn": "af br ca ceb cs cy da de en eo es et eu fi fo fr fy ga gd gl ht hr hu id is it la lb ln lt lv mg mi mt nb "
    "nl nn no oc pl pt qu rm ro rw sk sl sm sn sq st sv sw tl tn tr ts vi xh yo zu",
    "Mlym": "ml",
    "Mymr": "my",
    "Orya": "or",
    "Sinh": "si",
    "Taml": "ta",
    "Telu": "te",
    "Thai": "th",
}
"""Script -> languages written in it and, in today's published text, in no other. Source: the likely scripts of Unicode
CLDR (supplemental data, likelySubtags), without the languages for which a second script is in wide use."""

CJK_WORTH = 4
"""Latin letters that a Chinese character stands for in the comparison."""
SCRIPT_OF_LANGUAGE = {language: script for script, languages in ONE_SCRIPT.items() for language in languages.split()}
ALL_SCRIPTS = frozenset().union(*SCRIPT_OF_CODE.values())


class ScriptCheck:
    """Finds sentences whose letters are mostly of a script that the language is not written in."""

    def __init__(self, language: str) -> None:
        """language: BCP 47 code; one whose script is not known passes everything."""
        self._own = SCRIPT_OF_CODE.get(_script_code(language) or "")
        self._harmless: set[str] = set()  # characters met that are of the language's script, or no letters
        self._foreign: set[str] = set()

    def is_wrong(self, text: str) -> bool:
        """Whether most of the letters are foreign; a text without letters is not wrong.

        Foreign letters must outnumber the others both as they are and with a Chinese character counted four times: it
        says as much as 3.5 Latin letters, so "我用Twitter" is Chinese.
        """
        if self._own is None:
            return False
        unusual = set(text) - self._harmless
        if not unusual:
            return False
        for character in unusual - self._foreign:
            script = _script(character)
            (self._harmless if script is None or script in self._own else self._foreign).add(character)
        if not unusual & self._foreign:
            return False
        scripts = Counter(script for character in text if (script := _script(character)) is not None)
        foreign = Counter({script: n for script, n in scripts.items() if script not in self._own})
        return all(
            2 * (foreign.total() + extra * foreign["CJK"]) > scripts.total() + extra * scripts["CJK"]
            for extra in (0, CJK_WORTH - 1)
        )


def _script(character: str) -> str | None:
    """First word of a letter's Unicode name where that names a script."""
    if not character.isalpha():
        return None
    name = unicodedata.name(character, "").partition(" ")[0]
    return name if name in ALL_SCRIPTS else None


def _script_code(language: str) -> str | None:
    """The script that a BCP 47 code names, or the one its language is written in; None when unknown."""
    primary, *subtags = language.split("-")
    if "x" in subtags:  # private use: en-x-clone may be written in anything
        return None
    named = [subtag.title() for subtag in subtags if len(subtag) == 4 and subtag.isalpha()]
    return named[0] if named else SCRIPT_OF_LANGUAGE.get(primary.lower())
