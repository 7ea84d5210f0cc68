"""Writing dictionaries in the formats of other tools; `imports` reads all of them back.

| format | suffix | holds | words it cannot hold |
|---|---|---|---|
| tsv | `.tsv` | source, tab, target | |
| muse | `.txt` | source, space, target | with a space |
| csv | `.csv` | everything, under our header | |
| jsonl | `.jsonl` | {"src_text": "bank", "tgt_text": "Bank"} | |
| words | | {"words": "bank $ Bank $ Ufer"}: a source word and its translations | with a `$` that stands alone |
| moses-lex | `.f2e`, `.e2f` | the two probabilities, one in each of two files | with a space, or NULL |
| parquet | `.parquet` | everything | |

What a format cannot hold is left out and counted. The lossless text format is the folder that `Dictionary.write` makes.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from prealign import files
from prealign.corpora.drops import Drops
from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.entries import HEADER, Entry
from prealign.dictionary.imports import WORDS_SEPARATOR
from prealign.dictionary.lex_tables import E2F, F2E, NO_WORD, lex_paths, lex_text
from prealign.dictionary.parquet_tables import write_parquet
from prealign.errors import PrealignError

Format = Literal["tsv", "muse", "csv", "jsonl", "words", "moses-lex", "parquet"]
FORMAT_OF_SUFFIX: dict[str, Format] = {
    ".tsv": "tsv",
    ".txt": "muse",
    ".csv": "csv",
    ".jsonl": "jsonl",
    F2E: "moses-lex",
    E2F: "moses-lex",
    ".parquet": "parquet",
}


def export(dictionary: Dictionary, path: Path, format: Format | None = None) -> Drops:
    """Write the dictionary to a file; what the format cannot hold is returned by reason.

    Args:
        format: none: as the suffix tells.
    Raises:
        PrealignError: the suffix tells no format, a file is there already, or nothing is left to write.
    """
    format = format or FORMAT_OF_SUFFIX.get(path.suffix)
    if format is None:
        raise PrealignError(
            f"The suffix of {path} tells no format; use {', '.join(FORMAT_OF_SUFFIX)}, or give --format."
        )
    if format == "moses-lex" and path.suffix not in (F2E, E2F):
        raise PrealignError(
            f"Moses's two tables are told apart by their suffix; name {path.name}{F2E}, and both are written."
        )
    paths = lex_paths(path) if format == "moses-lex" else (path,)
    if there := [str(p) for p in paths if p.exists()]:
        raise PrealignError(f"{' and '.join(there)} exists already. Remove it, or choose another name.")
    drops = Drops()
    entries = _that_fit(dictionary, format, drops)
    if not entries:
        raise PrealignError(f"Nothing to write to {path}: left out {drops}.")
    for p in paths:
        if format == "parquet":
            _write_parquet(dictionary, p)
        else:
            files.write_text(p, lex_text(entries, p.suffix) if format == "moses-lex" else _TEXTS[format](entries))
    return drops


def _that_fit(dictionary: Dictionary, format: Format, drops: Drops) -> list[Entry]:
    """The entries that the format can hold."""
    kept = []
    for entry in dictionary.entries:
        both = f"{entry.source}\t{entry.target}"
        if format in ("muse", "moses-lex") and " " in both:
            drops.add("entries with a space in a word", both)
        elif format == "moses-lex" and NO_WORD in (entry.source, entry.target):
            drops.add(f"entries with the word {NO_WORD}", both)
        elif format == "words" and (WORDS_SEPARATOR in f" {entry.source} " or WORDS_SEPARATOR in f" {entry.target} "):
            drops.add("entries with a $ that stands alone", both)
        else:
            kept.append(entry)
    return kept


def _tsv(entries: list[Entry]) -> str:
    return "".join(f"{entry.source}\t{entry.target}\n" for entry in entries)


def _muse(entries: list[Entry]) -> str:
    return "".join(f"{entry.source} {entry.target}\n" for entry in entries)


def _csv(entries: list[Entry]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for e in entries:
        numbers = (f"{p:.6g}" for p in (e.p_target_given_source, e.p_source_given_target))
        writer.writerow((e.source, e.target, e.count, *numbers))
    return text.getvalue()


def _jsonl(entries: list[Entry]) -> str:
    records = ({"src_text": entry.source, "tgt_text": entry.target} for entry in entries)
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _words(entries: list[Entry]) -> str:
    words: dict[str, list[str]] = {}
    for entry in entries:
        words.setdefault(entry.source, [entry.source]).append(entry.target)
    records = ({"words": WORDS_SEPARATOR.join(of_one_word)} for of_one_word in words.values())
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


_TEXTS: dict[str, Callable[[list[Entry]], str]] = {
    "tsv": _tsv, "muse": _muse, "csv": _csv, "jsonl": _jsonl, "words": _words,
}  # fmt: skip


def _write_parquet(dictionary: Dictionary, path: Path) -> None:
    table = files.partial_of(path.with_name(path.name + ".tsv"))
    files.write_text(table, dictionary.table())
    try:
        with files.whole(path) as temporary:
            write_parquet(table, temporary)
    finally:
        files.remove(table)
