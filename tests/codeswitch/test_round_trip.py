"""Decoding the switched ids gives the original text with exactly the chosen words replaced, whatever the tokenizer."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prealign import draws
from prealign.codeswitch.switch import switch_rows
from prealign.codeswitch.table import CodeSwitchTable
from prealign.dictionary.dictionary import Dictionary

GERMAN = {
    "house": "Haus", "water": "Wasser", "dog": "Hund", "cat": "Katze", "river": "Fluss", "book": "Buch", "new": "neu",
    "New York": "Neu-York", "big city": "große Stadt", "café": "Kaffeehaus",
}  # fmt: skip
NEIGHBOURS = [
    " ", " ", " ", ", ", ". ", "\n", " (", ") ", '"', "“", "”", "-", "'", "’", "/", ":", "…", " — ", "! ", "😀", " 🇩🇪 ",
    "\u0301", "s", "ly", "_", "7", "Haus", "Straße ", " дом ", "вода", " البيت ", "كتاب", "我爱", "房子。", " घर ",
    "पानी", "บ้าน", "น้ำ ",
]  # fmt: skip
EXACT = ["byte-level", "unigram", "clone"]
"""Here no token glues letters to something else, so that every word can be switched. The unigram one makes NFKC of all
text."""
ALL = [*EXACT, "byte-level-glueing", "metaspace-bpe", "wordpiece", "wordpiece-uncased"]

cased_words = st.sampled_from(sorted(GERMAN)).flatmap(
    lambda word: st.sampled_from([word, word.lower(), word.upper(), word[0].upper() + word[1:]])
)
text_strategy = st.lists(st.one_of(cased_words, st.sampled_from(NEIGHBOURS)), min_size=1, max_size=14).map("".join)

WORD_CHARACTER = r"[\w\u0300-\u036f\u093e-\u094d]"
PATTERN = re.compile(
    rf"(?<![\w\u0300-\u036f\u093e-\u094d])(?:{'|'.join(sorted(GERMAN, key=len, reverse=True))})(?!{WORD_CHARACTER})",
    re.IGNORECASE,
)
UNSPACED = re.compile("[\u0e00-\u0e7f\u4e00-\u9fff]")


def translated(match: re.Match[str]) -> str:
    """The German word in the case of the English one: the rule in one line each."""
    word = match[0]
    german = {source.lower(): target for source, target in GERMAN.items()}[word.lower()]
    if word in GERMAN:
        return german
    if word.isupper():
        return german.upper()
    return german[0].upper() + german[1:] if word[0].isupper() else german


def expected_text(text: str) -> str:
    """All words replaced, by a regular expression. Between a letter and a Thai or Chinese character there is a
    border."""
    guarded = UNSPACED.sub(lambda match: f"\ue000{match[0]}\ue000", text)
    return PATTERN.sub(translated, guarded).replace("\ue000", "")


@pytest.fixture(scope="module")
def german_tables(zoo: dict[str, Any]) -> dict[str, CodeSwitchTable]:
    dictionary = Dictionary.from_pairs(GERMAN.items(), "en", "de")
    return {name: CodeSwitchTable.compile([dictionary], tokenizer) for name, tokenizer in zoo.items()}


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=text_strategy)
def test_all_words_and_nothing_else(name: str, text: str, zoo: dict[str, Any], german_tables: dict[str, Any]) -> None:
    """At ratio 1 every word is replaced, and the text around it stays as it is."""
    tokenizer = zoo[name]
    ids = np.array(tokenizer(text, add_special_tokens=False)["input_ids"], dtype=np.int64)
    done = switch_rows(german_tables[name], [ids], keys=np.zeros(1, dtype=np.uint64), ratio=1.0)
    assert tokenizer.decode(done.input_ids[0]) == expected_text(tokenizer.decode(ids))


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=text_strategy, number=st.integers(0, 1 << 40))
def test_chosen_words_only(
    name: str, text: str, number: int, zoo: dict[str, Any], german_tables: dict[str, Any]
) -> None:
    """At ratio 0.5 the tokens outside of the reported switches are the original ones, and inside stands the right
    word."""
    tokenizer = zoo[name]

    def rendered(text: str) -> str:
        return tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]).strip()

    pairs = {
        (rendered(form), rendered(PATTERN.sub(translated, form)))
        for word in GERMAN
        for form in (word, word.lower(), word.upper(), word[0].upper() + word[1:])
    }
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    key = np.array([draws.key(number)], dtype=np.uint64)
    done = switch_rows(german_tables[name], [np.array(ids, dtype=np.int64)], keys=key, ratio=0.5, with_events=True)
    new = done.input_ids[0].tolist()
    assert done.events is not None
    assert len(done.events) == done.n_switched
    place = out = 0
    for event in done.events:
        assert new[out : event.out_start] == ids[place : event.start]
        place, out = event.stop, event.out_stop
        word = tokenizer.decode(ids[event.start : event.stop]).strip()
        assert (word, tokenizer.decode(new[event.out_start : event.out_stop]).strip()) in pairs
    assert new[out:] == ids[place:]
