"""Reading Parquet through DuckDB, as a stream of rows.

One of the formats of sentence pairs (`pair_formats`), of running text (`document_formats`) and of labelled texts
(`labelled`). DuckDB takes 0.2 s to load, so it is imported where it is used. It reads row group by row group: memory
does not grow with the file (measured: 18 MB above the import for 3 million rows).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prealign.corpora.records import NOT_BOTH_LANGUAGES, Record, fields_of_sides, no_sides, record_of_fields
from prealign.errors import PrealignError

if TYPE_CHECKING:
    import duckdb

ROWS_AT_A_TIME = 10_000


def parquet_records(path: Path, source_language: str, target_language: str) -> Iterator[Record]:
    """One record per row, from columns named like the fields of JSON lines.

    Raises:
        PrealignError: the file is missing, damaged, or has no columns of both sides.
    """
    with opened_parquet(path) as (connection, location):
        described = connection.execute("describe select * from read_parquet(?)", location).fetchall()
        columns = [str(name) for name, *_ in described]
        sides = fields_of_sides(columns, source_language, target_language)
        wanted = list(sides) if sides else ["translation"] if "translation" in columns else []
        if not wanted:
            raise PrealignError(no_sides(str(path), ", ".join(columns), source_language, target_language))
        selected = ", ".join('"' + name.replace('"', '""') + '"' for name in wanted)
        rows = connection.execute(f"select {selected} from read_parquet(?)", location)
        number = 0
        while batch := rows.fetchmany(ROWS_AT_A_TIME):
            for row in batch:
                number += 1
                record = record_of_fields(number, dict(zip(wanted, row)), source_language, target_language)
                if number == 1 and record.fault == NOT_BOTH_LANGUAGES:
                    place = f"{path}, row 1"
                    raise PrealignError(no_sides(place, record.source, source_language, target_language))
                yield record


def parquet_fields(path: Path) -> Iterator[dict[str, Any]]:
    """Each row as columns and values; numbers of classes become their names where the file tells these.

    Raises:
        PrealignError: the file is missing or damaged.
    """
    with opened_parquet(path) as (connection, location):
        names = _class_names(connection, location)
        rows = connection.execute("select * from read_parquet(?)", location)
        columns = [str(name) for name, *_ in rows.description or ()]
        while batch := rows.fetchmany(ROWS_AT_A_TIME):
            for row in batch:
                yield {name: _named(value, names.get(name, [])) for name, value in zip(columns, row)}


def _class_names(connection: duckdb.DuckDBPyConnection, location: list[str]) -> dict[str, list[str]]:
    """By column, what the classes 0, 1, ... are called in the metadata that the `datasets` library writes."""
    query = "select value from parquet_kv_metadata(?) where key = 'huggingface'::blob"
    found = connection.execute(query, location).fetchone()
    try:
        features = json.loads(found[0])["info"]["features"] if found else {}
        return {column: feature["names"] for column, feature in features.items() if "names" in feature}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # of another kind: the numbers stay


def _named(value: Any, names: list[str]) -> Any:
    return names[value] if names and isinstance(value, int) and 0 <= value < len(names) else value


def parquet_rows(path: Path) -> int:
    """How many rows the file says it has."""
    with opened_parquet(path) as (connection, location):
        counted = connection.execute("select count(*) from read_parquet(?)", location).fetchone()
    return int(counted[0]) if counted else 0


def quoted(text: str) -> str:
    """Text as a literal of SQL, where a statement takes no parameters."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def opened_parquet(path: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[str]]]:
    """A connection, and the path as the parameter of its queries."""
    import duckdb

    if not path.is_file():
        raise PrealignError(f"{path} does not exist or is no file.")
    # DuckDB would take *, ? and [ in a path for wildcards.
    location = "".join(f"[{mark}]" if mark in "*?[" else mark for mark in str(path.absolute()))
    try:
        with duckdb.connect() as connection:
            yield connection, [location]
    except duckdb.Error as error:
        reason = str(error).partition("\n")[0]
        raise PrealignError(f"{path} is damaged or no Parquet file ({reason}). Fetch it again.") from None
