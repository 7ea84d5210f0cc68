"""Reading dictionary files: our own table and the formats that people have.

| format | told by | a line |
|---|---|---|
| ours | the header of `entries.tsv` | source, target, count and both probabilities, tabs between |
| TSV | a tab in the line | source, target; further columns are ignored |
| MUSE | neither | source and target with one space between |
| CSV | `.csv` | source, target; with our header also the numbers, else further columns are ignored |
| JSONL | `.jsonl` | {"src_text": "bank", "tgt_text": "Bank"} or {"words": "bank $ 银行"} |
| Moses | `.f2e`, `.e2f` | two words and a probability: see `lex_tables` |
| Parquet | `.parquet` | columns named like our header, or by language: see `parquet_tables` |

Text may be compressed. Faulty lines are told together, with file and line, and nothing is read from such a file.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

from prealign.corpora.documents import COMPRESSED, read_lines
from prealign.dictionary.entries import HEADER, Entry, entries_from_counts
from prealign.dictionary.faults import Faults, FaultyLineError, clean_pair, numbered_entry
from prealign.dictionary.lex_tables import E2F, F2E, lex_entries
from prealign.dictionary.parquet_tables import parquet_entries
from prealign.errors import PrealignError

WORDS_SEPARATOR = " $ "
LANGUAGES = re.compile(r"(?:^|[._-])([a-z]{2,3})-([a-z]{2,3}(?:-x-[a-z0-9]+)?)(?=[._]|$)")
CSV_HEADERS = {("source", "target"), ("src", "tgt"), ("src_text", "tgt_text")}
Pair = tuple[str, str]
Line = tuple[int, str]


def languages_in_name(path: Path) -> tuple[str | None, str | None]:
    """The two codes in a name such as `muse.en-de.txt`, or (None, None)."""
    found = LANGUAGES.search(path.name)
    return (found[1], found[2]) if found else (None, None)


def read_entries(path: Path, source_language: str = "", target_language: str = "") -> list[Entry]:
    """The entries of a single file; the format is told by its suffix and first line.

    Formats without counts give count 1 for each time a pair stands in the file; those without probabilities, equal
    shares. The languages, BCP 47 codes, find the columns of Parquet.

    Raises:
        PrealignError: the file is missing, empty, damaged, or has faulty lines.
    """
    faults = Faults()
    entries = parse_entries(path, faults, source_language, target_language)
    faults.refuse(path)
    return entries


def parse_entries(path: Path, faults: Faults, source_language: str = "", target_language: str = "") -> list[Entry]:
    """`read_entries` that goes on past faulty lines: they are left out and told in `faults`."""
    suffix = format_suffix(path)
    if suffix == ".parquet":
        return parquet_entries(path, faults, source_language, target_language)
    if suffix in (F2E, E2F):
        return lex_entries(path, faults)
    lines = ((number, line) for number, line in read_lines(path) if line.strip())
    first = next(lines, None)
    if first is None:
        raise PrealignError(f"{path} has no entries: the file is empty.")
    if tuple(first[1].split("\t")) == HEADER:
        return _own_entries(((number, line.split("\t")) for number, line in lines), faults)
    if suffix == ".csv" and tuple(first[1].split(",")) == HEADER:
        return _own_entries(_csv_rows(lines, faults), faults)
    if suffix == ".csv" and tuple(first[1].lower().split(",")[:2]) in CSV_HEADERS:
        first = None
    parse = {".csv": _csv_pairs, ".jsonl": _json_pairs}.get(suffix, _text_pairs)
    return _counted(chain([first] if first else [], lines), parse, faults)


def format_suffix(path: Path) -> str:
    """The suffix that tells the format, the one before the suffix of a compression."""
    suffixes = [suffix for suffix in path.suffixes if suffix not in COMPRESSED]
    return suffixes[-1] if suffixes else ""


def _counted(lines: Iterable[Line], parse: Callable[[str], list[Pair]], faults: Faults) -> list[Entry]:
    """Entries of a file without numbers."""
    counts: Counter[Pair] = Counter()
    for number, line in lines:
        try:
            for pair in parse(line):
                counts[pair] += 1
        except FaultyLineError as fault:
            faults.add(f"line {number}", fault)
    return entries_from_counts(counts)


def _own_entries(rows: Iterable[tuple[int, list[str]]], faults: Faults) -> list[Entry]:
    """Entries of our own table. A million take 8 s and 420 MB, mostly the entries themselves."""
    entries: list[Entry] = []
    seen: dict[str, set[str]] = {}
    source, targets = "", set[str]()
    for number, columns in rows:
        try:
            if columns[0] != source:  # rows of a word mostly stand together and share its string and its set
                source = " ".join(columns[0].split())
                targets = seen.setdefault(source, set())
            entry = _entry(source, columns)
            if entry.target in targets:
                raise FaultyLineError(f"the pair {source!r}, {entry.target!r} stands in the table twice")
        except FaultyLineError as fault:
            faults.add(f"line {number}", fault)
        else:
            targets.add(entry.target)
            entries.append(entry)
    return entries


def _entry(source: str, columns: list[str]) -> Entry:
    if len(columns) != len(HEADER):
        raise FaultyLineError(f"{len(columns)} columns instead of {len(HEADER)} ({', '.join(HEADER)})")
    target = " ".join(columns[1].split())
    if not source or not target:
        raise FaultyLineError("an empty side")
    return numbered_entry(source, target, *columns[2:])


def _text_pairs(line: str) -> list[Pair]:
    """A two-column TSV line, or MUSE's form with a space."""
    if "\t" in line:
        columns = line.split("\t")
        return [clean_pair(columns[0], columns[1])]
    words = line.split()
    if len(words) != 2:
        raise FaultyLineError(
            f"{line!r} holds {len(words)} words; write source, tab, target (or two words with a space between)"
        )
    return [clean_pair(*words)]


def _csv_pairs(line: str) -> list[Pair]:
    columns = _csv_columns(line)
    if len(columns) < 2:
        raise FaultyLineError(f"{line!r} has no second column")
    return [clean_pair(columns[0], columns[1])]


def _csv_rows(lines: Iterable[Line], faults: Faults) -> Iterator[tuple[int, list[str]]]:
    for number, line in lines:
        try:
            yield number, _csv_columns(line)
        except FaultyLineError as fault:
            faults.add(f"line {number}", fault)


def _csv_columns(line: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise FaultyLineError(f"{line!r} is not CSV: {error}") from None


def _json_pairs(line: str) -> list[Pair]:
    try:
        record = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise FaultyLineError(f"not JSON: {error}") from None
    if not isinstance(record, dict):
        raise FaultyLineError("not a JSON object")
    source, target, words = (record.get(key) for key in ("src_text", "tgt_text", "words"))
    if any(isinstance(text, str) and not _is_unicode(text) for text in (source, target, words)):
        raise FaultyLineError("half of a surrogate pair is escaped in it, which is no character")
    if isinstance(source, str) and isinstance(target, str):
        return [clean_pair(source, target)]
    if isinstance(words, str):
        first, *others = words.split(WORDS_SEPARATOR)
        if not others:
            raise FaultyLineError(f'"words" holds no translation: {words!r}; write "bank $ 银行"')
        return [clean_pair(first, other) for other in others]
    raise FaultyLineError('neither "src_text" and "tgt_text" nor "words" are strings in it')


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
