"""Writing a token store: streams of documents in, files of token ids out, gone on with after an interruption.

Between the text of the languages (`language_text`) and the store that training reads (`store`). The work is done in
batches of a million characters. After every few of them the files are flushed and `<code>.progress.json` says how far
they reach; the same call, interrupted, reads the text again up to there, tokenises what follows, and ends with the same
bytes. Those do not depend on the number of processes either.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prealign import draws, files
from prealign.corpora.drops import Drops
from prealign.corpora.store import (
    COLUMNS,
    FORMAT,
    OFFSET,
    SPLITS,
    STORE_FILE,
    Split,
    column_file,
    tokenizer_fingerprint,
)
from prealign.corpora.text_tokenizer import FastTokenizer, n_ids
from prealign.corpora.tokenise import Encoded, encoded
from prealign.errors import PrealignError

Documents = Callable[[Drops], Iterator[tuple[str, int]]]
"""Opens the stream of a language's (text, bytes); what is left out is counted in the argument."""
BATCH_CHARACTERS = 1 << 20
"""Text tokenised together by one process: half a second's work, at most 100 MB of memory while it lasts."""
MARK_EVERY = 4
"""Batches after which progress is marked: a few seconds of work are lost when the process is killed."""
PROGRESS = ".progress.json"
TOKENIZER = "tokenizer.json"
NOTHING = {"documents": 0, "tokens": 0, "bytes": 0}


class Document(NamedTuple):
    """One document on its way into the store."""

    text: str
    size: int
    """UTF-8 bytes of the text (of its original, for a clone)."""
    split: Split


def write_store(
    folder: Path,
    documents: Mapping[str, Documents],
    tokenizer: FastTokenizer,
    *,
    validation_share: float,
    seed: int,
    workers: int = 1,
    batch_characters: int = BATCH_CHARACTERS,
    training_only: Mapping[str, Callable[[], Iterator[str]]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Tokenise every language's documents into `folder`, or go on with what an interrupted call has left there.

    A document goes to validation by a keyed hash of its text; either split gets at least one document. Memory does not
    grow with the text.

    Args:
        training_only: opens further documents of a language, which come last and never go to validation.
    Returns:
        What `store.json` holds: `{"format", "vocab_size", "tokenizer", "fingerprint", "dtype", "document_end",
        "languages": {code: {split: {documents, tokens, bytes, fingerprint}}}, "left_out": {code: {reason: {count,
        samples}}}}`.
    Raises:
        PrealignError: a language has fewer than two documents, the tokenizer has no end token, or there is no room.
    """
    if tokenizer.eos_token_id is None:
        raise PrealignError(
            "The tokenizer has no end-of-sequence token (eos_token), which separates documents in the store."
        )
    folder.mkdir(parents=True, exist_ok=True)
    vocab_size = n_ids(tokenizer)
    dtype = np.dtype(np.uint16 if vocab_size <= 1 << 16 else np.uint32)
    languages: dict[str, dict[str, Any]] = {}
    left_out: dict[str, Any] = {}
    for code, opened in documents.items():
        progress = folder / (code + PROGRESS)
        done: dict[str, Any] = files.read_json(progress) if progress.is_file() else {"batches": 0}
        if "left_out" not in done:
            drops = Drops()
            split = _with_split(opened(drops), validation_share, seed)
            further = (Document(text, len(text.encode()), "train") for text in training_only.get(code, tuple)())
            batches = _batches(chain(split, further), batch_characters)
            tokenised = encoded(islice(batches, done["batches"], None), tokenizer, folder / TOKENIZER, workers)
            splits = _write_language(folder, code, dtype, tokenised, done)
            _check_enough(code, splits)
            done = {"splits": splits, "left_out": drops.as_dict()}
            files.write_json(progress, done)
        languages[code], left_out[code] = done["splits"], done["left_out"]
    identity = [dtype.name, vocab_size, tokenizer_fingerprint(tokenizer), languages]
    summary = {
        "format": FORMAT,
        "vocab_size": vocab_size,
        "tokenizer": tokenizer_fingerprint(tokenizer),
        "fingerprint": files.fingerprint_of(identity),
        "dtype": dtype.name,
        "document_end": tokenizer.eos_token_id,
        "languages": languages,
        "left_out": left_out,
    }
    files.write_json(folder / STORE_FILE, summary)
    for scratch in (*folder.glob("*" + PROGRESS), folder / TOKENIZER):
        scratch.unlink(missing_ok=True)
    return summary


def has_progress(folder: Path) -> bool:
    """Whether an interrupted `write_store` has left anything there that it would go on with."""
    return any(folder.glob("*" + PROGRESS))


def _write_language(
    folder: Path,
    code: str,
    dtype: np.dtype[Any],
    tokenised: Generator[tuple[list[Document], Encoded], None, None],
    done: dict[str, Any],
) -> dict[Split, dict[str, Any]]:
    """Append the batches to the language's files; counts and fingerprint of each split."""
    reached: dict[Split, dict[str, int]] = done.get("splits", dict.fromkeys(SPLITS, NOTHING))
    n_batches: int = done["batches"]
    with ExitStack() as stack:
        stack.callback(tokenised.close)  # ends its processes
        with _told_where_no_room_is(folder, reached):
            parts = {split: stack.enter_context(_Part(folder, code, split, dtype, reached[split])) for split in SPLITS}
        for batch, found in tokenised:
            sizes = np.array([document.size for document in batch], dtype=OFFSET)
            with _told_where_no_room_is(folder, reached):
                for split, part in parts.items():
                    here = np.array([document.split == split for document in batch])  # [documents]
                    part.add(found.ids[np.repeat(here, found.lengths)], found.lengths[here], sizes[here])
                n_batches += 1
                if n_batches % MARK_EVERY == 0:
                    reached = {split: part.flushed() for split, part in parts.items()}
                    files.write_json(folder / (code + PROGRESS), {"batches": n_batches, "splits": reached})
        with _told_where_no_room_is(folder, reached):
            reached = {split: part.flushed() for split, part in parts.items()}
    return {split: {**counts, "fingerprint": _content(folder, code, split)} for split, counts in reached.items()}


def _content(folder: Path, code: str, split: Split) -> str:
    return files.fingerprint_of([files.fingerprint(column_file(folder, code, split, column)) for column in COLUMNS])


@contextmanager
def _told_where_no_room_is(folder: Path, reached: Mapping[Split, Mapping[str, int]]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        there = sum(counts["documents"] for counts in reached.values())
        raise PrealignError(
            f"The store in {folder} cannot be written ({error.strerror}). Make room and run the same command again; "
            f"{there:,} documents of this language are there and will not be tokenised again."
        ) from error


def is_validation(text: str, share: float, seed: int) -> bool:
    """Whether a document is held out for validation, in a language that has documents of both kinds."""
    return _validation_draw(text, seed) < share


def _validation_draw(text: str, seed: int) -> float:
    return draws.uniform(seed, "validation", text)


def _with_split(stream: Iterator[tuple[str, int]], share: float, seed: int) -> Iterator[Document]:
    """Name each document's split: validation if its draw lies below `share`.

    As long as all documents fall into one split, the one whose draw is nearest to `share` waits; at the end it goes to
    the split that would be empty.
    """
    waiting: tuple[float, Document] | None = None
    seen: set[Split] = set()
    for text, size in stream:
        draw = _validation_draw(text, seed)
        document = Document(text, size, "validation" if draw < share else "train")
        distance = abs(draw - share)
        seen.add(document.split)
        if len(seen) == 1 and (waiting is None or distance < waiting[0]):
            if waiting is not None:
                yield waiting[1]
            waiting = (distance, document)
            continue
        if len(seen) == 2 and waiting is not None:
            yield waiting[1]
            waiting = None
        yield document
    if waiting is not None:
        last = waiting[1]
        yield last._replace(split="validation" if last.split == "train" else "train")


def _batches(documents: Iterator[Document], batch_characters: int) -> Iterator[list[Document]]:
    batch: list[Document] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document.text)
        if characters >= batch_characters:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _check_enough(code: str, splits: Mapping[Split, Mapping[str, Any]]) -> None:
    if not all(split["documents"] for split in splits.values()):
        found = sum(split["documents"] for split in splits.values())
        raise PrealignError(
            f"Language {code} has {found} document{'s' if found != 1 else ''} left after filtering; the store needs at "
            "least two, one to train on and one for validation. Add text, or raise max_bytes or clone_document_share."
        )


class _Part:
    """The files of one split of one language while they grow."""

    def __init__(self, folder: Path, code: str, split: Split, dtype: np.dtype[Any], reached: Mapping[str, int]) -> None:
        self._dtypes = {"tokens": dtype, "starts": OFFSET, "bytes": OFFSET}
        self._counts = dict(reached)
        self._files: dict[str, BinaryIO] = {}
        lengths = {"tokens": reached["tokens"], "starts": reached["documents"] + 1, "bytes": reached["documents"]}
        for column in COLUMNS:
            path = column_file(folder, code, split, column)
            file = self._files[column] = path.open("r+b" if reached["documents"] else "w+b")
            file.truncate(lengths[column] * self._dtypes[column].itemsize)  # what came after the mark goes
            file.seek(0, os.SEEK_END)  # the first start is 0, with which the new file was filled

    def add(self, ids: NDArray[Any], lengths: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
        """Append documents: ids of all in a row, tokens of each, bytes of each."""
        ends = self._counts["tokens"] + np.cumsum(lengths)
        for column, values in zip(COLUMNS, (ids, ends, sizes), strict=True):
            self._files[column].write(values.astype(self._dtypes[column]).tobytes())
        self._counts["documents"] += len(lengths)
        self._counts["tokens"] += len(ids)
        self._counts["bytes"] += int(sizes.sum())

    def flushed(self) -> dict[str, int]:
        """How much there is, all of it on the disk."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        return dict(self._counts)

    def __enter__(self) -> _Part:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            with suppress(OSError):  # all that counts was flushed; a full disk has been told already
                file.close()
