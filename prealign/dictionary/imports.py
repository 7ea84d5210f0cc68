"""Reading dictionary files: our own table and the formats that people have.

| format | told by | a line |
|---|---|---|
| ours | the header of `entries.tsv` | source, target, count and both probabilities, tabs between |
| TSV | a tab in the line | source, target; further columns are ignored |
| MUSE | neither | source and target with one space between |
| CSV | `.csv` | source, target; further columns are ignored |
| JSONL | `.jsonl` | {"src_text": "bank", "tgt_text": "Bank"} or {"words": "bank $ 银行"} |

Any of them may be compressed. Faulty lines are told together, with file and line, and nothing is read from such a file.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from prealign.corpora.documents import COMPRESSED, read_lines
from prealign.dictionary.entries import HEADER, Entry, entries_from_counts
from prealign.errors import PrealignError

FAULTS_TOLD = 10
WORDS_SEPARATOR = " $ "
LANGUAGES = re.compile(r"(?:^|[._-])([a-z]{2,3})-([a-z]{2,3}(?:-x-[a-z0-9]+)?)(?=[._]|$)")
Pair = tuple[str, str]
T = TypeVar("T")


class _FaultyLineError(Exception):
    """What is wrong with a line; the reader adds where it stands."""


def languages_in_name(path: Path) -> tuple[str | None, str | None]:
    """The two codes in a name such as `muse.en-de.txt`, or (None, None)."""
    found = LANGUAGES.search(path.name)
    return (found[1], found[2]) if found else (None, None)


def read_entries(path: Path) -> list[Entry]:
    """The entries of a single file; the format is told by its suffix and first line.

    Formats without counts give count 1 for each time a pair stands in the file, and equal shares as probabilities.
    """
    suffixes = [suffix for suffix in path.suffixes if suffix not in COMPRESSED]
    kind = suffixes[-1] if suffixes else ""
    lines = [(number, line) for number, line in read_lines(path) if line.strip()]
    if not lines:
        raise PrealignError(f"{path} has no entries: the file is empty.")
    if tuple(lines[0][1].split("\t")) == HEADER:
        return _own_table(path, lines[1:])
    parse = {".csv": _csv_line, ".jsonl": _json_line}.get(kind, _text_line)
    counts: Counter[Pair] = Counter()
    for pairs in _parsed(path, lines, parse):
        counts.update(pairs)
    return entries_from_counts(counts)


def _parsed(path: Path, lines: list[tuple[int, str]], parse: Callable[[str], T]) -> list[T]:
    """Parse every line; if any is faulty, tell the first few together."""
    values: list[T] = []
    faults: list[str] = []
    for number, line in lines:
        try:
            values.append(parse(line))
        except _FaultyLineError as fault:
            faults.append(f"line {number}: {fault}")
    if faults:
        told = faults[:FAULTS_TOLD]
        if len(faults) > FAULTS_TOLD:
            told.append(f"and {len(faults) - FAULTS_TOLD:,} more lines")
        raise PrealignError.of_several(f"{path} is not a dictionary that can be read:", told)
    return values


def _own_table(path: Path, lines: list[tuple[int, str]]) -> list[Entry]:
    seen: set[Pair] = set()

    def parse(line: str) -> Entry:
        columns = line.split("\t")
        if len(columns) != len(HEADER):
            raise _FaultyLineError(f"{len(columns)} columns instead of {len(HEADER)} ({', '.join(HEADER)})")
        source, target = _pair(columns[0], columns[1])
        try:
            count, forward, backward = int(columns[2]), float(columns[3]), float(columns[4])
        except ValueError:
            raise _FaultyLineError(f"{' '.join(columns[2:])!r} is not a count and two probabilities") from None
        if count < 0 or not (0.0 <= forward <= 1.0 and 0.0 <= backward <= 1.0):
            raise _FaultyLineError("a count is 0 or more and a probability lies between 0 and 1")
        if (source, target) in seen:
            raise _FaultyLineError(f"the pair {source!r}, {target!r} stands in the table twice")
        seen.add((source, target))
        return Entry(source, target, count, forward, backward)

    return _parsed(path, lines, parse)


def _text_line(line: str) -> list[Pair]:
    """A two-column TSV line, or MUSE's form with a space."""
    if "\t" in line:
        columns = line.split("\t")
        return [_pair(columns[0], columns[1])]
    words = line.split()
    if len(words) != 2:
        raise _FaultyLineError(
            f"{line!r} holds {len(words)} words; write source, tab, target (or two words with a space between)"
        )
    return [_pair(*words)]


def _csv_line(line: str) -> list[Pair]:
    try:
        columns = next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise _FaultyLineError(f"{line!r} is not CSV: {error}") from None
    if len(columns) < 2:
        raise _FaultyLineError(f"{line!r} has no second column")
    return [_pair(columns[0], columns[1])]


def _json_line(line: str) -> list[Pair]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise _FaultyLineError(f"not JSON: {error}") from None
    if not isinstance(record, dict):
        raise _FaultyLineError("not a JSON object")
    source, target, words = (record.get(key) for key in ("src_text", "tgt_text", "words"))
    if isinstance(source, str) and isinstance(target, str):
        return [_pair(source, target)]
    if isinstance(words, str):
        first, *others = words.split(WORDS_SEPARATOR)
        if not others:
            raise _FaultyLineError(f'"words" holds no translation: {words!r}; write "bank $ 银行"')
        return [_pair(first, other) for other in others]
    raise _FaultyLineError('neither "src_text" and "tgt_text" nor "words" are strings in it')


def _pair(source: str, target: str) -> Pair:
    source, target = " ".join(source.split()), " ".join(target.split())
    if not source or not target:
        raise _FaultyLineError("an empty side")
    return source, target
