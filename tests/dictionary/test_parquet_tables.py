"""Dictionaries in Parquet: names of columns, faulty rows."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.imports import read_entries
from prealign.errors import PrealignError


def parquet(path: Path, query: str) -> Path:
    with duckdb.connect() as connection:
        connection.execute(f"copy ({query}) to '{path}' (format parquet)")
    return path


@pytest.mark.parametrize("columns", ["en, de", "de, en", "source, target", "src, tgt", "src_text, tgt_text"])
def test_sides_are_found_by_their_names(tmp_path: Path, columns: str) -> None:
    rows = "('Haus', 'house')" if columns == "de, en" else "('house', 'Haus')"
    path = parquet(tmp_path / "d.parquet", f"select *, 1 as extra from (values {rows}) as t({columns})")
    assert Dictionary.read(path, "en", "de").entries == Dictionary.from_pairs([("house", "Haus")], "en", "de").entries


OURS = "t(source, target, count, p_target_given_source, p_source_given_target)"
FAULTS = [
    ("select * from (values ('house', 'Haus'), ('', 'Baum')) as t(en, de)", "row 2: an empty side"),
    ("select * from (values ('house', null)) as t(en, de)", "row 1: an empty side"),
    ("select * from (values ('house', 'Haus')) as t(a, b)", "has the columns a, b. A dictionary has source and target"),
    (f"select * from (values ('a', 'b', 1, 1.5, 1.0)) as {OURS}", "row 1: a count is 0 or more and a probability"),
    (f"select * from (values ('a', 'b', 'x', 0.5, 1.0)) as {OURS}", "row 1: 'x 0.5 1.0' is not a count and two"),
    (f"select * from (values ('a', 'b', null, 0.5, 1.0)) as {OURS}", "is not a count and two probabilities"),
    (f"select * from (values ('a', 'b', 1, 0.5, 1), ('a', 'b', 1, 0.5, 1)) as {OURS}", "row 2: the pair"),
    ("select 'a' as en, 'b' as de where false", "has no entries: the table is empty"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "sentence"), FAULTS)
def test_faults_are_told(tmp_path: Path, query: str, sentence: str) -> None:
    path = parquet(tmp_path / "d.parquet", query)
    with pytest.raises(PrealignError) as caught:
        read_entries(path, "en", "de")
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    path.write_text("bank\tBank\n")
    with pytest.raises(PrealignError, match="is damaged or no Parquet file"):
        read_entries(path, "en", "de")
