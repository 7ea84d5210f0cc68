"""Where an entry matches and where it does not: one row for each rule, under every tokenizer, to be checked by eye.

Every word that has a translation is switched (ratio 1). Where a tokenizer leaves no choice, because a token glues the
word to its neighbour or its text does not know the difference, `EXCEPTIONS` says what happens instead and why.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from prealign.codeswitch.switch import switch_rows
from prealign.codeswitch.table import CodeSwitchTable
from prealign.dictionary.dictionary import Dictionary
from prealign.errors import PrealignError

SPACED = ["byte-level", "byte-level-glueing", "metaspace-bpe", "unigram", "clone"]
WORDPIECE = ["wordpiece", "wordpiece-uncased"]
NAMES = [*SPACED, *WORDPIECE]


class Case(NamedTuple):
    language: str
    text: str
    expected: str


ENTRIES = {
    "en": {
        "house": "Haus", "water": "Wasser", "New York": "Neu-York", "new": "neu", "New York city": "Stadt",
        "big city": "große Stadt", "the old man": "der Alte", "can": "Dose", "don": "Herr", "t": "tee",
        "well-known": "bekannt", "path": "Weg", "os": "Mund", "com": "Komm",
    },
    "de": {"straße": "road", "Haus": "house", "maß": "size"},
    "fr": {"café": "bar", "eau": "water", "aujourd'hui": "today"},
    "tr": {"ilk": "first", "ışık": "light", "iyi": "good"},
    "az": {"ildırım": "flash"},
    "ru": {"вода": "water", "дом": "house"},
    "el": {"νερό": "water"},
    "ar": {"الماء": "water", "البيت": "house"},
    "he": {"מים": "water"},
    "ca": {"col": "cabbage"},
    "hi": {"पानी": "water", "घर": "house"},
    "ko": {"물": "water"},
    "zh": {"中国": "China", "中国人": "Chinese", "水": "water", "爱": "love"},
    "ja": {"水": "water", "本": "book", "キ": "key"},
    "th": {"น้ำ": "water", "บ้าน": "house", "ก": "chicken"},
    "lo": {"ນ້ຳ": "water", "ກ": "chicken"},
    "km": {"ទឹក": "water"},
    "km-KH": {"ក": "neck"},
}  # fmt: skip

MATCHED = {
    "after a space": Case("en", "the house is", "the Haus is"),
    "at the start and the end of the text": Case("en", "house", "Haus"),
    "at the start of a line": Case("en", "the\nhouse\n\nhouse\r\nhouse\thouse", "the\nHaus\n\nHaus\r\nHaus\tHaus"),
    "after two spaces": Case("en", "the  house is", "the  Haus is"),
    "after a non-breaking space": Case("en", "the\u00a0house\u00a0is", "the\u00a0Haus\u00a0is"),
    "in straight quotes": Case("en", "\"house\" 'house'", "\"Haus\" 'Haus'"),
    "in curly quotes": Case("en", "“house” ‘house’ «house» „house“", "“Haus” ‘Haus’ «Haus» „Haus“"),
    "in brackets": Case("en", "(house) [house] {house} <house>", "(Haus) [Haus] {Haus} <Haus>"),
    "beside hyphens and dashes": Case("en", "tree-house-dog house—house – house", "tree-Haus-dog Haus—Haus – Haus"),
    "beside a non-breaking hyphen": Case("en", "tree\u2011house", "tree\u2011Haus"),
    "beside a slash": Case("en", "cat/house/dog", "cat/Haus/dog"),
    "beside apostrophes": Case("en", "the house's o'house o’house", "the Haus's o'Haus o’Haus"),
    "before punctuation": Case("en", "house, house. house; house: house!", "Haus, Haus. Haus; Haus: Haus!"),
    "before a question mark": Case("en", "the house?", "the Haus?"),
    "before an ellipsis": Case("en", "house… house...", "Haus… Haus..."),
    "after an ellipsis": Case("en", "…house and …house", "…Haus and …Haus"),
    "after the end of a sentence": Case("en", "the end. House", "the end. Haus"),
    "after a period and a quote": Case("en", "end.“House” is", "end.“Haus” is"),
    "beside emoji": Case("en", "😀house😀 🇩🇪house", "😀Haus😀 🇩🇪Haus"),
    "after an emoji with a selector": Case("en", "\u2764\ufe0fhouse", "\u2764\ufe0fHaus"),
    "beside special tokens": Case("en", "cat</s>house</s>cat", "cat</s>Haus</s>cat"),
    "beside other scripts without spaces": Case("en", "我house爱", "我Haus爱"),
    "in lower, title and upper case": Case("en", "house House HOUSE", "Haus Haus HAUS"),
    "in upper case, the longer form": Case("en", "BIG CITY", "GROSSE STADT"),
    "full case folding": Case("de", "straße Straße STRASSE strasse STRAẞE", "road Road ROAD road ROAD"),
    "an entry with a capital": Case("de", "Haus haus HAUS", "house house HOUSE"),
    "composed and decomposed": Case("fr", "café cafe\u0301 Cafe\u0301 CAFÉ", "bar bar Bar BAR"),
    "French elision": Case("fr", "l'eau, l’eau", "l'water, l’water"),
    "either apostrophe": Case("fr", "aujourd’hui Aujourd'hui", "today Today"),
    "Turkish i": Case("tr", "ilk İlk İLK ışık Işık IŞIK", "first First FIRST light Light LIGHT"),
    "Turkish I, decomposed": Case("tr", "I\u0307yi I\u0307YI\u0307", "Good GOOD"),
    "Azeri i": Case("az", "ildırım İldırım İLDIRIM", "flash Flash FLASH"),
    "several words": Case("en", "a big city, Big city, Big City", "a große Stadt, Große Stadt, Große Stadt"),
    "several words, the longest": Case("en", "New York city, New York, new", "Stadt, Neu-York, neu"),
    "several words, a capital inside": Case("en", "the Old Man and The old Man", "der Alte and Der Alte"),
    "several words, cut short": Case("en", "New York c", "Neu-York c"),
    "with a hyphen inside": Case("en", "well-known Well-known Well-Known", "bekannt Bekannt Bekannt"),
    "Russian": Case("ru", "вода, «Вода» дом.", "water, «Water» house."),
    "Greek": Case("el", "νερό, Νερό", "water, Water"),
    "Arabic": Case("ar", "(الماء) الماء، البيت؟", "(water) water، house؟"),
    "Arabic, right-to-left mark": Case("ar", "\u200fالماء\u200f", "\u200fwater\u200f"),
    "Hebrew": Case("he", "מים, מים־מים", "water, water־water"),
    "Hindi": Case("hi", "पानी। घर,पानी", "water। house,water"),
    "Korean": Case("ko", "물 물.", "water water."),
    "Chinese": Case("zh", "我爱中国,水。", "我loveChina,water。"),
    "Chinese, the longest": Case("zh", "中国人爱水", "Chineselovewater"),
    "Chinese beside letters and digits": Case("zh", "A水B 3水4", "AwaterB 3water4"),
    "Japanese": Case("ja", "水を飲む。本が", "waterを飲む。bookが"),
    "Thai": Case("th", "น้ำ บ้าน", "water house"),
    "Lao": Case("lo", "ນ້ຳ ນ້ຳ", "water water"),
    "Khmer": Case("km", "ទឹក។ ទឹក", "water។ water"),
    "Thai inside running text": Case("th", "ดื่มน้ำบ้าน", "ดื่มwaterhouse"),
    "Lao inside running text": Case("lo", "ດື່ມນ້ຳ", "ດື່ມwater"),
    "Khmer inside running text": Case("km", "ផឹកទឹក", "ផឹកwater"),
}  # fmt: skip
UNTOUCHED = {
    "inside a longer word": ("en", "houses warehouse housework Warehouses"),
    "beside digits": ("en", "house1 1house 2house3 house²"),
    "in names of code": ("en", "the_house house_the _house @house house@x"),
    "after a backslash": ("en", r"\house"),
    "in file and host names": ("en", "a.path x.com/ w.path.com"),
    "in camel case": ("en", "houseWater HouseWater"),
    "in mixed case": ("en", "hOuse HOuse houSE"),
    "before a combining mark": ("en", "house\u0301"),
    "beside a soft hyphen": ("en", "house\u00adwork ware\u00adhouse"),
    "beside a joiner": ("en", "house\u200dx \u2060house"),
    "in a contraction": ("en", "can't Can’t CAN'T don't DON’T"),
    "a capital that the entry has": ("en", "in York and york"),
    "dotted and dotless i are two letters": ("tr", "ılk isik"),
    "the English capital of a Turkish word": ("tr", "ILK"),
    "Russian, inside": ("ru", "водан домик"),
    "Arabic, with an article or prefix": ("ar", "والماء البيتي"),
    "Catalan": ("ca", "el·col"),
    "Hindi, inside": ("hi", "पानीपत घरों"),
    "Korean, with a particle": ("ko", "물을"),
    "Japanese, before a small kana": ("ja", "キャ キー"),
    "Thai, before and after vowel signs": ("th", "กา เก กิ"),
    "Lao, before and after vowel signs": ("lo", "ກາ ເກ ກິ"),
    "Khmer, before a sign and after a stacker": ("km-KH", "កា ស្ក"),
}  # fmt: skip
CASES = MATCHED | {name: Case(language, text, text) for name, (language, text) in UNTOUCHED.items()}
NO_PIECES = "no pieces"
"""The tokenizer cannot write any of the entries: the table is refused."""
# Case -> tokenizer -> what happens instead. "wordpiece" stands for both kinds unless the uncased one is named.
EXCEPTIONS: dict[str, dict[str, str]] = {
    # A token reaches over the word border: these tokenizers have learnt `爱中国`, ` น้ำ` or `м.` as a piece.
    "Chinese": {
        "byte-level": "我爱中国,water。",
        "byte-level-glueing": "我爱中国,water。",
        "wordpiece": "我 love China, water。",
    },
    "Russian": {"metaspace-bpe": "water, «Water» дом."},
    "Thai inside running text": {
        "byte-level": "ดื่มน้ำhouse",
        "metaspace-bpe": "ดื่มน้ำhouse",
        "wordpiece": "ดื่มน้ำบ้าน",  # running text is one word of ## pieces
    },
    # WordPiece writes no spaces: where Chinese stands beside letters its decoder makes some.
    "Chinese, the longest": {"wordpiece": "Chinese love water"},
    "Chinese beside letters and digits": {"wordpiece": "A water B 3 water 4"},
    "Japanese": {"wordpiece": "water を 飲 む。book が"},
    # `os . path` and `os. Path` have the same tokens; the last example is an entry before a period.
    "in file and host names": {"wordpiece": "a.Weg x.Komm/ w.Weg.Komm"},
    "Catalan": {"wordpiece": "el·cabbage"},
    # The normaliser removes joiners, and the uncased one removes case and marks too.
    "beside a joiner": {"wordpiece": "housex Haus"},
    "full case folding": {"wordpiece": "road Road ROAD road \u1e9e", "wordpiece-uncased": "road road road road road"},
    "in upper case, the longer form": {"wordpiece-uncased": "große stadt"},
    "in mixed case": {"wordpiece-uncased": "haus haus haus"},
    "before a combining mark": {"wordpiece-uncased": "haus"},
    "dotted and dotless i are two letters": {"wordpiece-uncased": "ılk light"},
    "the English capital of a Turkish word": {"wordpiece-uncased": "first"},
    "Thai, before and after vowel signs": {"wordpiece-uncased": "กา เก chicken"},
    # These tokenizers of ours have no Lao and no Khmer letters.
    **{case: {"wordpiece": NO_PIECES} for case in CASES if CASES[case].language in ("lo", "km", "km-KH")},
}


@pytest.fixture(scope="module")
def switched(zoo: dict[str, Any]) -> Any:
    """(tokenizer, language, text) -> the text with all words switched; one table for each tokenizer and language."""
    tables: dict[tuple[str, str], CodeSwitchTable] = {}

    def switch(name: str, language: str, text: str) -> str:
        if (name, language) not in tables:
            dictionary = Dictionary.from_pairs(ENTRIES[language].items(), language, "x-other")
            tables[name, language] = CodeSwitchTable.compile([dictionary], zoo[name])
        ids = zoo[name](text, add_special_tokens=False)["input_ids"]
        done = switch_rows(tables[name, language], [np.array(ids)], keys=np.zeros(1, dtype=np.uint64), ratio=1.0)
        return str(zoo[name].decode(done.input_ids[0]))

    switch.tables = tables  # type: ignore[attr-defined]
    return switch


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", CASES)
def test_matching(case: str, name: str, zoo: dict[str, Any], switched: Any) -> None:
    language, text, expected = CASES[case]
    instead = EXCEPTIONS.get(case, {})
    expected = instead.get(name, instead.get(name.removesuffix("-uncased"), expected))
    if expected == NO_PIECES:
        with pytest.raises(PrealignError, match="has no pieces for"):
            switched(name, language, text)
        return
    written = zoo[name].decode(zoo[name](expected, add_special_tokens=False)["input_ids"])
    assert switched(name, language, text) == written


@pytest.mark.parametrize("name", NAMES)
def test_block_borders(name: str, zoo: dict[str, Any], switched: Any) -> None:
    """The first and the last word of a block match; a word that goes on behind the end of the block does not."""
    switched(name, "en", "house")
    table, tokenizer = switched.tables[name, "en"], zoo[name]

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    def block(text: str, first: int, length: int) -> str:
        row = np.array(ids(text)[first:])
        done = switch_rows(table, [row], keys=np.zeros(1, dtype=np.uint64), ratio=1.0, length=length)
        return str(tokenizer.decode(done.input_ids[0])).strip()

    first, second, third = (len(ids(text)) for text in ("of", "of the", "of the house"))
    haus, translation = len(ids("of the Haus")) - second, str(tokenizer.decode(ids("Haus"))).strip()
    assert block("of the house is", second, haus) == translation
    assert block("of the house is", first, second - first + haus) == f"the {translation}"
    row = ids("of the housewarming")
    if row[:third] == ids("of the house"):  # it begins with the tokens of house
        assert block("of the housewarming", 0, third) == "of the house"
