"""Readers of parallel text: two files line by line, TSV, `|||`, JSON lines, TMX and Parquet, as streams of records.

What `sentence_pairs` reads from. The kind of a file is told by its name (`.jsonl`, `.tmx`, `.parquet`) and, among plain
lines, by the first of them; compression by the first bytes. Lines end at `\\n` and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import numpy as np

from prealign.corpora.documents import COMPRESSED, byte_lines
from prealign.corpora.parquet import parquet_records
from prealign.corpora.records import (
    NO_SECOND_COLUMN,
    NOT_BOTH_LANGUAGES,
    NOT_JSON,
    NOT_UTF8,
    Record,
    no_sides,
    record_of_fields,
)
from prealign.corpora.tmx import tmx_records
from prealign.errors import PrealignError


def kind_of(path: Path) -> str:
    """The ending of a file's name, without the one of its compression: ".tsv" for corpus.en-de.tsv.xz."""
    suffixes = [suffix for suffix in path.suffixes[-2:] if suffix not in COMPRESSED]
    return suffixes[-1].lower() if suffixes else ""


def file_records(path: Path, source_language: str, target_language: str) -> Iterator[Record]:
    """The records of a file that holds both sides.

    Raises:
        PrealignError: missing or damaged, or of no known format, which the first record shows.
    """
    kind = kind_of(path)
    if kind in (".jsonl", ".ndjson"):
        return _json_records(path, source_language, target_language)
    if kind == ".tmx":
        return tmx_records(path, source_language, target_language)
    if kind == ".parquet":
        return parquet_records(path, source_language, target_language)
    return _column_records(path, ("\t", "|||") if kind == ".tsv" else ("|||", "\t"))


def moses_records(source: Path, target: Path) -> Iterator[Record]:
    """The records of two files that pair line by line.

    Raises:
        PrealignError: one has more lines than the other; the place where they part is named.
    """
    for left, right in zip_longest(byte_lines(source), byte_lines(target)):
        if left is None or right is None:
            raise _unequal(source, target)
        sides = _text(left[1]), _text(right[1])
        if sides[0] is None or sides[1] is None:
            yield Record(left[0], _shown(left[1]), _shown(right[1]), NOT_UTF8)
        else:
            yield Record(left[0], sides[0], sides[1])


def _column_records(path: Path, separators: tuple[str, str]) -> Iterator[Record]:
    """The first two columns of every line; the first line with text decides what separates them."""
    separator = None
    for number, line in byte_lines(path):
        text = _text(line)
        if text is None:
            yield Record(number, _shown(line), "", NOT_UTF8)
            continue
        if separator is None and text.strip():
            separator = next((mark for mark in separators if mark in text), None)
            if separator is None:
                raise PrealignError(
                    f"{path}, line {number} has neither a tab nor |||: parallel text is read from lines of two columns "
                    "with a tab or ||| between them, from .jsonl, .tmx and .parquet, or from two files that pair line "
                    "by line and are named by language, such as corpus.en and corpus.de."
                )
        columns = text.split(separator, 2) if separator else []
        if len(columns) >= 2:
            yield Record(number, columns[0], columns[1])
        else:
            yield Record(number, text, "", NO_SECOND_COLUMN)


def _json_records(path: Path, source_language: str, target_language: str) -> Iterator[Record]:
    first = True
    for number, line in byte_lines(path):
        text = _text(line)
        if text is None:
            yield Record(number, _shown(line), "", NOT_UTF8)
            continue
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            fields = None
        if isinstance(fields, dict):
            record = record_of_fields(number, fields, source_language, target_language)
        else:
            record = Record(number, text, "", NOT_JSON)
        if first and text.strip():
            if record.fault == NOT_JSON:
                raise PrealignError(f"{path}, line {number} is no JSON object. Every line must be one.")
            if record.fault == NOT_BOTH_LANGUAGES:
                place = f"{path}, line {number}"
                raise PrealignError(no_sides(place, record.source, source_language, target_language))
            first = False
        yield record


def _text(line: bytes) -> str | None:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _shown(line: bytes) -> str:
    """A line that is not UTF-8, with its faulty bytes as \\xNN."""
    return line.decode("utf-8", errors="backslashreplace")


def _unequal(source: Path, target: Path) -> PrealignError:
    """The error for files that do not pair, with the line from which the lengths stop going together.

    With d the distance of the logarithm of the length ratio from its median, the place is where the cumulative sum of
    (d - mean d) is lowest: pairs before it go together, pairs after it do not. In files of one kind throughout that sum
    sinks below 1.4 sqrt(n) standard deviations of d in one case of twenty (Kolmogorov).
    """
    lengths = [np.fromiter((len(line) for _, line in byte_lines(path)), np.int64) for path in (source, target)]
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
