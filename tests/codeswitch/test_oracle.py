"""The compiled switching against a slow plain one that works on text and dictionaries, over thousands of random
rows."""

from __future__ import annotations

import random
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

ROWS_PER_TOKENIZER = 750
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
            return not self.vocabulary.begins[row[place]]
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
        return not joins & begins

    def switch(self, row: list[int], key: int, ratio: float, length: int | None) -> tuple[list[int], list[int]]:
        ids: list[int] = []
        labels: list[int] = []
        place = word = 0
        while place < len(row) and (length is None or len(ids) < length):
            ends = [
                end for end in range(min(len(row), place + MAX_TOKENS), place, -1) if tuple(row[place:end]) in self.keys
            ]
            ends = [end for end in ends if self.is_border(row, end)] if self.is_border(row, place) else []
            if not ends:
                ids.append(row[place])
                labels.append(row[place])
                place += 1
                continue
            original = row[place : ends[0]]
            new, new_labels = original, original
            if draws.uniforms(key, np.array([2 * word]))[0] < ratio:
                found = self.keys[tuple(original)]
                draw = draws.uniforms(key, np.array([2 * word + 1]))[0]
                sums = np.cumsum([p for p, _, _ in found])
                chosen = found[min(int((draw >= sums).sum()), len(found) - 1)][2]
                if length is None or len(ids) + len(chosen) <= length:
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
    for length, ratio in ((None, 0.5), (24, 0.8)):
        done = switch_rows(table, [np.array(row) for row in rows], keys=keys, ratio=ratio, length=length, pad=3)
        for number, row in enumerate(rows):
            ids, labels = oracle.switch(row, int(keys[number]), ratio, length)
            size = int(done.lengths[number])
            assert done.input_ids[number, :size].tolist() == ids, tokenizer.convert_ids_to_tokens(row)
            assert done.labels[number, :size].tolist() == labels
            assert set(done.input_ids[number, size:].tolist()) <= {3}
            assert set(done.labels[number, size:].tolist()) <= {-100}
        assert done.n_switched > 0.5 * ratio * done.n_eligible
