"""Parallel text: clean sentence pairs from corpora of any format, as a stream.

The first step of `build-dict`. `pair_formats` reads the files; here a pair that cannot help the aligner is dropped,
counted by reason and written to the rejects file. For the language made by cloning, pairs are made from running text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from prealign.corpora.clone import clone
from prealign.corpora.documents import COMPRESSED, byte_lines
from prealign.corpora.drops import Drops
from prealign.corpora.fingerprints import Fingerprints
from prealign.corpora.pair_formats import file_records, moses_records
from prealign.corpora.records import NOT_UTF8, Record
from prealign.corpora.rejects import Rejects, rejects_file
from prealign.corpora.scripts import ScriptCheck
from prealign.corpora.words import Segmenter, sentences
from prealign.errors import PrealignError

MAX_BYTES = 2_000
"""Longest side kept, UTF-8 bytes: about 300 English words or 650 Chinese characters."""
MAX_RATIO = 4.0
SLACK_BYTES = 30
"""A pair goes when one side has more than 4 times the bytes of the other plus 30. Bytes even out scripts: an English
sentence and its Chinese translation differ 3.5 times in characters, 1.2 times in bytes."""
CLONE_WORDS = range(3, 61)
"""Sentence lengths, in words, that become clone pairs."""


class LinkLine(NamedTuple):
    """Links between the words of a sentence pair as they stand in a file."""

    text: str
    path: Path
    number: int
    """Line from 1."""


class SentencePair(NamedTuple):
    """A sentence, its translation, and how much the links between them count."""

    source: str
    target: str
    weight: float = 1.0
    links: LinkLine | None = None
    """The links, where the corpus comes with them."""


@dataclass(frozen=True)
class Corpus:
    """Parallel text in one file, or in two that pair line by line."""

    path: Path
    """The file, or the source side."""
    partner: Path | None = None
    """The target side, where it is a file of its own."""
    weight: float = 1.0
    """How much a link in this text counts."""
    links: Path | None = None
    """File whose line i has the links between the words of pair i."""

    @property
    def files(self) -> list[Path]:
        return [path for path in (self.path, self.partner, self.links) if path is not None]


def corpora(
    paths: Iterable[tuple[Path, float]],
    source_language: str,
    target_language: str,
    links: Mapping[Path, Path] | None = None,
) -> list[Corpus]:
    """The corpora that (path, weight) name, in order; a pair of files once, whether one of them was named or both.

    A file whose name ends in one of the two codes, before the ending of its compression, pairs with the file named
    alike with the other code: corpus.en.gz with corpus.de.gz.

    Args:
        links: for the paths that have one, the file of the links between the words of their pairs.
    """
    of_path = links or {}
    found: dict[tuple[Path, Path | None], Corpus] = {}
    for path, weight in paths:
        sides = _sides(path, source_language, target_language)
        found.setdefault(sides, Corpus(*sides, weight, of_path.get(path)))
    return list(found.values())


def read_pairs(
    read: Iterable[Corpus],
    source_language: str,
    target_language: str,
    drops: Drops,
    rejects: Path | None = None,
    strict: bool = False,
    shard: tuple[int, int] | None = None,
) -> Iterator[SentencePair]:
    """Yield clean sentence pairs: NFC, stripped, each once, with the weight of the corpus where it stands first.

    Args:
        read: the corpora, in order.
        source_language, target_language: BCP 47 codes; they find the sides in JSON, TMX and Parquet and tell which
            scripts to expect.
        drops: receives what was left out, by reason.
        rejects: file that shows what was left out, up to 10,000 pairs per reason; appears when all is read.
        strict: refuse the corpora, after the last of them, if anything was left out.
        shard: (i, n) reads the i-th of n parts, from 1 on. The source sentence decides which part a pair belongs to, so
            that duplicates meet, and all parts together yield what the whole does.
    Raises:
        PrealignError: a file is missing, damaged or of no known format; two files have unequal line counts, or a corpus
            and its links; `strict`.
    """
    checks = ScriptCheck(source_language), ScriptCheck(target_language)
    seen = Fingerprints()
    left_out = _LeftOut(drops)
    with rejects_file(rejects) as left_out.rejects:
        for corpus in read:
            if corpus.partner is None:
                records = file_records(corpus.path, source_language, target_language)
            else:
                records = moses_records(corpus.path, corpus.partner)
            for record, links in _with_links(records, corpus):
                source = unicodedata.normalize("NFC", record.source).strip()
                target = unicodedata.normalize("NFC", record.target).strip()
                if shard is not None and crc32(source.encode(errors="surrogatepass")) % shard[1] != shard[0] - 1:
                    continue
                reason = record.fault or _fault(source, target, checks)
                if not reason and not seen.add(f"{source}\0{target}".encode()):
                    reason = "duplicate pairs"
                if reason:
                    left_out.add(reason, corpus.path, record)
                else:
                    yield SentencePair(source, target, corpus.weight, links)
    if strict and left_out.first:
        where = f" {rejects} shows them." if rejects is not None else ""
        raise PrealignError(
            f"The parallel text {source_language}-{target_language} is not clean, and `strict` was asked for. "
            f"First: {left_out.first}. In all: {drops}.{where} Mend the files, or turn `strict` off to go on without "
            "these pairs."
        )


def clone_pairs(documents: Iterable[str], limit: int) -> Iterator[SentencePair]:
    """Yield up to `limit` different sentences (3 to 60 words) of English documents, each with its clone."""
    segmenter = Segmenter("en")
    seen: set[str] = set()
    for document in documents:
        for sentence in sentences(document, "en"):
            if len(seen) >= limit:
                return
            if sentence not in seen and len(segmenter.words(sentence)) in CLONE_WORDS:
                seen.add(sentence)
                yield SentencePair(sentence, clone(sentence))


def _with_links(records: Iterable[Record], corpus: Corpus) -> Iterator[tuple[Record, LinkLine | None]]:
    """Each record with its line of links, which goes where the record goes."""
    if corpus.links is None:
        for record in records:
            yield record, None
        return
    number = 0
    for found, line in zip_longest(records, byte_lines(corpus.links)):
        if found is None or line is None:
            goes_on, ends = (corpus.links, corpus.path) if found is None else (corpus.path, corpus.links)
            raise PrealignError(
                f"{goes_on} goes on where {ends} ends, after {number:,} pairs; line i of the links must belong to pair "
                "i of the corpus."
            )
        number, links = line
        yield found, LinkLine(links.decode("utf-8", errors="backslashreplace"), corpus.links, number)


class _LeftOut:
    """Counts, shows and remembers the first of the pairs left out."""

    def __init__(self, drops: Drops) -> None:
        self.drops = drops
        self.rejects: Rejects | None = None
        self.first = ""

    def add(self, reason: str, path: Path, record: Record) -> None:
        sample = f"{path.name}, line {record.number}: {record.source.strip()} | {record.target.strip()}"
        self.first = self.first or f"{reason}: {path}, line {record.number}"
        # a card is UTF-8, which cannot hold the halves of surrogate pairs that JSON can
        self.drops.add(reason, sample.encode(errors="backslashreplace").decode())
        if self.rejects is not None:
            self.rejects.add(reason, str(path), record.number, record.source, record.target)


def _sides(path: Path, source: str, target: str) -> tuple[Path, Path | None]:
    """The path and its partner, source side first, or the path alone."""
    parts = path.name.split(".")
    place = -2 if len(parts) > 2 and f".{parts[-1]}" in COMPRESSED else -1
    if len(parts) < 2 or parts[place] not in (source, target):
        return path, None
    here, there = (source, target) if parts[place] == source else (target, source)
    parts[place] = there
    partner = path.with_name(".".join(parts))
    if path.exists() and not partner.exists():
        raise PrealignError(
            f"{path} looks like the {here} side of a pair of files, but {partner} does not exist. Of a pair on the "
            "hub, name both files."
        )
    return (path, partner) if here == source else (partner, path)


def _fault(source: str, target: str, checks: tuple[ScriptCheck, ScriptCheck]) -> str | None:
    """Why this pair is of no use to the aligner, or None."""
    if not source or not target:
        return "pairs with an empty side"
    try:
        shorter, longer = sorted((len(source.encode()), len(target.encode())))
    except UnicodeEncodeError:  # half of a surrogate pair, escaped in JSON
        return NOT_UTF8
    if longer > MAX_BYTES:
        return "pairs with a side that is too long"
    if longer > MAX_RATIO * shorter + SLACK_BYTES:
        return "pairs with an odd length ratio"
    if source == target:
        return "pairs with identical sides"
    if checks[0].is_wrong(source) or checks[1].is_wrong(target):
        return "pairs with a side in the wrong script"
    return None
