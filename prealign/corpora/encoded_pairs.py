"""Linked sentence pairs as token ids: which tokens make up each linked word. Fills the pair store (`pair_store`)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import islice

from prealign.corpora.drops import Drops
from prealign.corpora.linked_pairs import LinkedPair, Spans
from prealign.corpora.pair_store import EncodedPair, LanguagePair, words_key
from prealign.corpora.text_tokenizer import FastTokenizer, text_tokenizer

PAIRS_AT_ONCE = 1_000
"""Sentence pairs that are tokenised together: a megabyte of text."""


def encode_pairs(
    pairs: Iterable[LinkedPair], tokenizer: FastTokenizer, languages: LanguagePair, drops: Drops, unknown: int | None
) -> Iterator[EncodedPair]:
    """Each sentence pair as ids without special tokens, with those of its links whose words are whole tokens.

    Args:
        drops: receives the links that are left out: a word's borders do not fall on borders of tokens, or it has an
            unknown token.
        unknown: id of the unknown token, if there is one.
    """
    core = text_tokenizer(tokenizer)
    stream = iter(pairs)
    while batch := list(islice(stream, PAIRS_AT_ONCE)):
        sources = core.encode_batch([pair.source for pair in batch], add_special_tokens=False)
        targets = core.encode_batch([pair.target for pair in batch], add_special_tokens=False)
        for pair, source, target in zip(batch, sources, targets, strict=True):
            of_source = token_spans(pair.source, pair.source_words, source.offsets)
            of_target = token_spans(pair.target, pair.target_words, target.offsets)
            links, words = [], []
            for i, j in pair.links:
                texts = _word(pair.source, pair.source_words[i]), _word(pair.target, pair.target_words[j])
                left, right = of_source[i], of_target[j]
                if left is None or right is None:
                    drops.add("links of words that are no whole tokens", " | ".join(texts))
                elif unknown in source.ids[slice(*left)] or unknown in target.ids[slice(*right)]:
                    drops.add("links of words with unknown tokens", " | ".join(texts))
                else:
                    links.append((*left, *right))
                    words.append(words_key(*texts, languages))
            yield EncodedPair(source.ids, target.ids, links, words)


def token_spans(text: str, words: Spans, offsets: list[tuple[int, int]]) -> list[tuple[int, int] | None]:
    """The tokens (start, end) of each word, None where its borders are no borders of tokens.

    Args:
        words: (start, end) of each word in characters.
        offsets: (start, end) of each token in characters. A space in front belongs to the token of a word; a token
            that is nothing else belongs to the word behind it, as it does where the word stands alone.
    """
    starts = [_after_space(text, start, end) for start, end in offsets]
    ends = [end for _, end in offsets]
    found: list[tuple[int, int] | None] = []
    for start, end in words:
        first, last = bisect_left(starts, start), bisect_right(ends, end)
        whole = first < last and starts[first] == start and ends[last - 1] == end
        found.append((first, last) if whole else None)
    return found


def _after_space(text: str, start: int, end: int) -> int:
    while start < end and text[start].isspace():
        start += 1
    return start


def _word(text: str, span: tuple[int, int]) -> str:
    return text[slice(*span)]
