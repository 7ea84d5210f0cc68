"""Parallel text: sentence pairs from TSV files and Moses file pairs, cleaned, as a stream.

The first step of `build-dict`. Lines pair by number, so a file pair with unequal line counts is refused; a pair that
cannot help the aligner is dropped and counted by reason. For the language made by cloning, pairs are made here from
running text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np

from prealign.corpora.clone import clone
from prealign.corpora.documents import COMPRESSED, read_lines
from prealign.corpora.drops import Drops
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


def pair_files(path: Path, source: str, target: str) -> Path | tuple[Path, Path]:
    """What `read_pairs` reads for a recipe's path: a TSV as it is, or the source side of a Moses pair with its partner.

    The partner's name has the target's code where this one has the source's: corpus.en.gz pairs with corpus.de.gz.
    """
    parts = path.name.split(".")
    suffix = -2 if len(parts) > 2 and f".{parts[-1]}" in COMPRESSED else -1
    if parts[suffix] != source:
        return path
    parts[suffix] = target
    partner = path.with_name(".".join(parts))
    if not partner.exists():
        raise PrealignError(f"{path} looks like the {source} side of a pair of files, but {partner} does not exist.")
    return path, partner


def flat(paths: Sequence[Path | tuple[Path, Path]]) -> list[Path]:
    """Every file that `read_pairs` opens for these paths."""
    return [file for path in paths for file in (path if isinstance(path, tuple) else (path,))]


def read_pairs(paths: Sequence[Path | tuple[Path, Path]], drops: Drops) -> Iterator[tuple[str, str]]:
    """Yield (source sentence, target sentence), NFC, stripped, each pair once.

    Args:
        paths: a path is a TSV whose first two columns are the pair; a tuple is two files that pair line by line.
        drops: receives what was left out: an empty side, too long, the length ratio, identical sides, duplicates.
    Raises:
        PrealignError: a TSV without a second column, or a file pair with unequal line counts.
    """
    seen: set[int] = set()
    for path in paths:
        pairs = _moses(*path) if isinstance(path, tuple) else _tsv(path, drops)
        for where, source, target in pairs:
            source, target = source.strip(), target.strip()
            reason = _fault(source, target)
            if reason is None and (fingerprint := hash((source, target))) in seen:
                reason = "duplicate pairs"
            if reason is not None:
                drops.add(reason, f"{where}: {source} | {target}")
                continue
            seen.add(fingerprint)
            yield source, target


def clone_pairs(documents: Iterable[str], limit: int) -> Iterator[tuple[str, str]]:
    """Yield up to `limit` different sentences (3 to 60 words) of English documents, each with its clone."""
    segmenter = Segmenter("en")
    seen: set[str] = set()
    for document in documents:
        for sentence in sentences(document, "en"):
            if len(seen) >= limit:
                return
            if sentence not in seen and len(segmenter.words(sentence)) in CLONE_WORDS:
                seen.add(sentence)
                yield sentence, clone(sentence)


def _fault(source: str, target: str) -> str | None:
    """Why this pair is of no use to the aligner, or None."""
    if not source or not target:
        return "pairs with an empty side"
    shorter, longer = sorted((len(source.encode()), len(target.encode())))
    if longer > MAX_BYTES:
        return "pairs with a side that is too long"
    if longer > MAX_RATIO * shorter + SLACK_BYTES:
        return "pairs with an odd length ratio"
    if source == target:
        return "pairs with identical sides"
    return None


def _tsv(path: Path, drops: Drops) -> Iterator[tuple[str, str, str]]:
    for number, line in read_lines(path):
        columns = line.split("\t", 2)
        if len(columns) >= 2:
            yield f"{path.name}, line {number}", columns[0], columns[1]
        elif number == 1 and line.strip():
            raise PrealignError(
                f"{path}, line 1 has no tab: parallel text is read from TSV (source, tab, target) or from two files "
                "that pair line by line and are named by language, such as corpus.en and corpus.de."
            )
        else:
            drops.add("lines without a second column", f"{path.name}, line {number}: {line}")


def _moses(source: Path, target: Path) -> Iterator[tuple[str, str, str]]:
    for left, right in zip_longest(read_lines(source), read_lines(target)):
        if left is None or right is None:
            raise _unequal(source, target)
        yield f"{source.name}, line {left[0]}", left[1], right[1]


def _unequal(source: Path, target: Path) -> PrealignError:
    """The error for files that do not pair, with the line from which the lengths stop going together.

    With d the distance of the logarithm of the length ratio from its median, the place is where the cumulative sum of
    (d - mean d) is lowest: pairs before it go together, pairs after it do not. In files of one kind throughout that sum
    sinks below 1.4 sqrt(n) standard deviations of d in one case of twenty (Kolmogorov).
    """
    lengths = [np.array([len(line.encode()) for _, line in read_lines(path)]) for path in (source, target)]
    counts = [len(of_one) for of_one in lengths]
    common = min(counts)
    message = f"{source} has {counts[0]:,} lines and {target} {counts[1]:,}; the files must pair line by line."
    if not common:
        return PrealignError(message)
    ratio = np.log((lengths[0][:common] + 10) / (lengths[1][:common] + 10))
    distance = np.abs(ratio - np.median(ratio))
    sums = np.cumsum(distance - distance.mean())
    if sums.min() >= -1.4 * np.sqrt(common) * distance.std():
        return PrealignError(f"{message} Their lengths go together throughout, so the surplus may be at the end.")
    return PrealignError(f"{message} Lengths first differ much near line {int(np.argmin(sums)) + 2:,}.")
