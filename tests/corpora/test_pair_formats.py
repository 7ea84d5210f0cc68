"""Every format of parallel text, compressed or not: what is read, what is left out, what is refused."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from pathlib import Path

import pytest
import zstandard

from prealign.corpora.pair_formats import file_records, kind_of, moses_records
from prealign.corpora.records import Record
from prealign.errors import PrealignError

CAT = Record(1, "A cat.", "Eine Katze.")


def records(path: Path, source: str = "en", target: str = "de") -> list[Record]:
    return list(file_records(path, source, target))


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "A cat.\tEine Katze.\tGen.1.1\n"),
        ("a.tsv", "\ufeffA cat.\tEine Katze.\r\n"),
        ("a.txt", "A cat. ||| Eine Katze.\n"),
        ("en-de.align", "A cat. ||| Eine Katze. ||| 0-0 1-1\n"),
        ("a.jsonl", '{"source": "A cat.", "target": "Eine Katze."}\n'),
        ("a.jsonl", '{"src": "A cat.", "tgt": "Eine Katze.", "score": 0.9}\n'),
        ("a.jsonl", '{"de": "Eine Katze.", "en": "A cat.", "fr": "Un chat."}\n'),
        ("a.jsonl", '{"id": "7", "translation": {"de": "Eine Katze.", "en": "A cat."}}\n'),
        ("a.ndjson", '{"translation": {"de_DE": "Eine Katze.", "en-GB": "A cat."}}'),
    ],
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress, bz2.compress, zstandard.compress])
def test_a_pair_in_every_format(tmp_path: Path, name: str, content: str, compress) -> None:
    (record,) = records(write(tmp_path / name, compress(content.encode())))
    assert [side.strip() for side in record[1:]] == [*CAT[1:]]


def test_kind_of() -> None:
    names = {"a.tsv": ".tsv", "a.en-de.TSV.xz": ".tsv", "a.jsonl.gz": ".jsonl", "a": "", "a.gz": "", "a.b.tmx": ".tmx"}
    assert {name: kind_of(Path(name)) for name in names} == names


def test_lines_without_a_pair_are_told_apart(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", b"\nA cat.\tEine Katze.\nA dog. ||| Ein Hund.\n\xff\tb\n")
    assert [(record.number, record.fault) for record in records(path)] == [
        (1, "lines without a second column"),
        (2, ""),
        (3, "lines without a second column"),
        (4, "pairs that are not UTF-8"),
    ]
    text = '{"en": null, "de": "b"}\n{"en": "a"}\n{"en": "a", "de": 7}\nnot json\n[1]\n\n' + "[" * 100_000 + "\n"
    assert [record.fault for record in records(write(tmp_path / "a.jsonl", text))] == [
        "",
        "records without both languages",
        "records with a side that is no text",
        *["lines that are not JSON"] * 4,
    ]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("corpus.txt", "A cat.\nA dog.\n", r"corpus\.txt, line 1 has neither a tab nor \|\|\|: .* corpus\.en and"),
        ("a.jsonl", "\nA cat.\n", r"a\.jsonl, line 2 is no JSON object"),
        ("a.jsonl", '{"en": "A cat.", "fr": "Un chat."}\n', r"line 1 has en, fr, but not both sides: .*\(en, de\)"),
        ("a.jsonl", "{}", r"line 1 has nothing, but not both sides"),
        ("a.tsv.gz", gzip.compress(b"A cat.\tEine Katze.\n" * 99)[:-20], r"a\.tsv\.gz breaks off or is damaged after"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: str | bytes, sentence: str) -> None:
    with pytest.raises(PrealignError, match=sentence):
        records(write(tmp_path / name, content))
    with pytest.raises(PrealignError, match="does not exist"):
        records(tmp_path / f"absent.{name}")


def test_json_escapes_are_text(tmp_path: Path) -> None:
    line = json.dumps({"en": "tab\tand 😀", "de": "Zeile\nzwei"})
    assert records(write(tmp_path / "a.jsonl", line)) == [Record(1, "tab\tand 😀", "Zeile\nzwei")]


def test_moses_files_pair_by_line(tmp_path: Path) -> None:
    source = write(tmp_path / "c.en", "A cat.\nA\u2028dog.\r\nA\x0cb")
    target = write(tmp_path / "c.de", b"Eine Katze.\nEin Hund.\n\xe9\n")
    assert list(moses_records(source, target)) == [
        CAT,
        Record(2, "A\u2028dog.", "Ein Hund."),
        Record(3, "A\x0cb", "\\xe9", "pairs that are not UTF-8"),
    ]


def test_unequal_files_are_refused_with_counts_and_place(tmp_path: Path) -> None:
    lengths = [5, 40, 12, 70, 25, 55, 9, 33] * 25
    left = ["a" * length for length in lengths]
    right = ["b" * length for length in lengths]
    del right[119]  # from line 120 on, every line pairs with a stranger
    source = write(tmp_path / "c.en", "\n".join(left) + "\n")
    target = write(tmp_path / "c.de", "\n".join(right) + "\n")
    with pytest.raises(
        PrealignError, match=r"c\.en has 200 lines and .*c\.de 199; .* Lengths first differ much near line 120\."
    ):
        list(moses_records(source, target))


def test_surplus_at_the_end_is_told(tmp_path: Path) -> None:
    source = write(tmp_path / "c.en", "A cat.\n" * 20)
    target = write(tmp_path / "c.de", "Eine Katze.\n" * 18)
    with pytest.raises(PrealignError, match=r"20 lines and .* 18; .* the surplus may be at the end\."):
        list(moses_records(source, target))
    with pytest.raises(PrealignError, match=r"20 lines and .* 0; the files must pair line by line\."):
        list(moses_records(source, write(tmp_path / "d.de", "")))
