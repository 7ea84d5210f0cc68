"""How much running text a table can switch: the share of words it covers, by frequency, and the most frequent ones it
lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from prealign.codeswitch.characters import BEGINS_LETTER, LEADING, UNSPACED, UNSPACED_MARK, class_of
from prealign.codeswitch.encode import Encoder
from prealign.codeswitch.forms import fold
from prealign.codeswitch.matching import locate
from prealign.codeswitch.switch import flatten
from prealign.codeswitch.table import CodeSwitchTable
from prealign.codeswitch.vocabulary import Vocabulary, read_vocabulary
from prealign.corpora.text_tokenizer import FastTokenizer
from prealign.corpora.words import Segmenter
from prealign.dictionary.coverage import Coverage

UNSPACED_CLASSES = {UNSPACED, UNSPACED_MARK, LEADING}


def coverage(table: CodeSwitchTable, tokenizer: FastTokenizer, texts: Iterable[str]) -> Coverage:
    """Look up every word of a text sample.

    A running word is covered when the tokens of an eligible word begin inside it or reach over it, found by counting
    bytes; one that is only partly covered (an entry 水 in the word 喝水) is not. A text that the tokenizer normalises
    to another length is looked up in its normalised form.
    """
    vocabulary = read_vocabulary(tokenizer)
    table.check_tokenizer(tokenizer)
    encoder = Encoder(tokenizer, vocabulary)
    segmenter = Segmenter(table.source_language)
    running: Counter[str] = Counter()
    covered: Counter[str] = Counter()
    for text in texts:
        tokens, starts = flatten([np.array(encoder.ids([text])[0], dtype=np.int32)])
        found = np.empty((len(tokens), 3), dtype=np.int64)
        n_found = locate(table.arrays, tokens, starts, found)
        surfaces = _surfaces(tokens.tolist(), vocabulary)
        written = b"".join(surfaces).decode(errors="replace")
        ends = np.cumsum([len(surface) for surface in surfaces])
        is_covered = np.zeros(int(ends[-1]) if len(ends) else 0, dtype=np.bool_)
        for start, stop, _ in found[:n_found]:
            is_covered[int(ends[start]) - len(surfaces[start]) : int(ends[stop - 1])] = True
        place = np.cumsum([0, *(len(character.encode()) for character in written)])
        for start, stop in segmenter.spans(written):
            word = fold(written[start:stop], table.source_language)
            if any(character.isalpha() for character in word):
                running[word] += 1
                covered[word] += int(is_covered[place[start] : place[stop]].all())
    return Coverage.of_counts(running, covered)


def _surfaces(tokens: list[int], vocabulary: Vocabulary) -> list[bytes]:
    """What each token writes, with a space before words where the vocabulary writes none; not between the characters of
    scripts without spaces, which the segmenter takes together."""
    surfaces = [vocabulary.surfaces[token] for token in tokens]
    if vocabulary.has_spaces:
        return surfaces
    spaced, before = [], " "
    for token, surface in zip(tokens, surfaces, strict=True):
        text = surface.decode() or " "
        is_apart = not vocabulary.begins[token] & BEGINS_LETTER
        is_unspaced = {class_of(before[-1]), class_of(text[0])} <= UNSPACED_CLASSES
        spaced.append(b" " + surface if is_apart and not is_unspaced else surface)
        before = text
    return spaced
