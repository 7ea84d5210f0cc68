"""Documents of running text from files of all formats, as a stream: text, JSON lines, Parquet, `datasets` folders.

Stands between the lines of a file (`documents`) and the text of a language (`language_text`). A record that holds no
document is counted by reason and left out, unless it is the first of its file that is not empty: then the file is no
such format, has no such field, or is not in UTF-8, and is refused.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

from prealign.corpora.documents import COMPRESSED, byte_lines
from prealign.corpora.drops import Drops
from prealign.corpora.parquet import ROWS_AT_A_TIME, opened_parquet
from prealign.errors import PrealignError, missing_extra

Separator = Literal["line", "blank_line"]
"""What ends a document of a text file."""
TEXT, JSON_LINES, PARQUET, DATASET = ".txt", (".jsonl", ".ndjson"), ".parquet", "datasets folder"
MAX_DOCUMENT_BYTES = 1 << 24
"""UTF-8 bytes of a text; longer documents are left out: a tokenizer takes 66 to 100 bytes of memory per character while
it works on one."""
MAX_RECORD_BYTES = 1 << 27
"""Bytes of a line or paragraph as it stands in its file. In JSON a letter may take six, and other fields stand beside
the text; what is longer is not looked into."""
EMPTY = "empty documents"
TOO_LONG = f"documents longer than {MAX_DOCUMENT_BYTES >> 20} MiB"
NOT_UTF8 = "documents that are not UTF-8"
NOT_JSON = "lines that are not JSON"
NULL = "records with null in the text field"
NO_TEXT = "records without a string in the text field"


class Found(NamedTuple):
    """One record as it stands in its file."""

    number: int
    """Line or row from 1; of a document of several lines the first."""
    text: str
    """The text, or a sample of what stands there if it is at fault."""
    fault: str = ""
    """Why this is no document; empty when it is one."""


def read_documents(
    path: Path, drops: Drops, *, separator: Separator = "line", text_field: str = "text"
) -> Iterator[str]:
    """Yield the documents of a file or folder in order, as NFC text without white space around it.

    Args:
        path: .txt, .jsonl or .ndjson (compressed or not), .parquet, or a folder written by `datasets`' save_to_disk.
        drops: what is left out is counted here.
        separator: in .txt a document is a line, or the lines between blank lines.
        text_field: field or column that holds the text in the other formats.
    Raises:
        PrealignError: the file is missing, damaged or of another format, or its first record that is not empty lacks
            the field.
    """
    recognised = False
    for number, text, fault in _records(path, separator, text_field):
        place = f"{path.name}, {_unit(path)} {number}"
        text = text if fault else unicodedata.normalize("NFC", text).strip()
        if fault in (NOT_UTF8, NOT_JSON, NO_TEXT) and not recognised:
            raise _refused(f"{path}, {_unit(path)} {number}", text, fault, text_field)
        recognised |= fault not in (EMPTY, TOO_LONG)
        if fault in (EMPTY, NULL) or not text:
            drops.add(fault or EMPTY, place)
        elif fault:
            drops.add(fault, f"{place}: {text}")
        elif _is_too_long(text):
            drops.add(TOO_LONG, f"{place}: {text[:80]}")
        else:
            yield text


def _is_too_long(text: str) -> bool:
    return 4 * len(text) > MAX_DOCUMENT_BYTES and len(text.encode()) > MAX_DOCUMENT_BYTES


def _records(path: Path, separator: Separator, text_field: str) -> Iterator[Found]:
    kind = _kind(path)
    if kind == DATASET:
        return _dataset_records(path, text_field)
    if kind == PARQUET:
        return _parquet_records(path, text_field)
    if kind in JSON_LINES:
        return _json_records(path, text_field)
    if kind == TEXT:
        return _paragraph_records(path) if separator == "blank_line" else _line_records(path)
    raise PrealignError(
        f"{path}: running text is read from .txt, .jsonl (with .gz, .xz, .bz2 or .zst after it if compressed), "
        ".parquet, and folders written by the datasets library. Rename or convert the file."
    )


def _kind(path: Path) -> str:
    if path.is_dir() and path.suffix not in (TEXT, *JSON_LINES, PARQUET):
        return DATASET
    suffixes = [suffix for suffix in path.suffixes[-2:] if suffix not in COMPRESSED]
    return suffixes[-1] if suffixes else ""


def _unit(path: Path) -> str:
    return "row" if _kind(path) in (DATASET, PARQUET) else "line"


def _line_records(path: Path) -> Iterator[Found]:
    for number, line in byte_lines(path):
        yield _decoded(number, line, len(line))


def _paragraph_records(path: Path) -> Iterator[Found]:
    """Documents between blank lines; their line ends stay."""
    lines: list[bytes] = []
    first, size = 0, 0
    for number, line in chain(byte_lines(path), [(0, b"")]):
        if line.strip():
            first = first or number
            size += len(line) + 1
            if size <= MAX_RECORD_BYTES or not lines:  # what is too long anyhow need not be kept
                lines.append(line)
        elif first:
            yield _decoded(first, b"\n".join(lines), size)
            lines, first, size = [], 0, 0


def _decoded(number: int, content: bytes, size: int) -> Found:
    """Text from bytes; size: how many there are in the file, of which `content` may be the beginning."""
    if not content.strip():
        return Found(number, "", EMPTY)
    if size > MAX_RECORD_BYTES:
        return Found(number, content[:80].decode(errors="replace"), TOO_LONG)
    try:
        return Found(number, content.decode())
    except UnicodeDecodeError as error:
        around = content[max(0, error.start - 40) : error.start + 40]
        return Found(number, around.decode(errors="replace"), NOT_UTF8)


def _json_records(path: Path, text_field: str) -> Iterator[Found]:
    for number, line in byte_lines(path):
        found = _decoded(number, line, len(line))
        yield found if found.fault else _of_json(found, text_field)


def _of_json(line: Found, text_field: str) -> Found:
    try:
        value = json.loads(line.text, parse_int=float)  # Python refuses integers of more than 4,300 digits
    except (json.JSONDecodeError, RecursionError):
        return line._replace(fault=NOT_JSON)
    if not isinstance(value, dict):
        return line._replace(fault=NO_TEXT)
    if text_field not in value:
        return Found(line.number, ", ".join(value), NO_TEXT)
    return _of_field(line.number, value[text_field], ", ".join(value))


def _of_field(number: int, value: Any, sample: str) -> Found:
    if value is None:
        return Found(number, "", NULL)
    if not isinstance(value, str):
        return Found(number, sample, NO_TEXT)
    # A lone surrogate can be escaped in JSON but is no character: UTF-8 cannot hold it.
    return Found(number, value.encode(errors="replace").decode())


def _parquet_records(path: Path, text_field: str) -> Iterator[Found]:
    with opened_parquet(path) as (connection, location):
        columns = [
            str(name) for name, *_ in connection.execute("describe select * from read_parquet(?)", location).fetchall()
        ]
        _check_column(path, text_field, columns)
        quoted = '"' + text_field.replace('"', '""') + '"'
        rows = connection.execute(f"select {quoted} from read_parquet(?)", location)
        number = 0
        while batch := rows.fetchmany(ROWS_AT_A_TIME):
            for (value,) in batch:
                number += 1
                yield _of_field(number, value, str(value))


def _dataset_records(path: Path, text_field: str) -> Iterator[Found]:
    if (path / "dataset_dict.json").is_file():
        splits = sorted(place.parent.name for place in path.glob("*/dataset_info.json"))
        raise PrealignError(
            f"{path} holds several splits ({', '.join(splits)}). Name one of their folders as the text."
        )
    if not (path / "state.json").is_file():
        raise PrealignError(
            f"{path} is a folder, but none that datasets' save_to_disk wrote (no state.json). Name a file of text, or "
            "such a folder."
        )
    try:
        from datasets import load_from_disk
    except ImportError:
        raise missing_extra("datasets", "datasets", f"Reading {path}") from None
    try:
        rows = load_from_disk(str(path))
        _check_column(path, text_field, rows.column_names)
        number = 0
        for batch in rows.select_columns([text_field]).iter(ROWS_AT_A_TIME):
            for value in batch[text_field]:
                number += 1
                yield _of_field(number, value, str(value))
    except (OSError, ValueError, KeyError) as error:  # ArrowInvalid is a ValueError
        reason = str(error).partition("\n")[0]
        raise PrealignError(
            f"{path} is damaged or no folder of the datasets library ({reason}). Write it again."
        ) from None


def _check_column(path: Path, text_field: str, columns: list[str]) -> None:
    if text_field not in columns:
        raise PrealignError(
            f'{path} has no column "{text_field}"; it has {", ".join(columns)}. Name one of them as `text_field`.'
        )


def _refused(place: str, sample: str, fault: str, text_field: str) -> PrealignError:
    """The sentence for a file whose first record holds no document."""
    if fault == NOT_UTF8:
        return PrealignError(
            f"{place} is not UTF-8 (near {sample!r}). Convert the file, for example with: iconv -f LATIN1 -t UTF-8"
        )
    if fault == NOT_JSON:
        return PrealignError(f"{place} is not JSON: {sample[:80]!r}. Every line must be one JSON object.")
    return PrealignError(
        f'{place} has no string under "{text_field}"; there is {sample[:80] or "nothing"}. Name the field that holds '
        "the text as `text_field`."
    )
