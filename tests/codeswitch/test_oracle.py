"""The compiled loops of switching against slow plain ones, over thousands of random rows.

The rules (borders, forms, the tokens of a word) are those of the code itself; test_matching.py and test_round_trip.py
look at these from outside.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from prealign import draws
from prealign.codeswitch import characters
from prealign.codeswitch.compile import MAX_TOKENS
from prealign.codeswitch.encode import BARE_CONTEXTS, SPACED_CONTEXTS, Encoder
from prealign.codeswitch.forms import in_shape, surface_forms
from prealign.codeswitch.switch import switch_rows
from prealign.codeswitch.table import CodeSwitchTable
from prealign.codeswitch.vocabulary import read_vocabulary

ROWS_PER_TOKENIZER = 250
NAMES = [
    "byte-level", "byte-level-glueing", "metaspace-bpe", "unigram", "wordpiece", "wordpiece-uncased", "clone",
]  # fmt: skip


class Oracle:
    """Code-switching as one would write it first: dictionaries of tuples and a loop over tokens."""

    def __init__(self, words: dict[str, dict[str, list[str]]], tokenizer: Any) -> None:
        self.vocabulary = read_vocabulary(tokenizer)
        encoder = Encoder(tokenizer, self.vocabulary)
        self.keys: dict[tuple[int, ...], list[tuple[float, str, tuple[int, ...]]]] = {}
        families = (SPACED_CONTEXTS, BARE_CONTEXTS) if self.vocabulary.has_spaces else (BARE_CONTEXTS,)
        sources = dict.fromkeys(source for translations in words.values() for source in translations)
        for wanted_shape in ("as is", "capital", "title", "upper"):
            for source in sources:
                for form, shape in surface_forms(source, "en").items():
                    if shape != wanted_shape:
                        continue
                    for family in families:
                        options = []
                        for language, translations in words.items():
                            for plain in sorted(translations.get(source, [])):  # equally probable, so by alphabet
                                text = in_shape(plain, shape, language)
                                options.append((language, self.encode(text, plain, family, families, encoder)))
                        options = [(language, tokens) for language, tokens in options if tokens]
                        languages = list(dict.fromkeys(language for language, _ in options))
                        of = [sum(1 for other, _ in options if other == language) for language, _ in options]
                        found = [(1 / n / len(languages), language, t) for n, (language, t) in zip(of, options)]
                        for context in family:
                            key = encoder.in_context([form], context).of(0)
                            if key and len(key) <= MAX_TOKENS and found:
                                self.keys.setdefault(key, found)

    def encode(self, text: str, plain: str, family: Any, families: Any, encoder: Encoder) -> tuple[int, ...]:
        """Tokens of a translation in its place; the dictionary's own form where the shaped one cannot be written."""
        for form in (text, plain):
            tokens = [encoder.words([form], contexts).of(0) for contexts in families]
            if all(0 < len(t) <= MAX_TOKENS for t in tokens):
                return tokens[families.index(family)]
        return ()

    def bytes_beside(self, row: list[int], place: int, step: int) -> bytes:
        """Up to four bytes before (step -1) or from (step 1) a place on, up to the next special token."""
        text = b""
        while 0 <= place < len(row) and len(text) < 4 and self.vocabulary.surfaces[row[place]]:
            surface = self.vocabulary.surfaces[row[place]]
            text = text + surface if step > 0 else surface + text
            place += step
        return text[:4] if step > 0 else text[-4:]

    def is_border(self, row: list[int], place: int) -> bool:
        """Whether a word may end before the token at `place`."""
        if place in (0, len(row)):
            return True
        if not self.vocabulary.has_spaces:
            return not self.vocabulary.joins[row[place - 1]] & self.vocabulary.begins[row[place]]
        unknown = self.vocabulary.surfaces.index(b"")
        if unknown in row[place - 1 : place + 1]:
            left, right = row[place - 1], row[place]
            return not self.vocabulary.joins[left] & self.vocabulary.begins[right]
        before, after = self.bytes_beside(row, place - 1, -1), self.bytes_beside(row, place, 1)
        if not before or not after:
            return True
        left = next((text for n in range(1, 5) if (text := decoded(before[-n:])) is not None), None)
        right = next((text for n in range(1, 5) if (text := decoded(after[:n])) is not None), None)
        joins = characters.JOINS_ALL if left is None else characters.JOINS[characters.class_of(left)]
        begins = characters.BEGINS_UNKNOWN if right is None else characters.BEGINS[characters.class_of(right)]
        if self.vocabulary.surfaces[row[place - 1]].endswith(b".."):
            joins = characters.JOINS_NOTHING
        own = decoded(self.vocabulary.surfaces[row[place]])
        if own and own[0] == "." and own[1:2].isalnum():
            begins = characters.BEGINS_LETTER
        return not joins & begins

    def decisions(self, key: int, ratio: float, run: int) -> Iterator[bool]:
        """Yes or no for one eligible word after the other: gaps with the chances of a coin thrown for each run."""
        place = 0
        while True:
            draw, share = int(draws.bits(key, np.array([place]))[0] >> 11), 1.0
            place += 1
            for _ in range(64):
                share *= 1.0 - ratio
                yes = draw >= int(share * 2.0**53)
                yield from [yes] * run
                if yes:
                    break

    def choice(self, key: int, word: int, original: list[int], ratios: dict[str, float]) -> tuple[int, ...] | None:
        """The translation of the row's word number `word`; None where its language was drawn and it has none."""
        found = self.keys[tuple(original)]
        draw = draws.uniforms(key, np.array([(1 << 62) + word]))[0]
        if ratios:
            share = draws.uniforms(key, np.array([(2 << 62) + word], dtype=np.uint64))[0] * sum(ratios.values())
            language = list(ratios)[int((share >= np.cumsum(list(ratios.values()))).sum())]
            found = [item for item in found if item[1] == language]
            draw *= sum(p for p, _, _ in found)
        sums = np.cumsum([p for p, _, _ in found])
        return found[min(int((draw >= sums).sum()), len(found) - 1)][2] if found else None

    def switch(
        self,
        row: list[int],
        key: int,
        ratio: float | dict[str, float],
        length: int | None = None,
        run: int = 1,
        documents: list[int] | None = None,
    ) -> tuple[list[int], list[int]]:
        ids: list[int] = []
        labels: list[int] = []
        word = 0
        ratios = ratio if isinstance(ratio, dict) else {}
        decisions = self.decisions(key, sum(ratios.values()) if isinstance(ratio, dict) else ratio, run)
        borders = [*(documents or [0]), len(row)]
        for text in [row[start:stop] for start, stop in pairwise(borders)]:
            place = 0
            while place < len(text) and (length is None or len(ids) < length):
                ends = range(min(len(text), place + MAX_TOKENS), place, -1)
                ends = [end for end in ends if tuple(text[place:end]) in self.keys and self.is_border(text, end)]
                if not ends or not self.is_border(text, place):
                    ids.append(text[place])
                    labels.append(text[place])
                    place += 1
                    continue
                original = text[place : ends[0]]
                new, new_labels = original, original
                chosen = self.choice(key, word, original, ratios) if next(decisions) else None
                if chosen and (length is None or len(ids) + len(chosen) <= length):
                    new, new_labels = list(chosen), [original[0]] + [-100] * (len(chosen) - 1)
                ids += new
                labels += new_labels
                word += 1
                place = ends[0]
        return ids[:length], labels[:length]


def decoded(text: bytes) -> str | None:
    try:
        return text.decode() or None
    except UnicodeDecodeError:
        return None


def random_row(rng: random.Random, vocab_size: int, texts: list[list[int]]) -> list[int]:
    """Stretches of real text, of other rows and of random tokens, so that words meet all sorts of neighbours."""
    row: list[int] = []
    while len(row) < 40:
        text = rng.choice(texts)
        start = rng.randrange(len(text))
        row += text[start : start + rng.randrange(1, 20)]
        row += [rng.randrange(vocab_size) for _ in range(rng.choice((0, 0, 1, 2)))]
    return row


@pytest.mark.parametrize("name", NAMES)
def test_equals_the_plain_version(
    name: str, zoo: dict[str, Any], tables: dict[str, CodeSwitchTable], words: dict[str, Any], texts: list[str]
) -> None:
    tokenizer, table = zoo[name], tables[name]
    oracle = Oracle(words, tokenizer)
    rng = random.Random(7)
    encoded = tokenizer([text + " " + text.upper() for text in texts], add_special_tokens=False)["input_ids"]
    rows = [random_row(rng, len(tokenizer), encoded) for _ in range(ROWS_PER_TOKENIZER)]
    keys = draws.bits(11, len(rows))
    packed = [sorted({0, *rng.sample(range(len(row)), 3)}) for row in rows]
    by_language = dict(zip(table.target_languages, (0.2, 0.5)))
    cases: list[dict[str, Any]] = [
        {"ratio": 0.5},
        {"ratio": 0.8, "length": 24},
        {"ratio": 0.01},
        {"ratio": 0.3, "run": 3},
        {"ratio": 0.6, "documents": packed},
        {"ratio": by_language},
    ]
    for case in cases:
        options = case | ({"documents": [np.array(places) for places in packed]} if "documents" in case else {})
        done = switch_rows(table, [np.array(row) for row in rows], keys=keys, pad=3, **options)
        for number, row in enumerate(rows):
            case_of_row = case | ({"documents": packed[number]} if "documents" in case else {})
            ids, labels = oracle.switch(row, int(keys[number]), **case_of_row)
            size = int(done.lengths[number])
            assert done.input_ids[number, :size].tolist() == ids, tokenizer.convert_ids_to_tokens(row)
            assert done.labels[number, :size].tolist() == labels
            assert set(done.input_ids[number, size:].tolist()) <= {3}
            assert set(done.labels[number, size:].tolist()) <= {-100}
        assert done.n_switched > 0
