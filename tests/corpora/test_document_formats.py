"""Documents from all formats, and what is counted or refused."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from prealign.corpora import document_formats
from prealign.corpora.document_formats import read_documents
from prealign.corpora.drops import Drops
from prealign.errors import PrealignError

RECORDS = [{"text": "Zwei\nZeilen"}, {"text": " ", "id": 7}, {"id": 3, "text": " cafe\u0301"}]


def write_parquet(path: Path, columns: dict[str, list[Any]]) -> Path:
    with duckdb.connect() as connection:
        quoted = [name.replace('"', '""') for name in columns]
        selected = ", ".join(f'unnest($c{number}) as "{name}"' for number, name in enumerate(quoted))
        values = {f"c{number}": column for number, column in enumerate(columns.values())}
        connection.execute("create table t as select " + selected, values)
        connection.execute(f"copy t to '{path}' (format parquet)")
    return path


def test_a_text_file_has_a_document_on_each_line(tmp_path: Path) -> None:
    path = tmp_path / "corpus.v2.txt.gz"
    path.write_bytes(gzip.compress(b" one \n\n  \ntwo\xc2\xa0\n"))
    drops = Drops()
    assert list(read_documents(path, drops)) == ["one", "two"]
    assert drops.counts == {"empty documents": 2}
    assert drops.samples["empty documents"] == ["corpus.v2.txt.gz, line 2", "corpus.v2.txt.gz, line 3"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("one\ntwo\n\nthree\n", ["one\ntwo", "three"]),
        ("\n\n \t\none\r\n\r\n\r\n  two\n  three", ["one", "two\n  three"]),
        ("第一\n行\n\n第二", ["第一\n行", "第二"]),
        ("\n\n", []),
        ("", []),
    ],
)
def test_documents_between_blank_lines(tmp_path: Path, content: str, expected: list[str]) -> None:
    path = tmp_path / "corpus.txt"
    path.write_bytes(content.encode())
    assert list(read_documents(path, Drops(), separator="blank_line")) == expected


@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.ndjson", "corpus.parquet"])
def test_records_with_a_text_field(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("parquet"):
        write_parquet(path, {"id": [1, 7, 3], "text": [record["text"] for record in RECORDS]})
    else:
        path.write_text("\n".join(map(json.dumps, RECORDS)), encoding="utf-8")
    drops = Drops()
    assert list(read_documents(path, drops)) == ["Zwei\nZeilen", "café"]
    assert drops.counts == {"empty documents": 1}
    assert drops.samples["empty documents"][0].startswith(name)
    with pytest.raises(PrealignError, match=r'(under|column) "content"; (there is|it has) (id, )?text'):
        list(read_documents(path, Drops(), text_field="content"))


def test_the_field_can_be_named(tmp_path: Path) -> None:
    odd = 'the "text" field'
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({odd: "here", "text": "not here"}), encoding="utf-8")
    write_parquet(tmp_path / "a.parquet", {odd: ["here"], "text": ["not here"]})
    for file in (path, tmp_path / "a.parquet"):
        assert list(read_documents(file, Drops(), text_field=odd)) == ["here"]


def test_parquet_rows_come_in_their_order(tmp_path: Path) -> None:
    texts = [f"row {number}" for number in range(30_000)]
    assert (
        list(read_documents(write_parquet(tmp_path / "a.parquet", {"body": texts}), Drops(), text_field="body"))
        == texts
    )


def test_faults_are_counted_with_samples(tmp_path: Path) -> None:
    text, lines, table = tmp_path / "a.txt", tmp_path / "a.jsonl", tmp_path / "a.parquet"
    text.write_bytes(b"fine\nna\xefve\nfine again\n")
    lines.write_bytes(b'{"text": "fine"}\n{"text": \n["x"]\n{"text": 3}\n{"text": "\xff"}\n\n{"text": "again"}')
    write_parquet(table, {"text": ["fine", None, "again"]})
    drops = Drops()
    assert list(read_documents(text, drops)) == ["fine", "fine again"]
    assert list(read_documents(lines, drops)) == ["fine", "again"]
    assert list(read_documents(table, drops)) == ["fine", "again"]
    assert drops.counts == {
        "documents that are not UTF-8": 2,
        "lines that are not JSON": 1,
        "records without a string in the text field": 2,
        "records with null in the text field": 1,
        "empty documents": 1,
    }
    assert drops.samples["documents that are not UTF-8"][0] == "a.txt, line 2: na\ufffdve"


def test_a_faulty_byte_costs_its_document_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\n\ntwo\ntw\xff\n\nthree\n")
    drops = Drops()
    assert list(read_documents(path, drops, separator="blank_line")) == ["one", "three"]
    assert drops.samples["documents that are not UTF-8"][0].startswith("a.txt, line 3:")


@pytest.mark.parametrize("separator", ["line", "blank_line"])
def test_documents_beyond_the_limit_are_counted(tmp_path: Path, monkeypatch: Any, separator: Any) -> None:
    monkeypatch.setattr(document_formats, "MAX_DOCUMENT_BYTES", 1000)
    path = tmp_path / "a.txt"
    path.write_bytes(b"y" * 1001 + b"\n\n" + b"x" * 1000 + b"\n\n" + b"z\n")
    drops = Drops()
    assert list(map(len, read_documents(path, drops, separator=separator))) == [1000, 1]
    assert drops.counts["documents longer than 16 MiB"] == 1


def test_a_lone_surrogate_in_json_becomes_a_character_that_utf8_can_hold(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(r'{"text": "a\ud800b"}', encoding="utf-8")
    assert list(read_documents(path, Drops())) == ["a?b"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"na\xefve\nfine", r"a\.txt, line 1 is not UTF-8 .*iconv -f LATIN1"),
        ("a.jsonl", b'{"text": ', r"a\.jsonl, line 1 is not JSON"),
        (
            "a.jsonl",
            b'{"content": "x"}',
            r'a\.jsonl, line 1 has no string under "text"; there is content.*`text_field`',
        ),
        ("a.jsonl", b'["x"]', r'line 1 has no string under "text"'),
        ("a.csv", b"x", r"a\.csv: running text is read from \.txt, \.jsonl .*\.parquet"),
        ("a.parquet", b"x" * 100, r"a\.parquet is damaged or no Parquet file"),
        ("none.parquet", None, r"none\.parquet does not exist"),
        ("none.txt", None, r"none\.txt does not exist"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(PrealignError, match=message):
        list(read_documents(tmp_path / name, Drops()))


def test_folders(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(PrealignError, match=r"folder\.txt is a folder"):
        list(read_documents(tmp_path / "folder.txt", Drops()))
    with pytest.raises(PrealignError, match="none that datasets' save_to_disk wrote"):
        list(read_documents(tmp_path, Drops()))
    (tmp_path / "dataset_dict.json").write_text("{}")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "dataset_info.json").write_text("{}")
    with pytest.raises(PrealignError, match=r"holds several splits \(train\)"):
        list(read_documents(tmp_path, Drops()))
    (tmp_path / "train" / "state.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(PrealignError, match=r"pip install 'prealign\[datasets\]'"):
        list(read_documents(tmp_path / "train", Drops()))


def test_a_folder_of_the_datasets_library(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_list([*RECORDS, {"text": None}])
    datasets.DatasetDict({"train": rows, "test": rows}).save_to_disk(str(tmp_path / "both"))
    with pytest.raises(PrealignError, match=r"several splits \(test, train\)"):
        list(read_documents(tmp_path / "both", Drops()))
    drops = Drops()
    assert list(read_documents(tmp_path / "both" / "train", drops)) == ["Zwei\nZeilen", "café"]
    assert drops.counts == {"empty documents": 1, "records without a string in the text field": 1}
    with pytest.raises(PrealignError, match=r'has no column "body"; it has text'):
        list(read_documents(tmp_path / "both" / "train", Drops(), text_field="body"))
    (data,) = (tmp_path / "both" / "test").glob("*.arrow")
    data.write_bytes(data.read_bytes()[:50])
    with pytest.raises(PrealignError, match="is damaged or no folder of the datasets library"):
        list(read_documents(tmp_path / "both" / "test", Drops()))


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_nulls_are_counted_in_the_first_record_as_well(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("parquet"):
        write_parquet(path, {"text": [None, "b", None]})
    else:
        path.write_text('{"text": null}\n{"text": "b"}\n{"text": null}\n')
    drops = Drops()
    assert list(read_documents(path, drops)) == ["b"]
    assert drops.counts == {"records with null in the text field": 2}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'\n  \n{"content": "x"}\n', r'line 3 has no string under "text"; there is content'),
        ("a.txt", b"\nna\xefve\n", r"line 2 is not UTF-8"),
    ],
)
def test_blank_lines_do_not_switch_the_look_at_the_first_record_off(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PrealignError, match=message):
        list(read_documents(tmp_path / name, Drops()))


def test_numbers_beside_the_text_may_be_of_any_length(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one", "hash": ' + "1" * 5000 + "}\n")
    assert list(read_documents(path, Drops())) == ["one"]


def test_the_limit_counts_bytes_of_the_text_in_every_format(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(document_formats, "MAX_DOCUMENT_BYTES", 12)
    texts = ["你好你好", "你好你好你", "abcdefghijkl", "abcdefghijklm"]  # 12, 15, 12, 13 bytes
    (tmp_path / "a.txt").write_text("\n".join(texts), encoding="utf-8")
    lines = [json.dumps({"text": text, "url": "http://example.org"}) for text in texts]  # "你" takes six bytes here
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    write_parquet(tmp_path / "a.parquet", {"text": texts})
    for name in ("a.txt", "a.jsonl", "a.parquet"):
        drops = Drops()
        assert list(read_documents(tmp_path / name, drops)) == [texts[0], texts[2]], name
        assert drops.counts == {"documents longer than 16 MiB": 2}


@pytest.mark.parametrize("separator", ["line", "blank_line"])
def test_records_beyond_any_measure_are_not_looked_into(tmp_path: Path, monkeypatch: Any, separator: Any) -> None:
    monkeypatch.setattr(document_formats, "MAX_RECORD_BYTES", 10)
    (tmp_path / "a.txt").write_bytes(b"ok\n\n" + b"12345678901\n\n" + b"last\n")
    drops = Drops()
    assert list(read_documents(tmp_path / "a.txt", drops, separator=separator)) == ["ok", "last"]
    assert drops.counts["documents longer than 16 MiB"] == 1
