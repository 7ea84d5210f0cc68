"""The self-test of a table: dictionary words inside small texts, encoded as any text is, and looked for with the
compiled keys.

Words are met in other surroundings than the ones they were compiled in. What is not found is mostly a token that glues
the word to a quote or hyphen; such a word is simply never switched there.
"""

from __future__ import annotations

import logging
from itertools import compress

import numpy as np

from prealign.codeswitch.arrays import Arrays
from prealign.codeswitch.characters import UNSPACED, class_of
from prealign.codeswitch.compile import MAX_TOKENS
from prealign.codeswitch.encode import BARE_CONTEXTS, SPACED_CONTEXTS, Encoder
from prealign.codeswitch.matching import locate
from prealign.codeswitch.report import FAIL_BELOW, WARN_BELOW, CompileReport
from prealign.errors import PrealignError

log = logging.getLogger(__name__)

WORDS = 500
SPACED_TEXTS = ("{} is", "of {} or", "a {}, b", "it {}.", "o ({}) o", 'e "{}" e', "so-{} I", "u\n{}\nu")
UNSPACED_TEXTS = ("{}。", "，{}，", "（{}）", "「{}」", "1{}2", "{}\n{}")


def run_self_test(arrays: Arrays, encoder: Encoder, forms: list[str]) -> dict[str, tuple[int, int]]:
    """Words found and tried, by context, over an even sample of all forms (`WORDS` for each context)."""
    sample = _writable(forms[:: max(1, len(forms) // WORDS)][:WORDS], encoder)
    unspaced = [form for form in sample if class_of(form[0]) == UNSPACED or class_of(form[-1]) == UNSPACED]
    spaced = [form for form in sample if form not in set(unspaced)]
    results: dict[str, tuple[int, int]] = {}
    for texts, words in ((SPACED_TEXTS, spaced), (UNSPACED_TEXTS, unspaced)):
        if not words:
            continue
        written = _written(words, encoder)
        for text in texts:
            rows = encoder.ids([text.replace("{}", word) for word in words])
            whole = [not encoder.vocabulary.unusable[row].any() for row in rows]  # it has pieces for this context
            rows = list(compress(rows, whole))
            results[text] = (_found(rows, list(compress(written, whole)), arrays, encoder), len(rows))
    return results


def _writable(words: list[str], encoder: Encoder) -> list[str]:
    """Words that the tokenizer has pieces for, and not too many; the others are counted as dropped when keys are
    made."""
    unusable = encoder.vocabulary.unusable
    return [
        word
        for word, tokens in zip(words, encoder.ids(words), strict=True)
        if len(tokens) <= MAX_TOKENS and not unusable[tokens].any()
    ]


def check(report: CompileReport) -> None:
    """Say the result; warn below 95 %, stop below 50 %: of the source words written, and of those met in context."""
    if report.written_rate < FAIL_BELOW:
        raise PrealignError(
            f"The tokenizer {report.tokenizer} can write only {report.written_rate:.1%} of the dictionary's source "
            f"words. {report} Was it trained on that language?"
        )
    if report.match_rate < FAIL_BELOW:
        raise PrealignError(
            f"Only {report.match_rate:.1%} of the dictionary's words would be matched in text cut by the tokenizer "
            f"{report.tokenizer}. {report} Is it the tokenizer of the text's language and script?"
        )
    if min(report.match_rate, report.written_rate) < WARN_BELOW:
        log.warning("The tokenizer %s lets only part of the words be matched. %s", report.tokenizer, report)
    else:
        log.info("%s", report)


def _written(words: list[str], encoder: Encoder) -> list[bytes]:
    """What the tokenizer makes of each word (normalised, perhaps lowercased), as bytes."""
    encoded = encoder.words(words, (*SPACED_CONTEXTS, *BARE_CONTEXTS))
    return [_surface(encoded.of(place), encoder) for place in range(len(words))]


def _surface(tokens: tuple[int, ...], encoder: Encoder) -> bytes:
    return b"".join(encoder.vocabulary.surfaces[token] for token in tokens).removeprefix(b" ")


def _found(rows: list[list[int]], written: list[bytes], arrays: Arrays, encoder: Encoder) -> int:
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    tokens = np.array([token for row in rows for token in row], dtype=np.int32)
    tokens.flags.writeable = False
    words = np.zeros((len(tokens), 3), dtype=np.int64)
    n_words = locate(arrays, tokens, starts, words)
    found: set[int] = set()
    for start, stop, _ in words[:n_words].tolist():
        row = int(np.searchsorted(starts, start, side="right")) - 1
        matched = _surface(tuple(tokens[start:stop].tolist()), encoder)
        if written[row] and b" " + written[row] + b" " in b" " + matched + b" ":  # also inside a longer entry
            found.add(row)
    return len(found)
