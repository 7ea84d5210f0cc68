"""Can this tokenizer write this language? Looked at before a model is trained, when a bad answer costs nothing.

A tokenizer that turns a script into unknown tokens or single bytes trains a model that cannot learn the language; many
tokens per word make it slow and expensive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from prealign.corpora.text_tokenizer import text_tokenizer
from prealign.corpora.words import Segmenter
from prealign.tokenizer.clone import BYTE_PIECE

MOST_FREQUENT = 20


def coverage(tokenizer: Any, documents: Iterable[str], language: str) -> dict[str, Any]:
    """How a tokenizer cuts documents of a language (BCP 47 code).

    Returns:
        documents, words, tokens, bytes: counts; unknown_share and byte_share: tokens that are unknown or stand for a
        single byte, as shares of all tokens; tokens_per_word; bytes_per_token; missing_characters: the most frequent
        characters without a piece of their own, with their counts.
    """
    segmenter = Segmenter(language)
    core = text_tokenizer(tokenizer)
    byte_ids = {number for piece, number in tokenizer.get_vocab().items() if BYTE_PIECE.fullmatch(piece)}
    unknown_ids = {tokenizer.unk_token_id} - {None}
    counts: Counter[str] = Counter()
    characters: Counter[str] = Counter()
    for text in documents:
        ids = core.encode(text, add_special_tokens=False).ids
        counts["documents"] += 1
        counts["words"] += len(segmenter.spans(text))
        counts["bytes"] += len(text.encode())
        counts["tokens"] += len(ids)
        counts["byte tokens"] += sum(number in byte_ids for number in ids)
        counts["unknown tokens"] += sum(number in unknown_ids for number in ids)
        characters.update(text)
    missing = {
        character: count
        for character, count in characters.most_common()
        if not (byte_ids | unknown_ids).isdisjoint(core.encode(character, add_special_tokens=False).ids)
    }
    tokens = max(1, counts["tokens"])
    return {
        "documents": counts["documents"],
        "words": counts["words"],
        "tokens": counts["tokens"],
        "bytes": counts["bytes"],
        "unknown_share": counts["unknown tokens"] / tokens,
        "byte_share": counts["byte tokens"] / tokens,
        "tokens_per_word": counts["tokens"] / max(1, counts["words"]),
        "bytes_per_token": counts["bytes"] / tokens,
        "missing_characters": dict(list(missing.items())[:MOST_FREQUENT]),
    }
