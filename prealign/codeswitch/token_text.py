"""Token ids back to text for people, exact to the byte.

A tokenizer's own `decode` drops the space at the beginning of what it is given, so that segments of a row would run
together. Here every token writes its bytes, as the vocabulary knows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from prealign.codeswitch.vocabulary import read_vocabulary
from prealign.corpora.text_tokenizer import FastTokenizer

SPACE = "▁"


class TokenText:
    """The text side of one tokenizer."""

    def __init__(self, tokenizer: FastTokenizer) -> None:
        self._vocabulary = read_vocabulary(tokenizer)
        self._names: Any = tokenizer
        self._continues = getattr(tokenizer.backend_tokenizer.model, "continuing_subword_prefix", None)
        """What WordPiece puts before pieces inside a word."""

    def is_text(self, token: int) -> bool:
        """False for special and unknown tokens."""
        return bool(self._vocabulary.surfaces[token])

    def text(self, ids: Iterable[int]) -> str:
        """What the tokens write; special ones by name between spaces, parts of characters as U+FFFD."""
        written = (self._bytes(token) if self.is_text(token) else b" %b " % self._bytes(token) for token in ids)
        return b"".join(written).decode(errors="replace")

    def piece(self, token: int) -> str:
        """What one token writes, with "▁" for spaces; the bytes in hexadecimal where it is a part of a character."""
        surface = self._bytes(token)
        try:
            return surface.decode().replace(" ", SPACE)
        except UnicodeDecodeError:
            return f"<{surface.hex(' ').upper()}>"

    def documents(self, row: Iterable[int]) -> Iterator[str]:
        """The texts between the special tokens of a row, without the words that the ends of the row may have cut."""
        runs = [(is_text, list(run)) for is_text, run in groupby(row, self.is_text)]
        for place, (is_text, run) in enumerate(runs):
            if not is_text:
                continue
            text = self.text(run).strip()
            if place == 0:
                text = text.partition(" ")[2] or text
            if place == len(runs) - 1:
                text = text.rpartition(" ")[0] or text
            yield text

    def _bytes(self, token: int) -> bytes:
        surface = self._vocabulary.surfaces[token]
        name = "" if surface and self._vocabulary.has_spaces else str(self._names.convert_ids_to_tokens(token))
        if not surface:
            return name.encode()
        if not self._vocabulary.has_spaces and not (self._continues and name.startswith(self._continues)):
            return b" " + surface  # nothing writes the spaces here: whatever continues no word begins one
        return surface
