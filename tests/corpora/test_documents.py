"""Reading lines and documents from files of all kinds."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from prealign.corpora.documents import read_documents, read_lines
from prealign.corpora.drops import Drops
from prealign.errors import PrealignError

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.compress,
}


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_lines_of_plain_and_compressed_files(tmp_path: Path, suffix: str) -> None:
    lines = [f"Zeile {number} – 第{number}行" for number in range(20_000)]
    path = tmp_path / "named-otherwise"  # the content decides, not the name
    path.write_bytes(COMPRESSORS[suffix]("\n".join(lines).encode()))
    assert list(read_lines(path)) == list(enumerate(lines, start=1))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_files_put_together_from_compressed_parts_are_read_to_the_end(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"parts.txt{suffix}"
    path.write_bytes(COMPRESSORS[suffix](b"one\ntw") + COMPRESSORS[suffix](b"o\nthree\n"))
    assert [text for _, text in read_lines(path)] == ["one", "two", "three"]


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2", ".zst"])
def test_a_file_that_breaks_off_is_an_error_and_no_short_corpus(tmp_path: Path, suffix: str) -> None:
    noise = "\n".join(str(number**7) for number in range(5000)).encode()
    path = tmp_path / f"cut.txt{suffix}"
    whole = COMPRESSORS[suffix](noise)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PrealignError, match=r"cut\.txt.* breaks off or is damaged after line \d+"):
        list(read_lines(path))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a\u2028b\x0cc\x85d\ne".encode(), ["a\u2028b\x0cc\x85d", "e"]),  # only \n ends a line
        (b"one\r\ntwo\r\n", ["one", "two"]),
        (b"\xef\xbb\xbfone\n\xef\xbb\xbftwo", ["one", "\ufefftwo"]),  # a byte order mark at the start only
        ("Cafe\u0301\nё".encode(), ["Café", "ё"]),  # NFC
        (b"\n\nx\n", ["", "", "x"]),
        (b"", []),
    ],
)
def test_line_ends_marks_and_normal_form(tmp_path: Path, content: bytes, expected: list[str]) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    assert [text for _, text in read_lines(path)] == expected


def test_bytes_that_are_no_utf8_name_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes(b"fine\nfine\nna\xefve\n")
    with pytest.raises(PrealignError, match=r"latin\.txt, line 3: byte 3 is not UTF-8.*iconv"):
        list(read_lines(path))


def test_documents_of_text_and_json_lines(tmp_path: Path) -> None:
    text = tmp_path / "corpus.v2.txt.gz"
    text.write_bytes(gzip.compress(b" one \n\n  \ntwo\n"))
    records = [{"text": "Zwei\nZeilen"}, {"text": "", "id": 7}, {"id": 3, "text": "cafe\u0301"}]
    as_json = tmp_path / "corpus.jsonl"
    as_json.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    drops = Drops()
    assert list(read_documents(text, drops)) == ["one", "two"]
    assert list(read_documents(as_json, drops)) == ["Zwei\nZeilen", "café"]
    assert drops.counts == {"empty documents": 3}
    assert drops.samples["empty documents"] == [
        "corpus.v2.txt.gz, line 2",
        "corpus.v2.txt.gz, line 3",
        "corpus.jsonl, line 2",
    ]


def test_a_lone_surrogate_in_json_becomes_a_character_that_utf8_can_hold(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(r'{"text": "a\ud800b"}', encoding="utf-8")
    assert list(read_documents(path, Drops())) == ["a?b"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"text": "x"}\n{"text": ', r"a\.jsonl, line 2 is not JSON"),
        ("a.jsonl", '{"content": "x"}', r'a\.jsonl, line 1 has no string under "text"'),
        ("a.jsonl", '["x"]', r'line 1 has no string under "text"'),
        ("a.csv", "x", r"a\.csv: running text is read from \.txt .* or \.jsonl"),
    ],
)
def test_mistakes_are_told_in_sentences(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(PrealignError, match=message):
        list(read_documents(tmp_path / name, Drops()))


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(PrealignError, match=r"none\.txt does not exist"):
        list(read_documents(tmp_path / "none.txt", Drops()))
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(PrealignError, match=r"folder\.txt is a folder"):
        list(read_documents(tmp_path / "folder.txt", Drops()))
