"""Dictionaries in Parquet, read and written through DuckDB.

Columns named like those of `entries.tsv` hold everything. A table without the numbers has its two sides named by
language ("en", "de"), source and target, src and tgt, or src_text and tgt_text.
"""

from __future__ import annotations

from collections import Counter
from itertools import count
from pathlib import Path

from prealign.corpora.parquet import ROWS_AT_A_TIME, opened_parquet, quoted
from prealign.corpora.records import fields_of_sides
from prealign.dictionary.entries import HEADER, Entry, entries_from_counts
from prealign.dictionary.faults import Faults, FaultyLineError, clean_pair, numbered_entry
from prealign.errors import PrealignError

TEXT_NAMES = ("src_text", "tgt_text")


def parquet_entries(path: Path, faults: Faults, source_language: str, target_language: str) -> list[Entry]:
    """The entries of a Parquet file; faulty rows are left out and told.

    Raises:
        PrealignError: the file is missing or damaged, or its columns have other names.
    """
    entries: dict[tuple[str, str], Entry] = {}
    pairs: Counter[tuple[str, str]] = Counter()
    with opened_parquet(path) as (connection, location):
        described = connection.execute("describe select * from read_parquet(?)", location).fetchall()
        names = [str(name) for name, *_ in described]
        is_ours = set(HEADER) <= set(names)
        wanted = HEADER if is_ours else _sides(path, names, source_language, target_language)
        selected = ", ".join('"' + name.replace('"', '""') + '"' for name in wanted)
        rows = connection.execute(f"select {selected} from read_parquet(?)", location)
        number = count(1)
        while batch := rows.fetchmany(ROWS_AT_A_TIME):
            for row in batch:
                place = f"row {next(number)}"
                try:
                    pair = clean_pair(*("" if side is None else str(side) for side in row[:2]))
                    if not is_ours:
                        pairs[pair] += 1
                        continue
                    if pair in entries:
                        raise FaultyLineError(f"the pair {pair[0]!r}, {pair[1]!r} stands in the table twice")
                    entries[pair] = numbered_entry(*pair, *row[2:])
                except FaultyLineError as fault:
                    faults.add(place, fault)
    if not entries and not pairs and not faults.count:
        raise PrealignError(f"{path} has no entries: the table is empty.")
    return list(entries.values()) if is_ours else entries_from_counts(pairs)


def write_parquet(table: Path, path: Path) -> None:
    """Turn an `entries.tsv` into a Parquet file with the same columns."""
    import duckdb

    types = "{'source': 'VARCHAR', 'target': 'VARCHAR', 'count': 'BIGINT', " + ", ".join(
        f"'{name}': 'DOUBLE'" for name in HEADER[3:]
    )
    options = f"delim='\t', header=true, quote='', escape='', auto_detect=false, columns={types}}}"
    read = f"read_csv({quoted(str(table.absolute()))}, {options})"
    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")
        connection.execute(
            f"copy (select * from {read}) to {quoted(str(path.absolute()))} (format parquet, compression zstd)"
        )


def _sides(path: Path, names: list[str], source_language: str, target_language: str) -> tuple[str, str]:
    sides = fields_of_sides(names, source_language, target_language)
    if sides is None and set(TEXT_NAMES) <= set(names):
        sides = TEXT_NAMES
    if sides is None:
        raise PrealignError(
            f"{path} has the columns {', '.join(names)}. A dictionary has source and target, src and tgt, src_text and "
            f"tgt_text, or the languages' codes ({source_language}, {target_language}); rename them."
        )
    return sides
