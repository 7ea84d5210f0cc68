"""Words as token ids, cut as running text cuts them.

A word's tokens depend on what stands around it: a leading space, a bracket, the beginning of a line. So words are
encoded inside a context, and the tokens taken are those that cover exactly the word. Where a token glues the word to
its neighbour there are no such tokens; then another context may do, or the word is not usable in that place.

Words are encoded by the line, many at a time (5 against 10 microseconds a word), and found again by counting bytes.
A mark that stands on both sides of a word is shared by neighbours, which saves a tenth to a quarter with a byte-level
BPE. Where a normaliser changes the length of a line, its words are encoded one by one. Lines are encoded on several
cores where TOKENIZERS_PARALLELISM allows it; nearly all of the time is spent inside the tokenizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from prealign.codeswitch.vocabulary import Vocabulary
from prealign.corpora.text_tokenizer import FastTokenizer, text_tokenizer

WORDS_PER_LINE = 64
LINES_PER_CALL = 256


@dataclass(frozen=True, slots=True)
class Context:
    """What stands before and after a word; with `spaced`, the space before it belongs to the tokens taken."""

    before: str
    after: str
    spaced: bool

    @property
    def is_shared(self) -> bool:
        """Whether what stands after a word also stands before the next."""
        return self.before == self.after


SPACED_CONTEXTS = (Context(",", ",", True), Context(",", " a", True), Context(",", ".", True))
"""Contexts with a space before the word. Their order matters little: BPE and unigram models cut a word alike wherever
no token reaches over its borders. The cheapest comes first."""
BARE_CONTEXTS = (
    Context("\n", "\n", False),
    Context("\n", " a", False),
    Context("(", " a", False),
    Context('"', '"', False),
    Context("-", "-", False),
    Context("'", ".", False),
    Context("“", "”", False),
    Context("。", "。", False),
    Context("(", ",", False),
)
"""Contexts without a space before the word, likewise."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of many words: word i has `ids[starts[i]:stops[i]]`, and none where the two are equal."""

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        return self.stops - self.starts

    def of(self, place: int) -> tuple[int, ...]:
        """The tokens of one word."""
        return tuple(self.ids[self.starts[place] : self.stops[place]].tolist())


class Encoder:
    """Encodes words in context with a private copy of one tokenizer."""

    def __init__(self, tokenizer: FastTokenizer, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._tokenizer = text_tokenizer(tokenizer)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Plain token ids of texts, without special tokens."""
        return [item.ids for item in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def words(self, words: Sequence[str], contexts: Sequence[Context]) -> Encoded:
        """Each word in the first of the contexts in which whole tokens cover it exactly."""
        missing = np.arange(len(words))
        starts, stops = np.zeros(len(words), dtype=np.int64), np.zeros(len(words), dtype=np.int64)
        parts: list[NDArray[np.int32]] = []
        base = 0
        for context in contexts:
            found = self.in_context([words[place] for place in missing.tolist()], context)
            starts[missing], stops[missing] = found.starts + base, found.stops + base
            parts.append(found.ids)
            base += len(found.ids)
            missing = missing[found.lengths == 0]
            if not len(missing):
                break
        ids = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)
        return Encoded(ids, starts, stops)

    def in_context(self, words: Sequence[str], context: Context) -> Encoded:
        """Each word between the context's two sides."""
        starts, stops = np.zeros(len(words), dtype=np.int64), np.zeros(len(words), dtype=np.int64)
        parts: list[NDArray[np.int32]] = []
        base = 0
        places = np.arange(len(words))
        for per_line in (WORDS_PER_LINE, 1):
            step = per_line * LINES_PER_CALL
            retry: list[NDArray[np.int64]] = []
            for begin in range(0, len(places), step):
                chunk = places[begin : begin + step]
                ids, first, stop, is_lost = self._lines([words[place] for place in chunk.tolist()], context, per_line)
                starts[chunk], stops[chunk] = first + base, stop + base
                parts.append(ids)
                base += len(ids)
                retry.append(chunk[is_lost])
            places = np.concatenate(retry) if retry else np.zeros(0, dtype=np.int64)
            if not len(places):
                break
        return Encoded(np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32), starts, stops)

    def _lines(
        self, words: list[str], context: Context, per_line: int
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Encode words by the line; ids, first and last token of each word, and which words stand in lines of another
        length."""
        vocabulary = self.vocabulary
        before = context.before + (" " if context.spaced else "")
        between = before if context.is_shared else context.after + before
        lines = [
            before + between.join(words[begin : begin + per_line]) + context.after
            for begin in range(0, len(words), per_line)
        ]
        rows = self.ids(lines)
        ids = np.fromiter(chain.from_iterable(rows), dtype=np.int32, count=sum(map(len, rows)))
        row_lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        line_of_token = np.repeat(np.arange(len(rows)), row_lengths)

        # A normaliser may put a space before each line ("▁(word"); it belongs to no word.
        n_bytes = vocabulary.n_bytes[ids]
        first_tokens = np.cumsum(row_lengths) - row_lengths
        for line, token in enumerate(first_tokens):
            if (
                row_lengths[line]
                and vocabulary.surfaces[ids[token]].startswith(b" ")
                and not lines[line].startswith(" ")
            ):
                n_bytes[token] -= 1
        written = np.bincount(line_of_token, weights=n_bytes, minlength=len(rows)).astype(np.int64)

        # Word borders in bytes, counted over all lines, from the lengths the text has before normalisation.
        before_bytes = self._length(context.before)
        space_bytes = self._length(" ") if context.spaced else 0
        after_bytes = np.full(len(words), 0 if context.is_shared else self._length(context.after))
        after_bytes[per_line - 1 :: per_line] = after_bytes[-1] = self._length(context.after)
        word_bytes = self._lengths(words)
        line_of_word = np.arange(len(words)) // per_line
        whole = before_bytes + space_bytes + word_bytes + after_bytes
        expected = np.bincount(line_of_word, weights=whole, minlength=len(rows)).astype(np.int64)
        if per_line == 1:  # the normalised word has whatever length is left
            word_bytes = np.maximum(0, word_bytes + written - expected)
            whole = before_bytes + space_bytes + word_bytes + after_bytes
            expected = written
        is_lost_line = expected != written
        if per_line > 1 and self._tokenizer.normalizer is not None:
            # A normaliser may make one word of a line as much longer as another one shorter.
            is_lost_line |= [self._is_rewritten(line, row) for line, row in zip(lines, rows)]
        line_base = np.cumsum(expected) - expected
        word_start = np.cumsum(whole) - whole + before_bytes
        word_stop = word_start + space_bytes + word_bytes

        token_stop = np.cumsum(n_bytes)
        token_base = np.cumsum(written) - written
        token_stop = token_stop + (line_base - token_base)[line_of_token]
        token_start = token_stop - n_bytes
        if is_lost_line.any():  # bytes of such lines must not be found by others
            lost = is_lost_line[line_of_token]
            token_stop[lost], token_start[lost] = line_base[line_of_token[lost]], line_base[line_of_token[lost]]
        first = np.searchsorted(token_start, word_start, side="left")
        # A token of no bytes (a special token) may share the border: take the first token that starts there.
        stop = np.searchsorted(token_stop, word_stop, side="left") + 1
        first_safe, last_safe = np.minimum(first, len(ids) - 1), np.minimum(stop - 1, len(ids) - 1)
        is_lost = is_lost_line[line_of_word]
        exact = (
            ~is_lost
            & (first < len(ids))
            & (stop <= len(ids))
            & (token_start[first_safe] == word_start)
            & (token_stop[last_safe] == word_stop)
            & (word_bytes > 0)
            & (stop > first)
        )
        unusable = np.concatenate([[0], np.cumsum(vocabulary.unusable[ids])])
        exact &= unusable[np.minimum(stop, len(ids))] == unusable[first_safe]
        first[~exact] = stop[~exact] = 0
        if per_line == 1:
            is_lost[:] = False
            for place in np.flatnonzero(exact):
                if not self._stands_in(rows[place], context):
                    first[place] = stop[place] = 0
        return ids, first, stop, is_lost

    def _is_rewritten(self, line: str, row: list[int]) -> bool:
        """Whether the tokens write another text than the line, case aside."""
        if line.isascii():
            return False
        written = b"".join([self.vocabulary.surfaces[token] for token in row]).decode(errors="replace")
        wanted = line if self.vocabulary.has_spaces else "".join(line.split())
        return written.removeprefix(" ").lower() != wanted.lower()

    def _stands_in(self, row: list[int], context: Context) -> bool:
        """Whether the normaliser left the context itself as it is (some turn a line end into a space, or remove it)."""
        if not self.vocabulary.has_spaces:
            return True
        text = b"".join(self.vocabulary.surfaces[token] for token in row)
        before = context.before.encode()
        return (text.startswith(before) or text.startswith(b" " + before)) and text.endswith(context.after.encode())

    def _length(self, text: str) -> int:
        """Bytes that the tokens of this text write; spaces are not written by tokenizers that only mark
        continuation."""
        return int(self._lengths([text])[0])

    def _lengths(self, texts: list[str]) -> NDArray[np.int64]:
        """Likewise for many texts."""
        written = texts if self.vocabulary.has_spaces else ["".join(text.split()) for text in texts]
        return np.fromiter(map(len, map(str.encode, written)), dtype=np.int64, count=len(texts))
