"""The pair store: sentence pairs as memory-mapped token ids, with the tokens of linked words.

Beside the token store of running text (`store`), for objectives over sentence pairs. A folder with these files for each
language pair, plain little-endian numbers, pair s having the entries `starts[s]` to `starts[s + 1] - 1`:

    <source>--<target>.source.bin    token ids of all source sentences, 2 or 4 bytes each, no special tokens
    <source>--<target>.target.bin    those of the target sentences
    <source>--<target>.links.bin     [links, 4] int32: source start, source end, target start, target end, in tokens
                                     from the beginning of their sentences
    <source>--<target>.words.bin     [links] uint64: which two words are linked (`words_key`)
    <source>--<target>.{source,target,link}_starts.bin    [pairs + 1] int64

and `pairs.json` with counts and fingerprints, written last. Pairs without links are pairs too. No torch here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prealign import draws, files
from prealign.corpora.store import OFFSET, Tokens, open_column, refuse_other_tokenizer, tokenizer_fingerprint
from prealign.corpora.text_tokenizer import FastTokenizer, n_ids
from prealign.corpora.words import fold
from prealign.errors import PrealignError

PAIRS_FILE = "pairs.json"
FORMAT = 1
AGAIN = "prealign prepare RECIPE --fresh pairs"
LINK = np.dtype(np.int32)
WORDS = np.dtype(np.uint64)
LanguagePair = tuple[str, str]
"""Codes of the source and the target language."""


class EncodedPair(NamedTuple):
    """A sentence pair on its way into the store."""

    source: list[int]
    target: list[int]
    links: list[tuple[int, int, int, int]]
    """Source start, source end, target start, target end of each link, in tokens."""
    words: list[int]
    """`words_key` of each link."""


@dataclass(frozen=True)
class PairStream:
    """The sentence pairs of two languages, memory-mapped."""

    source: Tokens
    """[tokens] of all source sentences."""
    source_starts: NDArray[np.int64]
    """[pairs + 1]"""
    target: Tokens
    """[tokens] of all target sentences."""
    target_starts: NDArray[np.int64]
    """[pairs + 1]"""
    links: NDArray[np.int32]
    """[links, 4] source start, source end, target start, target end, in tokens of their sentences."""
    link_starts: NDArray[np.int64]
    """[pairs + 1]"""
    words: NDArray[np.uint64]
    """[links] `words_key` of each link."""

    def __len__(self) -> int:
        """Number of sentence pairs."""
        return len(self.source_starts) - 1

    def sentences(self, number: int) -> tuple[Tokens, Tokens]:
        """Token ids of a sentence and of its translation."""
        sides = (self.source, self.source_starts), (self.target, self.target_starts)
        source, target = (tokens[starts[number] : starts[number + 1]] for tokens, starts in sides)
        return source, target

    def numbers_of_links(self, number_of: Mapping[int, int]) -> NDArray[np.int64]:
        """The number that belongs to the two words of each link, -1 where there is none, [links].

        Args:
            number_of: `words_key` of two words -> their number.
        """
        if not number_of:
            return np.full(len(self.words), -1)
        keys = np.array(sorted(number_of), dtype=np.uint64)
        numbers = np.array([number_of[key] for key in keys.tolist()], dtype=np.int64)
        places = np.searchsorted(keys, self.words).clip(max=len(keys) - 1)
        return np.where(keys[places] == self.words, numbers[places], -1)

    def pairs_with(self, links: NDArray[np.bool_], longest: int) -> NDArray[np.int64]:
        """The sentence pairs that have one of these links, [links], and no sentence of more than `longest` tokens."""
        before = np.concatenate([[0], np.cumsum(links)])  # of these links, up to each link
        linked = np.diff(before[self.link_starts]) > 0
        short = np.maximum(np.diff(self.source_starts), np.diff(self.target_starts)) <= longest
        found: NDArray[np.int64] = (linked & short).nonzero()[0]
        return found


class PairStore:
    """A finished pair store."""

    def __init__(self, folder: Path) -> None:
        """Open the store in `folder`; sizes of all files are checked, contents are read when used.

        Raises:
            PrealignError: there is no whole store, another version wrote it, or a file was cut off or replaced.
        """
        if not (folder / PAIRS_FILE).is_file():
            raise PrealignError(f"{folder} holds no pair store (no {PAIRS_FILE}). Make one with: {AGAIN}")
        self.folder = folder
        self.summary: dict[str, Any] = files.read_json(folder / PAIRS_FILE)
        if self.summary.get("format") != FORMAT:
            raise PrealignError(
                f"The pair store in {folder} was written by another version of prealign (format "
                f"{self.summary.get('format')}, this version reads {FORMAT}). Make it again with: {AGAIN}"
            )
        self.fingerprint: str = self.summary["fingerprint"]
        self.streams: dict[LanguagePair, PairStream] = {}
        """The pairs of each two languages."""
        for name in self.summary["languages"]:
            source, target = name.split("--")
            self.streams[source, target] = self._open(name)

    def check_tokenizer(self, tokenizer: FastTokenizer) -> None:
        """Refuse a tokenizer that did not write this store."""
        refuse_other_tokenizer(self.folder, self.summary, tokenizer, AGAIN)

    def _open(self, name: str) -> PairStream:
        counts = self.summary["languages"][name]

        def column(kind: str, dtype: np.dtype[Any], length: int) -> NDArray[Any]:
            return open_column(self.folder / f"{name}.{kind}.bin", dtype, length, AGAIN)

        def starts(kind: str) -> NDArray[np.int64]:
            return column(f"{kind}_starts", OFFSET, counts["pairs"] + 1)

        token = np.dtype(self.summary["dtype"])
        return PairStream(
            column("source", token, counts["source_tokens"]),
            starts("source"),
            column("target", token, counts["target_tokens"]),
            starts("target"),
            column("links", LINK, 4 * counts["links"]).reshape(-1, 4),
            starts("link"),
            column("words", WORDS, counts["links"]),
        )


def words_key(source: str, target: str, languages: LanguagePair) -> int:
    """64 bits that stand for a word and its translation in any case; the same for a dictionary and for text."""
    return draws.key(fold(source, languages[0]), fold(target, languages[1]))


def write_pairs(
    folder: Path, pairs: Mapping[LanguagePair, Iterable[EncodedPair]], tokenizer: FastTokenizer
) -> dict[str, Any]:
    """Write the pairs of each two languages to `folder`, a pair at a time, and `pairs.json` at the end.

    Returns:
        What `pairs.json` holds: `{"format", "vocab_size", "tokenizer", "fingerprint", "dtype", "languages":
        {"en--de": {pairs, source_tokens, target_tokens, links, fingerprint}}}`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dtype = np.dtype(np.uint16 if n_ids(tokenizer) <= 1 << 16 else np.uint32)
    languages = {"--".join(code): _write(folder, "--".join(code), dtype, found) for code, found in pairs.items()}
    identity = {
        "format": FORMAT,
        "vocab_size": n_ids(tokenizer),
        "tokenizer": tokenizer_fingerprint(tokenizer),
        "dtype": dtype.name,
        "languages": languages,
    }
    summary = identity | {"fingerprint": files.fingerprint_of(identity)}
    files.write_json(folder / PAIRS_FILE, summary)
    return summary


def _write(folder: Path, name: str, dtype: np.dtype[Any], pairs: Iterable[EncodedPair]) -> dict[str, Any]:
    """Write the files of two languages; counts and fingerprint."""
    columns = {"source": dtype, "target": dtype, "links": LINK, "words": WORDS}
    starts = {"source": "source_starts", "target": "target_starts", "words": "link_starts"}
    paths = {kind: folder / f"{name}.{kind}.bin" for kind in (*columns, *starts.values())}
    n_pairs = 0
    lengths = dict.fromkeys(starts, 0)
    with ExitStack() as stack:
        out = {kind: stack.enter_context(path.open("wb")) for kind, path in paths.items()}
        for kind in starts.values():
            out[kind].write(OFFSET.type(0).tobytes())
        for pair in pairs:
            n_pairs += 1
            for kind, of_kind in columns.items():
                out[kind].write(np.array(getattr(pair, kind), dtype=of_kind).tobytes())
            for kind, start in starts.items():
                lengths[kind] += len(getattr(pair, kind))
                out[start].write(OFFSET.type(lengths[kind]).tobytes())
    return {
        "pairs": n_pairs,
        "source_tokens": lengths["source"],
        "target_tokens": lengths["target"],
        "links": lengths["words"],
        "fingerprint": files.fingerprint_of([files.fingerprint(path) for path in paths.values()]),
    }
