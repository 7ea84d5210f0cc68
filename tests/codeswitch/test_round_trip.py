"""Decoding the switched ids gives the original text with exactly the chosen words replaced, whatever the tokenizer.

Seven languages are source and target at once: every word is an entry, translated into the six other languages. What may
be replaced, and by what, is worked out again here from the text alone (`Reader`), by a plain rule for words.
"""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prealign import draws
from prealign.codeswitch.compile import MAX_TOKENS
from prealign.codeswitch.switch import Event, switch_rows
from prealign.codeswitch.table import CodeSwitchTable
from prealign.dictionary.dictionary import Dictionary

LANGUAGES = ["en", "de", "ru", "ar", "zh", "hi", "th"]
CONCEPTS = [
    ["house", "Haus", "дом", "بيت", "房子", "घर", "บ้าน"],
    ["water", "Wasser", "вода", "ماء", "水", "पानी", "น้ำ"],
    ["dog", "Hund", "собака", "كلب", "狗", "कुत्ता", "หมา"],
    ["book", "Buch", "книга", "كتاب", "书", "किताब", "หนังสือ"],
    ["city", "Stadt", "город", "مدينة", "城市", "शहर", "เมือง"],
    ["big city", "große Stadt", "большой город", "مدينة كبيرة", "大城市", "बड़ा शहर", "เมืองใหญ่"],
    ["café", "Kaffeehaus", "кафе", "مقهى", "咖啡馆", "कैफ़े", "ร้านกาแฟ"],
]  # fmt: skip
TARGETS = {word: dict(zip(LANGUAGES, concept)) for concept in CONCEPTS for word in concept}
UNSPACED_WORDS = {concept[place] for concept in CONCEPTS for place in (4, 6)}
NEIGHBOURS = [
    " ", " ", " ", ", ", ". ", "\n", " (", ") ", '"', "“", "”", "-", "'", "’", "/", ":", "…", " — ", "! ", "😀", " 🇩🇪 ",
    "👩🏽‍💻", "❤️", "\u0301", "\u094d", "\u200d", "s", "ly", "_", "7", "@", ".b", "new ", "Straße ", "да", " ال", "و",
    "我", "。", " का", "ใน", "เ", "า", "।", "<", "\\",
]  # fmt: skip
NAMES = [
    "byte-level", "unigram", "clone", "byte-level-glueing", "metaspace-bpe", "wordpiece", "wordpiece-uncased",
]  # fmt: skip
EXACT = NAMES[:3]
"""Here no token glues the words of scripts with spaces to something else, so that each of them can be switched."""
PAD = 3


def shapes(word: str) -> list[str]:
    """How a word is written in running text: as it is, lower, upper, with one or several capitals, decomposed."""
    cased = [word, word.lower(), word.upper(), word[0].upper() + word[1:], word.title()]
    return list(dict.fromkeys([*cased, *(unicodedata.normalize("NFD", form) for form in cased)]))


text_strategy = st.lists(
    st.one_of(st.sampled_from(sorted(TARGETS)).flatmap(lambda word: st.sampled_from(shapes(word))),
              st.sampled_from(NEIGHBOURS)),
    min_size=1, max_size=14,
).map("".join)  # fmt: skip


def translated(word: str, form: str, language: str) -> str:
    """The translation in the case of the form: the rule in one line each."""
    target, form = TARGETS[word][language], unicodedata.normalize("NFC", form)
    if form in (word, word.lower()):
        return target
    if form == word.upper():
        return target.upper()
    if form == word[0].upper() + word[1:]:
        return target[0].upper() + target[1:]
    return " ".join(part[0].upper() + part[1:] for part in target.split(" "))


def is_joined(before: str, after: str) -> bool:
    """Whether one word goes on from the text `before` to the text `after`."""
    if not before or not after:
        return False
    last, first = before[-1], after[0]

    def is_part(character: str) -> bool:
        return character.isalnum() or character in "_@\\\u200d" or unicodedata.category(character)[0] == "M"

    def is_unspaced(character: str) -> bool:
        return "\u0e00" <= character <= "\u0e7f" or "\u4e00" <= character <= "\u9fff"

    if last == "." and first.isalnum() and not is_unspaced(first):
        return before[-2:-1] != "."
    if last == "\ufe0f" or not is_part(last) or not is_part(first):  # a selector ends an emoji
        return False
    if unicodedata.category(first)[0] == "M" or first in "\u200dะาำ" or last in "\u200dเแโใไ":
        return True
    return not is_unspaced(last) and not is_unspaced(first)


class Reader:
    """What a text written by one tokenizer allows: where entries stand in it, and their translations."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        forms = [(word, form) for word in TARGETS for form in shapes(word)]
        self.words: dict[str, list[tuple[str, str]]] = {}
        for word, form in forms:  # an uncased tokenizer writes several of them alike
            self.words.setdefault(self.rendered(form), []).append((word, form))

    def rendered(self, text: str) -> str:
        """The text as the tokenizer writes it."""
        return str(self.tokenizer.decode(self.tokenizer(text, add_special_tokens=False)["input_ids"])).strip()

    def places(self, text: str) -> dict[tuple[int, int], str]:
        """(start, stop) -> word, for all words with borders on both sides, overlapping ones too."""
        return {
            (start, start + len(word)): word
            for start in range(len(text))
            for word in self.words
            if text.startswith(word, start)
            and not is_joined(text[:start], text[start:])
            and not is_joined(text[: start + len(word)], text[start + len(word) :])
        }

    def translations(self, word: str, language: str) -> set[str]:
        """What may stand in the place of a word: the dictionary's own form where the shaped one has too many tokens."""
        found = set()
        for entry, form in self.words[word]:
            text = translated(entry, form, language)
            is_long = len(self.tokenizer(text, add_special_tokens=False)["input_ids"]) > MAX_TOKENS
            found.add(self.rendered(TARGETS[entry][language] if is_long else text))
        return found


@pytest.fixture(scope="module")
def readers(zoo: dict[str, Any]) -> dict[str, Reader]:
    return {name: Reader(tokenizer) for name, tokenizer in zoo.items()}


@pytest.fixture(scope="module")
def babel(zoo: dict[str, Any]) -> dict[str, CodeSwitchTable]:
    """Tables that take every language for the source."""
    dictionaries = [
        Dictionary.from_pairs([(w, targets[code]) for w, targets in TARGETS.items() if w != targets[code]], "mul", code)
        for code in LANGUAGES
    ]
    return {name: CodeSwitchTable.compile(dictionaries, tokenizer) for name, tokenizer in zoo.items()}


def span(tokenizer: Any, ids: list[int], event: Event) -> tuple[int, int]:
    """Where a switched word stands in the decoded text, without its leading space."""
    stop = len(tokenizer.decode(ids[: event.stop]))
    start = len(tokenizer.decode(ids[: event.start]))
    word = tokenizer.decode(ids[: event.stop])[start:]
    return stop - len(word.removeprefix(" ")), stop


@pytest.mark.parametrize("name", NAMES)
@settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    text=text_strategy,
    key=st.integers(0, 1 << 40),
    ratio=st.sampled_from([0.5, 1.0]),
    length=st.one_of(st.none(), st.integers(1, 24)),
    pad_left=st.booleans(),
)
def test_exactly_the_chosen_words_are_replaced(
    name: str, text: str, key: int, ratio: float, length: int | None, pad_left: bool,
    zoo: dict[str, Any], readers: dict[str, Reader], babel: dict[str, CodeSwitchTable],
) -> None:  # fmt: skip
    tokenizer, reader = zoo[name], readers[name]
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    done = switch_rows(
        babel[name], [np.array(ids, dtype=np.int64)], keys=np.array([draws.key(key)], dtype=np.uint64), ratio=ratio,
        length=length, pad=PAD, pad_left=pad_left, with_events=True,
    )  # fmt: skip
    row, size, used = done.input_ids[0].tolist(), int(done.lengths[0]), int(done.used[0])
    padding = row[: len(row) - size] if pad_left else row[size:]
    new = row[len(row) - size :] if pad_left else row[:size]
    assert padding == [PAD] * (len(row) - size)
    assert used == len(ids) or size == length

    original = tokenizer.decode(ids)
    places = reader.places(original)
    expected, behind, chosen = "", 0, []
    for event in done.events or []:
        start, stop = span(tokenizer, ids, event)
        assert (start, stop) in places, f"{original[start:stop]!r} is no word of {original!r}"
        translation = tokenizer.decode(new[event.out_start : event.out_stop]).strip()
        assert translation in reader.translations(places[start, stop], event.language)
        expected += original[behind:start] + translation
        behind = stop
        chosen.append((start, stop))
    rest = ids[used:]  # what did not fit; without it a cut row may end inside a character
    assert tokenizer.decode(new + rest) == expected + original[behind:]
    assert done.n_switched == len(chosen)

    if name in EXACT and ratio == 1.0 and length is None:
        for (start, stop), word in places.items():
            if word not in UNSPACED_WORDS:
                assert any(start >= first and stop <= last for first, last in chosen), f"{word!r} stays in {original!r}"
