"""The token store: documents as memory-mapped token ids, written once, read by every training run.

A folder with, per language and split, `<code>.<split>.bin` (token ids, every document followed by the end token),
`.starts.npy` (token offset of each document) and `.bytes.npy` (UTF-8 bytes of each document), and `store.json` with
sizes and fingerprints. Reading costs what a memory map costs; no torch here.
"""

from __future__ import annotations

import copy
import hashlib
import json
from array import array
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from prealign import draws, files
from prealign.errors import PrealignError

Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = get_args(Split)
Tokens = NDArray[np.uint16] | NDArray[np.uint32]
STORE_FILE = "store.json"
FORMAT = 1
BATCH_CHARACTERS = 1 << 21
"""Text tokenised together: enough documents for all threads, about 100 MB of memory while it lasts."""


class FastTokenizer(Protocol):
    """What the store needs of a `transformers.PreTrainedTokenizerFast`."""

    @property
    def backend_tokenizer(self) -> Any: ...
    @property
    def eos_token_id(self) -> Any: ...
    def __len__(self) -> int: ...


def tokenizer_fingerprint(tokenizer: FastTokenizer) -> str:
    """16 hex digits for what decides the ids of a text: vocabulary, merges, normalisation, end token."""
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    for of_the_call in ("truncation", "padding"):
        content.pop(of_the_call, None)
    return files.fingerprint_of([content, tokenizer.eos_token_id])


def write_store(
    folder: Path,
    documents: Mapping[str, Iterator[tuple[str, int]]],
    tokenizer: FastTokenizer,
    *,
    validation_share: float,
    seed: int,
) -> dict[str, Any]:
    """Tokenise every language's (text, bytes) stream into `folder`.

    A document goes to validation by a keyed hash of its text; either split gets at least one document. Streams: in
    memory are a batch of documents and 16 bytes per document written.

    Returns:
        `{"vocab_size", "tokenizer", "fingerprint", "dtype", "languages": {code: {split: {documents, tokens, bytes}}}}`,
        which is also what `store.json` holds.
    Raises:
        PrealignError: a language has fewer than two documents, or the tokenizer has no end token.
    """
    if tokenizer.eos_token_id is None:
        raise PrealignError(
            "The tokenizer has no end-of-sequence token (eos_token), which separates documents in the store."
        )
    folder.mkdir(parents=True, exist_ok=True)
    dtype = np.dtype(np.uint16 if len(tokenizer) <= 1 << 16 else np.uint32)
    languages: dict[str, dict[str, Any]] = {}
    for code, stream in documents.items():
        with ExitStack() as stack:
            shards = {split: stack.enter_context(_Shard(folder, code, split, dtype)) for split in SPLITS}
            for split, ids, size in _tokenised(_with_split(stream, validation_share, seed), tokenizer):
                shards[split].add([*ids, tokenizer.eos_token_id], size)
        languages[code] = {split: shard.finish() for split, shard in shards.items()}
        _check_enough(code, languages[code])
    summary = {
        "format": FORMAT,
        "vocab_size": len(tokenizer),
        "tokenizer": tokenizer_fingerprint(tokenizer),
        "fingerprint": files.fingerprint_of([dtype.name, len(tokenizer), tokenizer_fingerprint(tokenizer), languages]),
        "dtype": dtype.name,
        "languages": languages,
    }
    files.write_json(folder / STORE_FILE, summary)
    return summary


def _with_split(stream: Iterator[tuple[str, int]], share: float, seed: int) -> Iterator[tuple[Split, str, int]]:
    """Name each document's split: validation if its draw lies below `share`.

    As long as all documents fall into one split, the one whose draw is nearest to `share` waits; at the end it goes to
    the split that would be empty.
    """
    waiting: tuple[float, Split, str, int] | None = None
    seen: set[Split] = set()
    for text, size in stream:
        draw = draws.uniform(seed, "validation", text)
        split: Split = "validation" if draw < share else "train"
        distance = abs(draw - share)
        seen.add(split)
        if len(seen) == 1 and (waiting is None or distance < waiting[0]):
            if waiting is not None:
                yield waiting[1:]
            waiting = (distance, split, text, size)
            continue
        if len(seen) == 2 and waiting is not None:
            yield waiting[1:]
            waiting = None
        yield split, text, size
    if waiting is not None:
        _, split, text, size = waiting
        yield ("validation" if split == "train" else "train"), text, size


def _tokenised(
    documents: Iterator[tuple[Split, str, int]], tokenizer: FastTokenizer
) -> Iterator[tuple[Split, list[int], int]]:
    """Token ids without special tokens, in batches that the tokenizer spreads over its threads."""
    core = copy.deepcopy(tokenizer.backend_tokenizer)  # the caller's may cut or pad, and keeps that
    core.no_truncation()
    core.no_padding()
    for batch in _batches(documents):
        encodings = core.encode_batch_fast([text for _, text, _ in batch], add_special_tokens=False)
        for (split, _, size), encoding in zip(batch, encodings, strict=True):
            yield split, encoding.ids, size


def _batches(documents: Iterator[tuple[Split, str, int]]) -> Iterator[list[tuple[Split, str, int]]]:
    batch: list[tuple[Split, str, int]] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document[1])
        if characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _check_enough(code: str, splits: Mapping[str, Mapping[str, Any]]) -> None:
    if not all(split["documents"] for split in splits.values()):
        found = sum(split["documents"] for split in splits.values())
        raise PrealignError(
            f"Language {code} has {found} document{'s' if found != 1 else ''} left after filtering; the store needs at "
            "least two, one to train on and one for validation. Add text, or raise max_bytes or clone_document_share."
        )


class _Shard:
    """One split of one language while it is written."""

    def __init__(self, folder: Path, code: str, split: Split, dtype: np.dtype[Any]) -> None:
        self._place = folder / f"{code}.{split}"
        self._file = _with_suffix(self._place, ".bin").open("wb")
        self._dtype = dtype
        self._digest = hashlib.blake2b(digest_size=8)
        self._starts = array("q", [0])
        self._bytes = array("q")

    def add(self, ids: list[int], size: int) -> None:
        """Append one document: its ids, end token included, and its size in bytes."""
        block = np.array(ids, dtype=self._dtype).tobytes()
        self._file.write(block)
        self._digest.update(block)
        self._starts.append(self._starts[-1] + len(ids))
        self._bytes.append(size)

    def __enter__(self) -> _Shard:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def finish(self) -> dict[str, Any]:
        """Write the side files of the closed shard; counts and the fingerprint of the content."""
        for suffix, values in ((".starts.npy", self._starts), (".bytes.npy", self._bytes)):
            column = np.array(values, dtype=np.int64)
            np.save(_with_suffix(self._place, suffix), column)
            self._digest.update(column.tobytes())
        return {
            "documents": len(self._bytes),
            "tokens": self._starts[-1],
            "bytes": sum(self._bytes),
            "fingerprint": self._digest.hexdigest(),
        }


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
                f"The store in {folder} has another format than this version reads; run prealign prepare again."
            )
        self.folder = folder
        self.languages: list[str] = list(self.summary["languages"])
        self.vocab_size: int = self.summary["vocab_size"]
        self.fingerprint: str = self.summary["fingerprint"]
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

    def check_tokenizer(self, tokenizer: FastTokenizer) -> None:
        """Refuse a tokenizer that did not write this store.

        Raises:
            PrealignError: vocabulary, merges, normalisation or end token differ.
        """
        given = tokenizer_fingerprint(tokenizer)
        if given != self.tokenizer:
            raise PrealignError(
                f"The store in {self.folder} was written with tokenizer {self.tokenizer} ({self.vocab_size:,} pieces), "
                f"not with the one given ({given}, {len(tokenizer):,} pieces). Use that tokenizer, or run "
                "prealign prepare again."
            )

    def _open(self, code: str, split: Split) -> TokenStream:
        counts = self.summary["languages"][code][split]
        dtype = np.dtype(self.summary["dtype"])
        place = self.folder / f"{code}.{split}"
        file = _with_suffix(place, ".bin")
        self._check_size(file, counts["tokens"] * dtype.itemsize)
        starts = self._column(_with_suffix(place, ".starts.npy"), counts["documents"] + 1)
        sizes = self._column(_with_suffix(place, ".bytes.npy"), counts["documents"])
        # A plain array over the map: slicing np.memmap itself is three times as slow.
        tokens = np.memmap(file, dtype=dtype, mode="r").view(np.ndarray)
        return TokenStream(tokens, starts, sizes)

    def _column(self, file: Path, length: int) -> NDArray[np.int64]:
        try:
            column: NDArray[np.int64] = np.load(file, mmap_mode="r", allow_pickle=False).view(np.ndarray)
        except (OSError, EOFError, ValueError) as error:
            raise PrealignError(f"{file} cannot be read ({error}). {WAY_OUT}") from None
        if len(column) != length:
            raise PrealignError(f"{file} has {len(column):,} entries, but {STORE_FILE} says {length:,}. {WAY_OUT}")
        return column

    def _check_size(self, file: Path, expected: int) -> None:
        found = file.stat().st_size if file.is_file() else None
        if found is None:
            raise PrealignError(f"{file} is missing. {WAY_OUT}")
        if found != expected:
            raise PrealignError(f"{file} has {found:,} bytes, but {STORE_FILE} says {expected:,}. {WAY_OUT}")


WAY_OUT = "The store is not whole: remove its folder and run prealign prepare again."


def _with_suffix(place: Path, suffix: str) -> Path:
    return place.with_name(place.name + suffix)
