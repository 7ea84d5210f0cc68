"""The token store: documents as memory-mapped token ids, written once, read by every training run.

A folder with three files per language and split, plain little-endian numbers that a memory map reads as they are:
`<code>.<split>.tokens.bin` (token ids, 2 or 4 bytes each, every document followed by the end token), `.starts.bin`
(token offset of each document, and the end of the last; 8 bytes each) and `.bytes.bin` (UTF-8 bytes of each document; 8
bytes each); and `store.json` with counts and fingerprints, written last. `store_writer` makes it. No torch here.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from prealign import files
from prealign.corpora.text_tokenizer import FastTokenizer
from prealign.errors import PrealignError

Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = get_args(Split)
Tokens = NDArray[np.uint16] | NDArray[np.uint32]
STORE_FILE = "store.json"
FORMAT = 2
COLUMNS = ("tokens", "starts", "bytes")
OFFSET = np.dtype(np.int64)
"""Type of the columns of starts and bytes."""
AGAIN = "prealign prepare RECIPE --fresh store"


def column_file(folder: Path, code: str, split: Split, column: str) -> Path:
    """Where a column of a split lies."""
    return folder / f"{code}.{split}.{column}.bin"


def tokenizer_fingerprint(tokenizer: FastTokenizer) -> str:
    """16 hex digits for what decides the ids of a text: vocabulary, merges, normalisation, end token."""
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    for of_the_call in ("truncation", "padding"):
        content.pop(of_the_call, None)
    return files.fingerprint_of([content, tokenizer.eos_token_id])


class TokenStream:
    """One split of one language: token ids of all documents in a row, each document followed by the end token."""

    def __init__(self, tokens: Tokens, document_starts: NDArray[np.int64], document_bytes: NDArray[np.int64]) -> None:
        self.tokens = tokens
        """[tokens] uint16 or uint32, memory-mapped."""
        self.document_starts = document_starts
        """[documents + 1] offset of each document's first token; the last is the number of tokens."""
        self.document_bytes = document_bytes
        """[documents] UTF-8 bytes of each document's text (of its original for a clone)."""

    def __len__(self) -> int:
        """Number of tokens."""
        return len(self.tokens)

    def window(self, start: int, length: int) -> Tokens:
        """`length` tokens from `start` on, read-only; over the end it goes on at the beginning (then a copy)."""
        size = len(self.tokens)
        start %= size
        if start + length <= size:
            return self.tokens[start : start + length]
        wrapped = self.tokens.take(np.arange(start, start + length), mode="wrap")
        wrapped.flags.writeable = False
        return wrapped


class _Renamed:
    """Tokens of a stream with other ids, looked up when they are read: a memory map of any size stays one."""

    def __init__(self, tokens: Tokens, names: Tokens) -> None:
        self._tokens, self._names = tokens, names

    def __len__(self) -> int:
        return len(self._tokens)

    def __getitem__(self, places: slice) -> Tokens:
        found: Tokens = self._names[self._tokens[places]]
        found.flags.writeable = False
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self._names[self._tokens].astype(dtype or self._names.dtype, copy=False)

    def take(self, places: NDArray[np.int64], mode: Literal["wrap"]) -> Tokens:
        """As numpy's, for windows that go over the end."""
        found: Tokens = self._names[self._tokens.take(places, mode=mode)]
        return found


class TokenStore:
    """A finished store, memory-mapped for reading."""

    def __init__(self, folder: Path) -> None:
        """Open the store in `folder`; sizes of all files are checked, contents are read when used.

        Raises:
            PrealignError: there is no whole store, another version wrote it, or a file was cut off or replaced.
        """
        if not (folder / STORE_FILE).is_file():
            raise PrealignError(
                f"{folder} holds no token store (no {STORE_FILE}). Make one with: prealign prepare RECIPE"
            )
        self.summary: dict[str, Any] = files.read_json(folder / STORE_FILE)
        if self.summary.get("format") != FORMAT:
            raise PrealignError(
                f"The store in {folder} was written by another version of prealign (format "
                f"{self.summary.get('format')}, this version reads {FORMAT}). Make it again with: {AGAIN}"
            )
        self.folder = folder
        self.languages: list[str] = list(self.summary["languages"])
        self.vocab_size: int = self.summary["vocab_size"]
        self.fingerprint: str = self.summary["fingerprint"]
        self.document_end: int = self.summary["document_end"]
        """Id of the token after each document."""
        self.tokenizer: str = self.summary["tokenizer"]
        """Fingerprint of the tokenizer whose ids these are."""
        self._streams = {(code, split): self._open(code, split) for code in self.languages for split in SPLITS}

    def stream(self, language: str, split: Split) -> TokenStream:
        """The tokens of one split of one language."""
        if (language, split) not in self._streams:
            raise PrealignError(
                f"The store in {self.folder} has no {split} text of {language}; it has {', '.join(self.languages)}."
            )
        return self._streams[language, split]

    def renamed(self, names: NDArray[np.int64]) -> TokenStore:
        """The same text in other ids.

        Args:
            names: [ids of this store] the id that each of them becomes.
        """
        short: Tokens = names.astype(self.summary["dtype"])
        other = copy.copy(self)
        other.vocab_size, other.document_end = int(names.max()) + 1, int(names[self.document_end])
        other._streams = {
            key: TokenStream(
                cast("Tokens", _Renamed(stream.tokens, short)), stream.document_starts, stream.document_bytes
            )
            for key, stream in self._streams.items()
        }
        return other

    def check_tokenizer(self, tokenizer: FastTokenizer) -> None:
        """Refuse a tokenizer that did not write this store.

        Raises:
            PrealignError: vocabulary, merges, normalisation or end token differ.
        """
        refuse_other_tokenizer(self.folder, self.summary, tokenizer, AGAIN)

    def _open(self, code: str, split: Split) -> TokenStream:
        counts = self.summary["languages"][code][split]

        def column(kind: str, dtype: np.dtype[Any], length: int) -> NDArray[Any]:
            return open_column(column_file(self.folder, code, split, kind), dtype, length, AGAIN)

        tokens: Tokens = column("tokens", np.dtype(self.summary["dtype"]), counts["tokens"])
        starts = column("starts", OFFSET, counts["documents"] + 1)
        return TokenStream(tokens, starts, column("bytes", OFFSET, counts["documents"]))


def open_column(file: Path, dtype: np.dtype[Any], length: int, again: str) -> NDArray[Any]:
    """A file of `length` numbers, memory-mapped; again: the command that writes it.

    Raises:
        PrealignError: it is missing, cut off or replaced.
    """
    way_out = f"The store is not whole. Make it again with: {again}"
    if not file.is_file():
        raise PrealignError(f"{file} is missing. {way_out}")
    found, expected = file.stat().st_size, length * dtype.itemsize
    if found != expected:
        raise PrealignError(f"{file} has {found:,} bytes, but there should be {expected:,}. {way_out}")
    if not expected:
        return np.empty(0, dtype=dtype)  # nothing cannot be mapped
    # A plain array over the map: slicing np.memmap itself is three times as slow.
    return np.memmap(file, dtype=dtype, mode="r").view(np.ndarray)


def refuse_other_tokenizer(folder: Path, summary: Mapping[str, Any], tokenizer: FastTokenizer, again: str) -> None:
    """Stop when `tokenizer` is not the one whose ids a store holds; again: the command that writes the store."""
    given = tokenizer_fingerprint(tokenizer)
    if given != summary["tokenizer"]:
        raise PrealignError(
            f"The store in {folder} was written with tokenizer {summary['tokenizer']} ({summary['vocab_size']:,} "
            f"pieces), not with the one given ({given}, {len(tokenizer):,} pieces). Use that tokenizer, or make the "
            f"store again with: {again}"
        )
