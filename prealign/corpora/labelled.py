"""Labelled texts in several languages: one text or a pair of texts, its label, and the row it stands in.

Reads what `eval.transfer` names: tables of examples (.tsv, .jsonl, compressed or not, .parquet) or files as classes.
Rows are parallel across languages by number, so whatever is drawn (what is held out, what is tested where there is too
much) is drawn by row: the same rows in all languages. Every row counts, so a bad one is refused with its line; rows
without a gold label, which SNLI and XNLI have, are left out and counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from prealign.corpora.documents import COMPRESSED, read_lines
from prealign.corpora.drops import Drops
from prealign.corpora.parquet import parquet_fields
from prealign.errors import PrealignError

NO_GOLD_LABEL = "rows without a gold label"
NO_GOLD = ("-", "-1")
"""What stands for a label where the annotators of SNLI and MultiNLI did not agree: in their files, and on the hub."""
TEXT_FIELDS = (("premise", "hypothesis"), ("sentence1", "sentence2"), ("text",))
"""Names of the texts in JSON lines and Parquet: of XNLI, of PAWS-X and SNLI, of single texts."""
LABEL_FIELDS = ("label", "gold_label")
ROW_FIELDS = ("row", "id", "idx")
TOLD = 5
"""Bad rows of a file that are told."""


class Example(NamedTuple):
    """One labelled text or pair of texts."""

    row: str
    """The same for the translations of an example in all languages, and unique within one."""
    texts: tuple[str, ...]
    """One or two."""
    label: str


def read_examples(path: Path, columns: Sequence[str], drops: Drops) -> list[Example]:
    """The examples of a table.

    Args:
        path: .tsv or .jsonl, or either with .gz, .xz, .bz2 or .zst after it, or .parquet.
        columns: of .tsv files, what each holds: "text", "label", "row" or "other". JSON lines and Parquet name their
            fields: premise and hypothesis, sentence1 and sentence2, or text; label or gold_label; row, id or idx.
    Raises:
        PrealignError: tells the file's bad rows with their lines, or that it holds no example.
    """
    kind = next((suffix for suffix in reversed(path.suffixes) if suffix not in COMPRESSED), "")
    if kind not in (".tsv", ".jsonl", ".parquet"):
        raise PrealignError(
            f"{path}: labelled texts are read from .tsv and .jsonl (with .gz, .xz, .bz2 or .zst after it if "
            "compressed) and .parquet, or name `labels` to take files as classes."
        )
    unit = "row" if kind == ".parquet" else "line"
    examples: list[Example] = []
    problems: list[str] = []
    rows: set[str] = set()
    for number, found in _found(path, kind, columns):
        if isinstance(found, str):
            problems.append(f"{unit} {number}: {found}")
            continue
        example = found if found.row else found._replace(row=str(number))
        if number == 1 and example.label in LABEL_FIELDS:
            problems.append(f"line 1: a header ({' | '.join([*example.texts, example.label])}); take it away")
        elif example.row in rows:
            problems.append(f"{unit} {number}: row {example.row} was there before")
        elif examples and len(example.texts) != len(examples[0].texts):
            problems.append(f"{unit} {number}: {len(example.texts)} texts, where the first example has another number")
        elif example.label in NO_GOLD:
            drops.add(NO_GOLD_LABEL, f"{path.name}, {unit} {number}: {' | '.join(example.texts)}")
        else:
            rows.add(example.row)
            examples.append(example)
    if problems:
        more = [f"and {len(problems) - TOLD:,} more"] if len(problems) > TOLD else []
        raise PrealignError.of_several(
            f"{path} has {len(problems):,} bad {'row' if len(problems) == 1 else 'rows'}:", problems[:TOLD] + more
        )
    if not examples:
        raise PrealignError(f"{path} holds no labelled text.")
    return examples


def read_classes(paths: Sequence[Path], labels: Sequence[str], column: int | None = None) -> list[Example]:
    """Files as classes: each line of a file is a text with the file's label; rows are named by label and line.

    Args:
        column: which one of a .tsv holds the text, from 0; None: a text is the whole line.
    """
    examples = []
    for path, label in zip(paths, labels, strict=True):
        for number, line in read_lines(path):
            cells = [line] if column is None else line.split("\t")
            text = "".join(cells[column or 0 :][:1]).strip()
            if not text:
                where = "is empty" if column is None else f"has nothing in column {column + 1}"
                raise PrealignError(
                    f"{path}, line {number} {where}; every line of a file that stands for the label {label} is a text."
                )
            examples.append(Example(f"{label} {number}", (text,), label))
    return examples


def _found(path: Path, kind: str, columns: Sequence[str]) -> Iterator[tuple[int, Example | str]]:
    """Each line's or row's number from 1, and its example or what is wrong with it."""
    if kind == ".parquet":
        for number, fields in enumerate(parquet_fields(path), start=1):
            yield number, _of_fields(fields)
    else:
        for number, line in read_lines(path):
            yield number, _of_columns(line, columns) if kind == ".tsv" else _of_json(line)


def _of_columns(line: str, columns: Sequence[str]) -> Example | str:
    """The example of one line, or what is wrong with it."""
    cells = [cell.strip() for cell in line.split("\t")]
    if len(cells) < len(columns):
        return f"{len(cells)} columns, but `columns` names {len(columns)}: {', '.join(columns)}"
    named = list(zip(columns, cells))
    if empty := next((name for name, cell in named if not cell and name != "other"), None):
        return f"an empty {empty}"
    (label,) = (cell for name, cell in named if name == "label")
    row = next((cell for name, cell in named if name == "row"), "")
    return Example(row, tuple(cell for name, cell in named if name == "text"), label)


def _of_json(line: str) -> Example | str:
    """The like of a line of JSON."""
    try:
        fields = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        return "no JSON"
    if not isinstance(fields, dict):
        return "no JSON object"
    return _of_fields(fields)


def _of_fields(fields: dict[str, Any]) -> Example | str:
    """The like of named values."""
    names = next((names for names in TEXT_FIELDS if set(names) <= set(fields)), None)
    label = next((fields[name] for name in LABEL_FIELDS if name in fields), None)
    if names is None or label is None:
        return f"no texts (premise and hypothesis, sentence1 and sentence2, or text) or no label in {', '.join(fields)}"
    texts = tuple(_text(fields[name]) for name in names)
    if not all(texts):
        return f"{names[texts.index('')]} is empty or no text"
    if not isinstance(label, str | int) or isinstance(label, bool) or not str(label).strip():
        return f"the label is {label!r}; it must be a name or a whole number"
    row = next((str(fields[name]) for name in ROW_FIELDS if fields.get(name) is not None), "")
    return Example(row, texts, str(label).strip())


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def parallel_rows(first: Sequence[Example], second: Sequence[Example]) -> Iterator[tuple[Example, Example]]:
    """The examples of two languages that stand in the same row, in the first one's order.

    Raises:
        PrealignError: there are none, or a row has another label in the second language: the files are not parallel.
    """
    others = {example.row: example for example in second}
    if others.keys().isdisjoint(example.row for example in first):
        raise PrealignError(
            "two languages have no row in common, so their texts cannot be mixed. Name the column of row numbers, give "
            "files that are parallel, or leave mixed_languages off."
        )
    for example in first:
        other = others.get(example.row)
        if other is None:
            continue
        if other.label != example.label:
            raise PrealignError(
                f"row {example.row} is labelled {example.label} in one language and {other.label} in another, so the "
                "rows are not parallel. Mend the files, name the column of row numbers, or leave mixed_languages off."
            )
        yield example, other
