"""Parquet tables of every layout, and files that are none."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from prealign.corpora.parquet import parquet_records, parquet_rows
from prealign.corpora.records import Record
from prealign.errors import PrealignError


def table(path: Path, query: str) -> Path:
    duckdb.execute(f"copy ({query}) to '{path}' (format parquet)")
    return path


@pytest.mark.parametrize(
    "query",
    [
        "select 'A cat.' as source, 'Eine Katze.' as target",
        "select 7 as id, 'Eine Katze.' as tgt, 'A cat.' as src",
        """select 'Eine Katze.' as "de-DE", 'A cat.' as en""",
        "select {'de': 'Eine Katze.', 'en': 'A cat.'} as translation, 3 as id",
        "select map {'de': 'Eine Katze.', 'en': 'A cat.'} as translation",
        "select 'A cat.' as source, 'Eine Katze.' as target, 'Un chat.' as translation",
    ],
)
def test_layouts(tmp_path: Path, query: str) -> None:
    path = table(tmp_path / "a.parquet", query)
    assert list(parquet_records(path, "en", "de")) == [Record(1, "A cat.", "Eine Katze.")]


def test_rows_come_in_order_and_odd_names_are_no_wildcards(tmp_path: Path) -> None:
    folder = tmp_path / "a[1]*?"
    folder.mkdir()
    query = "select 'n' || i as en, case when i % 10 <> 3 then 'z' || i end as de from range(25000) t(i)"
    path = table(tmp_path / "b.parquet", query).rename(folder / "b.parquet")
    records = list(parquet_records(path, "en", "de"))
    assert [record.number for record in records] == list(range(1, 25001))
    assert all(record.source == f"n{place}" for place, record in enumerate(records))
    assert sum(record.target == "" for record in records) == 2500
    assert parquet_rows(path) == 25000


def test_faulty_files_are_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", "select 'A cat.' as en, 'Un chat.' as fr")
    with pytest.raises(PrealignError, match=r"a\.parquet has en, fr, but not both sides"):
        list(parquet_records(path, "en", "de"))
    path = table(tmp_path / "c.parquet", "select {'en': 'A cat.', 'fr': 'Un chat.'} as translation")
    with pytest.raises(PrealignError, match=r"c\.parquet, row 1 has en, fr, but not both sides"):
        list(parquet_records(path, "en", "de"))
    path = table(tmp_path / "d.parquet", "select map {1: 'A cat.'} as translation")
    with pytest.raises(PrealignError, match="row 1 has 1, but not both sides"):
        list(parquet_records(path, "en", "de"))
    whole = path.read_bytes()
    for content in (b"", b"PAR1", whole[:-8], whole[: len(whole) // 2], b"A cat.\tEine Katze.\n"):
        (tmp_path / "b.parquet").write_bytes(content)
        with pytest.raises(PrealignError, match=r"b\.parquet is damaged or no Parquet file"):
            list(parquet_records(tmp_path / "b.parquet", "en", "de"))
    with pytest.raises(PrealignError, match="does not exist"):
        list(parquet_records(tmp_path / "absent.parquet", "en", "de"))
