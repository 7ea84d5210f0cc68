"""Reading lines from files of all kinds."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from prealign.corpora import documents
from prealign.corpora.documents import read_lines
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


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_LINE_BYTES", 1 << 20)
    path = tmp_path / "long.txt.gz"
    path.write_bytes(gzip.compress(b"short\n" + b"x" * ((1 << 20) - 1) + b"\n"))
    assert [len(text) for _, text in read_lines(path)] == [5, (1 << 20) - 1]
    path.write_bytes(gzip.compress(b"short\n" + b"x" * (1 << 25)))
    with pytest.raises(PrealignError, match=r"long\.txt\.gz, line 2 goes on for more than 1 MiB without a line end"):
        list(read_lines(path))


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(PrealignError, match=r"none\.txt does not exist"):
        list(read_lines(tmp_path / "none.txt"))
    with pytest.raises(PrealignError, match="is a folder"):
        list(read_lines(tmp_path))


def test_zstd_with_a_long_window(tmp_path: Path) -> None:
    far = zstandard.ZstdCompressionParameters.from_level(1, window_log=28, enable_ldm=True)
    stream = zstandard.ZstdCompressor(compression_params=far).compressobj()  # the size is not known, so no smaller one
    (tmp_path / "long.zst").write_bytes(stream.compress(b"one\ntwo\n") + stream.flush())
    assert [text for _, text in read_lines(tmp_path / "long.zst")] == ["one", "two"]


@pytest.mark.parametrize("first", [0x50, 0x5F])
def test_zstd_that_begins_with_a_frame_without_content(tmp_path: Path, first: int) -> None:
    empty = bytes([first]) + b"\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"size"
    (tmp_path / "parallel").write_bytes(empty + zstandard.compress(b"one\n") + empty + zstandard.compress(b"two\n"))
    assert [text for _, text in read_lines(tmp_path / "parallel")] == ["one", "two"]
